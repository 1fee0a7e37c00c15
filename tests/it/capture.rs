//! What is captured of a request, and that nothing else changes by it.

use std::convert::Infallible;

use axum::{
    Json, Router,
    body::Body,
    extract::ws::{WebSocket, WebSocketUpgrade},
    http::{HeaderMap, Request, Response, StatusCode},
    response::sse::{Event, Sse},
    routing::{any, get, post},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_audit::{
    AuditEvent, Mode, Policy,
    capture::WatchBody,
    policy::{Bodies, Capture, Rule},
    privacy::{HmacKey, Redaction, Treatment},
};

use crate::support::{
    server::{Server, Trail},
    soon,
};

/// Everything that can be asked for.
fn all() -> Capture {
    Capture::metadata()
        .headers(["x-plan", "accept", "cookie", "content-type"])
        .query()
        .request_body(Bodies::Always)
        .response_body(Bodies::Always)
}

fn capturing(capture: Capture) -> Trail {
    Trail::under([Rule::record("all").capture(capture)])
}

const JSON: &str = "content-type: application/json";

async fn echo(body: Bytes) -> ([(&'static str, &'static str); 1], Bytes) {
    ([("content-type", "application/json")], body)
}

fn captured(event: &AuditEvent) -> Value {
    serde_json::to_value(event.captured()).unwrap()
}

/// Sends a request to `/echo`, and returns what was captured of it.
async fn of_echo(trail: &Trail, path: &str, headers: &[&str], body: &str) -> Value {
    let app = Router::new().route("/echo", post(echo));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let mut client = server.client().await;
    let answer = client.call("POST", path, headers, body).await;
    assert_eq!(answer.body, body.as_bytes());
    captured(&trail.only_event().await)
}

#[tokio::test]
async fn by_default_nothing_is_captured() {
    let headers = [JSON, "x-plan: pro", "cookie: a=b"];
    let captured = of_echo(&Trail::new(), "/echo?page=2", &headers, r#"{"a": 1}"#).await;
    assert_eq!(captured, Value::Null);
}

#[tokio::test]
async fn what_is_asked_for_is_captured_and_redacted() {
    let headers = [
        JSON,
        "x-plan: pro",
        "cookie: sid=1",
        "accept: a/b",
        "accept: c/d",
    ];
    let body = r#"{"name":"apollo","password":"hunter2"}"#;
    let path = "/echo?page=2&access_token=t";
    let captured = of_echo(&capturing(all()), path, &headers, body).await;
    let stored = json!({"length": 38, "json": {"name": "apollo", "password": "[redacted]"}});
    assert_eq!(
        captured,
        json!({
            "headers": {"x-plan": "pro", "cookie": "[redacted]", "accept": ["a/b", "c/d"], "content-type": "application/json"},
            "query": {"page": "2", "access_token": "[redacted]"},
            "request_body": stored, "response_body": stored,
        })
    );
}

#[tokio::test]
async fn only_what_is_asked_for_is_captured() {
    let check = async |capture, key: &str| {
        let headers = [JSON, "x-plan: pro"];
        let captured = of_echo(&capturing(capture), "/echo?a=b", &headers, "[1]").await;
        let keys: Vec<&String> = captured.as_object().unwrap().keys().collect();
        assert_eq!(keys, [key]);
    };
    check(Capture::metadata().headers(["x-plan"]), "headers").await;
    check(Capture::metadata().query(), "query").await;
    check(
        Capture::metadata().request_body(Bodies::Always),
        "request_body",
    )
    .await;
    check(
        Capture::metadata().response_body(Bodies::Always),
        "response_body",
    )
    .await;
}

#[tokio::test]
async fn bodies_on_failure_are_captured_of_failures_alone() {
    let on_failure = Capture::metadata()
        .request_body(Bodies::OnFailure)
        .response_body(Bodies::OnFailure);
    for (status, is_captured) in [(200, false), (404, true), (403, true), (500, true)] {
        let trail = capturing(on_failure.clone());
        let handler = async move |Json(body): Json<Value>| {
            (StatusCode::from_u16(status).unwrap(), Json(body))
        };
        let app = Router::new().route("/", post(handler));
        let server = Server::start(app.layer(trail.layer.clone())).await;
        server
            .client()
            .await
            .call("POST", "/", &[JSON], r#"{"a": 1}"#)
            .await;
        let event = trail.only_event().await;
        assert_eq!(event.captured().is_some(), is_captured, "{status}");
        if is_captured {
            assert_eq!(
                captured(&event)["request_body"],
                json!({"length": 8, "json": {"a": 1}})
            );
            assert_eq!(
                captured(&event)["response_body"],
                json!({"length": 7, "json": {"a": 1}})
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_not_captured_and_it_is_said() {
    let text = of_echo(
        &capturing(all()),
        "/echo",
        &["content-type: text/plain"],
        "password=x",
    )
    .await;
    assert_eq!(
        text["request_body"],
        json!({"length": 10, "skipped": "not_json"})
    );
    let broken = of_echo(&capturing(all()), "/echo", &[JSON], "password=x").await;
    assert_eq!(
        broken["request_body"],
        json!({"length": 10, "skipped": "not_json"})
    );
    let encoded = of_echo(
        &capturing(all()),
        "/echo",
        &[JSON, "content-encoding: gzip"],
        "xxx",
    )
    .await;
    assert_eq!(
        encoded["request_body"],
        json!({"length": 3, "skipped": "encoded"})
    );
    let none = of_echo(&capturing(all()), "/echo", &[JSON], "").await;
    assert_eq!(
        none,
        json!({"headers": {"content-type": "application/json"}})
    );
}

#[tokio::test]
async fn a_long_body_is_captured_up_to_the_limit_and_its_length_is_said() {
    let trail = capturing(all()).with(|layer| layer.body_limit(60));
    let items: Vec<Value> = (0..100).map(|id| json!({"id": id, "token": "t"})).collect();
    let body = Value::from(items).to_string();
    let captured = of_echo(&trail, "/echo", &[JSON], &body).await;
    for part in ["request_body", "response_body"] {
        assert_eq!(captured[part]["length"], body.len());
        assert_eq!(captured[part]["truncated"], true);
        assert_eq!(
            captured[part]["json"],
            json!([{"id": 0, "token": "[redacted]"}, {"id": 1, "token": "[redacted]"}, {"id": 2}])
        );
    }
}

#[tokio::test]
async fn what_does_not_fit_into_a_row_is_left_out_and_it_is_said() {
    let trail = capturing(all()).with(|layer| layer.body_limit(32 << 10));
    // Each of them grows when it is redacted.
    let body = json!(vec![json!({"pin": 1}); 3_600]).to_string();
    let captured = of_echo(&trail, "/echo", &[JSON], &body).await;
    let skipped = json!({"length": body.len(), "skipped": "too_large"});
    assert_eq!(captured["response_body"], skipped);
}

#[tokio::test]
async fn a_body_that_the_handler_does_not_read_is_not_captured() {
    let trail = capturing(all());
    let app = Router::new().route("/", post(async || StatusCode::NO_CONTENT));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let answer = server
        .client()
        .await
        .call("POST", "/", &[JSON], "[1, 2]")
        .await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let captured = captured(&trail.only_event().await);
    assert_eq!(
        captured["request_body"],
        json!({"length": 6, "skipped": "not_read"})
    );
    assert_eq!(captured.get("response_body"), None);
}

#[tokio::test]
async fn the_redaction_of_the_layer_is_the_one_that_counts() {
    let key = HmacKey::new("k1", [7; 32]).unwrap();
    let redaction = Redaction::builder()
        .pointer("/users/*/email", Treatment::Hmac)
        .query("page", Treatment::Drop)
        .name("x-plan", Treatment::Mask)
        .hmac_key(key.clone())
        .build();
    let trail = capturing(all()).with(|layer| layer.redaction(redaction.unwrap()));
    let body = r#"{"users":[{"email":"a@b"}]}"#;
    let captured = of_echo(&trail, "/echo?page=2&b=c", &[JSON, "x-plan: pro"], body).await;
    assert_eq!(
        captured["request_body"]["json"]["users"][0]["email"],
        key.hash("a@b")
    );
    assert_eq!(captured["query"], json!({"b": "c"}));
    assert_eq!(captured["headers"]["x-plan"], "[redacted]");
}

#[tokio::test]
async fn the_response_of_a_durable_request_is_sent_later_than_its_record() {
    let policy = Policy::builder().rule(Rule::record("all").mode(Mode::Durable).capture(all()));
    let trail = Trail::new().with(|layer| layer.policy(policy.build().unwrap()));
    let captured = of_echo(&trail, "/echo", &[JSON], "[1]").await;
    assert_eq!(captured["request_body"]["json"], json!([1]));
    assert_eq!(
        captured["response_body"],
        json!({"length": 3, "skipped": "sent_later"})
    );
}

#[tokio::test]
async fn a_path_parameter_that_is_a_secret_is_redacted_wherever_it_stands() {
    let trail = Trail::new();
    let app = Router::new().route("/reset/{token}/for/{user}", post(async || {}));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server
        .client()
        .await
        .call("POST", "/reset/s3cr3t/for/bob", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(event.path(), Some("/reset/[redacted]/for/bob"));
    assert!(!serde_json::to_string(&event).unwrap().contains("s3cr3t"));
    let trail = Trail::new();
    let app = Router::new().route("/invites/{invite_token}", post(async || {}));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server
        .client()
        .await
        .call("POST", "/invites/s3cr3t", &[], "")
        .await;
    assert_eq!(trail.only_event().await.target().id(), "[redacted]");
}

#[tokio::test]
async fn a_path_parameter_that_an_annotation_names_as_the_target_stays() {
    let trail = Trail::new();
    let annotation = tower_audit::audited("token.revoke").target("token", "token");
    let handler = axum::handler::Handler::layer(async || {}, annotation);
    let app = Router::new().route("/tokens/{token}", post(handler));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server
        .client()
        .await
        .call("POST", "/tokens/t-1", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(
        (event.target().id(), event.path()),
        ("t-1", Some("/tokens/t-1"))
    );
}

#[tokio::test]
async fn a_path_parameter_has_the_same_hash_in_the_path_and_as_the_target() {
    let key = HmacKey::new("k1", [7; 32]).unwrap();
    let redaction = Redaction::builder()
        .name("email", Treatment::Hmac)
        .hmac_key(key.clone());
    let trail = Trail::new().with(|layer| layer.redaction(redaction.build().unwrap()));
    let app = Router::new().route("/users/{email}", post(async || {}));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server
        .client()
        .await
        .call("POST", "/users/a%40b", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(event.target().id(), key.hash("a@b"));
    assert_eq!(event.path(), Some(&*format!("/users/{}", key.hash("a@b"))));
}

#[tokio::test]
async fn a_path_that_is_not_of_its_template_is_not_stored_if_a_secret_is_in_it() {
    let trail = Trail::new();
    let app = Router::new().route("/reset/{token}", post(async || {}));
    // Between the two the path was another one.
    let outside = axum::middleware::map_request(async |mut req: Request<Body>| {
        let uri: http::Uri = "/v1/reset/s3cr3t".parse().unwrap();
        req.extensions_mut().insert(axum::extract::OriginalUri(uri));
        req
    });
    let server = Server::start(app.layer(trail.layer.clone()).layer(outside)).await;
    server
        .client()
        .await
        .call("POST", "/reset/s3cr3t", &[], "")
        .await;
    assert_eq!(trail.only_event().await.path(), Some("/reset/{token}"));
}

#[tokio::test]
async fn a_session_in_a_path_is_masked() {
    let trail = Trail::new();
    let server = Server::start(Router::new().layer(trail.layer.clone())).await;
    server
        .client()
        .await
        .call("POST", "/app;jsessionid=ABC", &[], "")
        .await;
    assert_eq!(
        trail.only_event().await.path(),
        Some("/app;jsessionid=[redacted]")
    );
    let trail = Trail::new();
    let app = Router::new().route("/projects/{id}", post(async || {}));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server
        .client()
        .await
        .call("POST", "/projects/7;jsessionid=ABC", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(event.path(), Some("/projects/7;jsessionid=[redacted]"));
    assert_eq!(event.target().id(), "7;jsessionid=[redacted]");
}

#[tokio::test]
async fn what_a_client_sends_beside_a_body_takes_no_room_from_it() {
    let trail = capturing(all());
    let query = format!("/echo?a={}&b=c", "q".repeat(20_000));
    let header = format!("x-plan: {}", "h".repeat(20_000));
    let captured = of_echo(&trail, &query, &[JSON, &header], "[1]").await;
    assert_eq!(captured["request_body"]["json"], json!([1]));
    assert_eq!(
        captured["query"],
        json!({"tower_audit.cut": "20006 bytes in all"})
    );
    let header = captured["headers"]["x-plan"].as_str().unwrap();
    assert!(
        header.len() <= 1_024 && header.ends_with("h…[cut, 20000 bytes]"),
        "{header}"
    );
}

#[tokio::test]
async fn a_body_that_only_says_that_it_is_encoded_is_captured() {
    let headers = [JSON, "content-encoding: gzip"];
    let captured = of_echo(&capturing(all()), "/echo", &headers, "[1]").await;
    assert_eq!(captured["request_body"]["json"], json!([1]));
}

#[tokio::test]
async fn a_body_of_unknown_length_that_is_no_json_is_not_captured_and_it_is_said() {
    let trail = capturing(all());
    let server = Server::start(app().layer(trail.layer.clone())).await;
    let mut client = server.client().await;
    client
        .send(
            "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: text/plain\r\ntransfer-encoding: \
             chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        )
        .await;
    client.rest().await;
    let captured = captured(&trail.only_event().await);
    assert_eq!(captured["request_body"], json!({"skipped": "not_json"}));
}

#[tokio::test]
async fn a_body_of_unknown_length_that_was_read_to_its_end_is_whole() {
    let trail = capturing(all());
    let server = Server::start(app().layer(trail.layer.clone())).await;
    let mut client = server.client().await;
    client
        .send(
            "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n",
        )
        .await;
    client.rest().await;
    let captured = captured(&trail.only_event().await);
    assert_eq!(captured["request_body"], json!({"length": 3, "json": [1]}));
}

#[tokio::test]
async fn a_body_of_many_small_parts_takes_no_more_room_in_the_queue() {
    let trail = capturing(all());
    let body = json!(vec![json!({"": 0}); 2_000]).to_string();
    of_echo(&trail, "/echo", &[JSON], &body).await;
    let event = trail.store.events().remove(0);
    assert!(event.size() < 4 * body.len(), "{} bytes", event.size());
}

async fn collected<B: http_body::Body<Data = Bytes, Error = Infallible>>(
    req: Request<B>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = req.into_body().collect().await?;
    Ok(Response::new(Full::new(body.to_bytes())))
}

#[tokio::test]
async fn a_request_body_that_is_not_axums_is_watched_where_it_is_asked_for() {
    let call = async |is_watched: bool| {
        let trail = capturing(all());
        let request = Request::post("/").header("content-type", "application/json");
        let request = request
            .header("content-length", "3")
            .body(Full::from("[1]"))
            .unwrap();
        if is_watched {
            let service = trail
                .layer
                .any_body()
                .layer(WatchBody::new().layer(service_fn(collected)));
            soon(service.oneshot(request))
                .await
                .unwrap()
                .collect()
                .await
                .unwrap();
        } else {
            let service = trail.layer.any_body().layer(service_fn(collected));
            soon(service.oneshot(request))
                .await
                .unwrap()
                .collect()
                .await
                .unwrap();
        }
        captured(&trail.only_event().await)["request_body"].clone()
    };
    assert_eq!(call(true).await, json!({"length": 3, "json": [1]}));
    assert_eq!(
        call(false).await,
        json!({"length": 3, "skipped": "not_watched"})
    );
}

/// Sends the same bytes to the same app with and without a layer that captures everything, and returns what
/// came back of both.
async fn both(app: fn() -> Router, request: &str) -> [Vec<u8>; 2] {
    let plain = Server::start(app()).await;
    let trail = capturing(all());
    let audited = Server::start(app().layer(trail.layer.clone())).await;
    let answers = [plain, audited].map(|server| async move {
        let mut client = server.client().await;
        client.send(request).await;
        client.rest().await
    });
    let [plain, audited] = answers;
    let bytes = [plain.await, audited.await];
    trail.only_event().await;
    bytes.map(without_date)
}

fn without_date(answer: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(answer).unwrap();
    let lines = text
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("date: "));
    lines.collect::<String>().into_bytes()
}

async fn events() -> Sse<impl futures_core::Stream<Item = Result<Event, Infallible>>> {
    let events = (0..3).map(|number| Ok(Event::default().json_data(json!({"n": number})).unwrap()));
    Sse::new(tokio_stream::iter(events))
}

async fn chunks() -> ([(&'static str, &'static str); 1], Body) {
    let frames = ["{\"a\"", ": [1,", " 2]}"]
        .map(|text| Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(text))));
    let body = StreamBody::new(tokio_stream::iter(frames));
    ([("content-type", "application/json")], Body::new(body))
}

fn app() -> Router {
    Router::new()
        .route("/events", get(events))
        .route("/chunks", get(chunks))
        .route("/json", any(async || Json(json!({"a": 1}))))
        .route("/none", any(async || StatusCode::NO_CONTENT))
        .route("/not-modified", get(async || StatusCode::NOT_MODIFIED))
        .route("/echo", post(echo))
}

#[tokio::test]
async fn whatever_is_captured_the_client_gets_the_same_bytes() {
    for request in [
        "GET /events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /chunks HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "HEAD /json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "HEAD /events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "DELETE /none HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /not-modified HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "PATCH /events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n[1]",
        "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n",
        "GET /json HTTP/1.0\r\n\r\n",
    ] {
        let [plain, audited] = both(app, request).await;
        assert_eq!(
            String::from_utf8_lossy(&audited),
            String::from_utf8_lossy(&plain),
            "{request}"
        );
        assert!(plain.starts_with(b"HTTP/1."));
    }
}

#[tokio::test]
async fn an_event_stream_is_not_held_back() {
    let trail = capturing(all());
    let one_and_then_nothing = async || {
        let first = tokio_stream::iter([Ok::<_, Infallible>(Event::default().data("first"))]);
        Sse::new(tokio_stream::StreamExt::chain(
            first,
            tokio_stream::pending(),
        ))
    };
    let app = Router::new().route("/", get(one_and_then_nothing));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let mut client = server.client().await;
    client.request("GET", "/", &[], "").await;
    client.read_until("data: first").await;
    drop(client);
    let event = trail.only_event().await;
    assert_eq!(event.outcome(), tower_audit::Outcome::Aborted);
}

async fn echo_socket(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_websocket_is_upgraded_and_left_alone() {
    let trail = capturing(all());
    let upgrade = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo_socket);
    let app = Router::new().route("/", any(upgrade));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let mut client = server.client().await;
    client
        .send(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let (status, head) = client.head().await;
    assert_eq!(status, 101);
    // RFC 6455, section 1.3.
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    // A text frame "hi", masked by zeros, comes back without a mask.
    client.send([0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await;
    client.read_until("\u{2}hi").await;
    assert_eq!(trail.only_event().await.status(), Some(101));
}

#[tokio::test]
async fn trailers_pass() {
    let trail = capturing(all());
    let with_trailers = |_: Request<Full<Bytes>>| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        let body = Full::new(Bytes::from("[1]"))
            .with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
        let response = Response::builder().header("content-type", "application/json");
        Ok::<_, Infallible>(response.body(body).unwrap())
    };
    let service = trail.layer.any_body().layer(service_fn(with_trailers));
    let request = Request::post("/").body(Full::default()).unwrap();
    let body = service
        .oneshot(request)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "1");
    assert_eq!(
        captured(&trail.only_event().await)["response_body"]["json"],
        json!([1])
    );
}

#[tokio::test]
async fn a_body_limit_that_no_row_could_hold_is_refused() {
    let refused = std::panic::catch_unwind(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _guard = runtime.enter();
        Trail::new().with(|layer| layer.body_limit(33 << 10))
    });
    let panic = refused.err().unwrap();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("at most 32768"), "{text}");
}
