//! A secret, wherever it stands in a request, is not in the row.

use axum::{Router, body::Body, routing::any};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::Row;
use tower::ServiceExt;
use tower_audit::{
    AuditLayer, Policy,
    policy::{Bodies, Capture, Rule},
};

use crate::support::{database::Sqlite, soon};

const SECRET: &str = "s3cr3tZq9";

/// Names that say that they are secrets, in the dress of all sorts of clients.
const NAMES: [&str; 12] = [
    "password",
    "X-Api-Key",
    "access_token",
    "refreshToken",
    "client-secret",
    "Authorization",
    "Cookie",
    "session_id",
    "x-csrf-token",
    "PIN",
    "sig",
    "new-password",
];

#[derive(Clone, Debug)]
struct Secretive {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Value,
}

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(NAMES.to_vec())
}

/// Text that holds the secret where its surroundings tell.
fn telling_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("Bearer {SECRET}")),
        Just(format!("Basic {SECRET}")),
        Just(format!("https://bob:{SECRET}@example.org/")),
        name().prop_map(|name| format!("https://example.org/cb?a=b&{name}={SECRET}#c")),
        name().prop_map(|name| json!({ name: SECRET }).to_string()),
        name().prop_map(|name| format!("see {{\"{name}\": [\"{SECRET}\"")),
    ]
}

fn telling_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        name().prop_map(|name| json!({ name: SECRET })),
        name().prop_map(|name| json!({ name: {"value": [SECRET]} })),
        telling_text().prop_map(|text| json!({ "note": text })),
        telling_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 20, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from),
            ("[a-z]{1,6}", inner).prop_map(|(name, value)| json!({ name: value })),
        ]
    })
}

fn secretive() -> impl Strategy<Value = Secretive> {
    let method = proptest::sample::select(vec![Method::POST, Method::GET, Method::DELETE]);
    let path = prop_oneof![
        Just(format!("/reset/{SECRET}")),
        Just("/status/200".to_owned()),
        Just("/status/500".to_owned()),
        Just("/nothing".to_owned()),
    ];
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let query = prop_oneof![
        name().prop_map(|name| format!("page=2&{name}={SECRET}")),
        telling_text().prop_map(move |text| format!("next={}", encoded(&text))),
    ];
    let header = prop_oneof![
        // Not asked for: it may hold anything.
        Just(("x-other".to_owned(), SECRET.to_owned())),
        name().prop_map(|name| (name.to_ascii_lowercase(), SECRET.to_owned())),
        telling_text().prop_map(|text| ("referer".to_owned(), text)),
    ];
    let headers = prop::collection::vec(header, 0..4);
    (method, path, query, headers, telling_body()).prop_map(
        |(method, path, query, headers, body)| Secretive {
            method,
            path,
            query,
            headers,
            body,
        },
    )
}

fn request(secretive: Secretive) -> Request<Body> {
    let uri = format!("{}?{}", secretive.path, secretive.query);
    let mut request = Request::new(Body::from(secretive.body.to_string()));
    *request.method_mut() = secretive.method;
    *request.uri_mut() = uri.parse::<Uri>().unwrap();
    let headers = request.headers_mut();
    for (name, value) in secretive.headers {
        headers.append(
            HeaderName::try_from(name).unwrap(),
            HeaderValue::try_from(value).unwrap(),
        );
    }
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    request
}

/// Records everything, with all that can be captured: the headers of all those names, too.
fn everything() -> Policy {
    let capture = Capture::metadata()
        .headers(NAMES)
        .headers(["referer", "content-type"])
        .query()
        .request_body(Bodies::Always)
        .response_body(Bodies::Always);
    Policy::builder()
        .rule(Rule::record("all").capture(capture))
        .build()
        .unwrap()
}

#[test]
fn a_secret_anywhere_in_a_request_is_never_in_the_stored_row() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let database = runtime.block_on(Sqlite::migrated());
    let audit = {
        let _guard = runtime.enter();
        AuditLayer::new(database.pool.clone()).policy(everything())
    };
    // Gives back what it was sent, so that the secret is in the response too.
    let status = async |axum::extract::Path(status): axum::extract::Path<u16>, body: String| {
        let status = http::StatusCode::from_u16(status).unwrap();
        (status, [("content-type", "application/json")], body)
    };
    let app = Router::new()
        .route("/reset/{token}", any(async |body: String| body))
        .route("/status/{status}", any(status))
        .layer(audit.clone());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let count = std::cell::Cell::new(0);
    let result = runner.run(&secretive(), |secretive| {
        count.set(count.get() + 1);
        let rows = runtime.block_on(async {
            let answer = app.clone().oneshot(request(secretive)).await.unwrap();
            answer.into_body().collect().await.unwrap();
            audit.auditor().flush().await;
            let query = sqlx::query("SELECT * FROM audit_logs_text ORDER BY id DESC LIMIT 1");
            let row = soon(query.fetch_one(&database.pool)).await.unwrap();
            (0..row.len())
                .filter_map(|column| row.try_get::<Option<String>, _>(column).ok().flatten())
                .collect::<Vec<_>>()
                .join("\n")
        });
        prop_assert!(!rows.contains(SECRET), "{}", rows);
        prop_assert!(rows.contains("request_body"), "{}", rows);
        Ok(())
    });
    result.unwrap();
    let rows = runtime.block_on(async {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM audit_logs")
            .fetch_one(&database.pool)
            .await
    });
    assert_eq!(rows.unwrap(), count.get());
}
