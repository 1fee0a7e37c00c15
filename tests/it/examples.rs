//! The examples, over HTTP.

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::AppendHeaders,
    routing::{delete, post},
};
use serde_json::json;
use tokio::net::TcpListener;
use tower_audit::{Actor, AuditEvent, MemoryStore, Outcome, testing::Trail};

use crate::support::{http::Client, server::Server, soon};

const JSON: &str = "content-type: application/json";

fn credentials(user: &str, password: &str) -> String {
    json!({"user": user, "password": password}).to_string()
}

/// Sends a request, and returns the status and the value of `set-cookie`, if there is one.
async fn call(
    client: &mut Client,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> (u16, Option<String>, Vec<u8>) {
    client.request(method, path, headers, body).await;
    let (status, head) = client.raw_head().await;
    let line = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.split(';').next().unwrap().to_owned())
    };
    let length: usize = line("content-length: ").map_or(0, |length| length.parse().unwrap());
    let body = client.exactly(length).await;
    (status, line("set-cookie: "), body)
}

/// Signs in, acts, and signs out with a cookie; then acts without one.
async fn with_cookies(app: impl Fn(tower_audit::AuditLayer) -> Router) -> Vec<AuditEvent> {
    let trail = Trail::new();
    let server = Server::start(app(trail.layer())).await;
    let mut client = server.client().await;
    let wrong = credentials("alice", "hunter2");
    assert_eq!(
        call(&mut client, "POST", "/login", &[JSON], &wrong).await.0,
        401
    );
    let right = credentials("alice", "wonderland");
    let (status, cookie, _) = call(&mut client, "POST", "/login", &[JSON], &right).await;
    assert_eq!(status, 200);
    let cookie = format!("cookie: {}", cookie.unwrap());
    assert_eq!(
        call(&mut client, "DELETE", "/projects/7", &[&cookie], "")
            .await
            .0,
        200
    );
    assert_eq!(
        call(&mut client, "POST", "/logout", &[&cookie], "").await.0,
        200
    );
    let after = call(&mut client, "DELETE", "/projects/8", &[&cookie], "")
        .await
        .0;
    assert!(after == 401 || after == 307, "{after}");
    let events = trail.events().await;
    events.assert_without("hunter2");
    events.assert_without("wonderland");
    let session = cookie.split_once('=').unwrap().1;
    events.assert_without(session);
    events.to_vec()
}

fn told(event: &AuditEvent) -> (&str, &str, &str, Outcome, Option<&str>) {
    (
        event.action(),
        event.target().id(),
        event.actor().id(),
        event.outcome(),
        event.reason(),
    )
}

#[tokio::test]
async fn behind_axum_login_the_actor_is_the_user_of_the_session() {
    let events = with_cookies(auth::login::router).await;
    let told: Vec<_> = events.iter().map(told).collect();
    assert_eq!(
        told,
        [
            (
                "user.login",
                "alice",
                "anonymous",
                Outcome::Denied,
                Some("wrong_password (claimed: \"alice\")")
            ),
            ("user.login", "alice", "alice", Outcome::Success, None),
            ("project.delete", "7", "alice", Outcome::Success, None),
            ("user.logout", "alice", "alice", Outcome::Success, None),
            ("project.delete", "8", "anonymous", Outcome::Denied, None),
        ]
    );
    assert_eq!(events[2].actor().method(), Some("session"));
}

#[tokio::test]
async fn behind_tower_sessions_the_actor_is_the_user_and_the_session_is_hashed() {
    let events = with_cookies(auth::sessions::router).await;
    let told: Vec<_> = events.iter().map(told).collect();
    assert_eq!(
        told,
        [
            (
                "user.login",
                "alice",
                "anonymous",
                Outcome::Denied,
                Some("wrong_password (claimed: \"alice\")")
            ),
            ("user.login", "alice", "alice", Outcome::Success, None),
            ("project.delete", "7", "alice", Outcome::Success, None),
            ("user.logout", "alice", "alice", Outcome::Success, None),
            ("project.delete", "8", "anonymous", Outcome::Denied, None),
        ]
    );
    assert!(
        events[2]
            .actor()
            .credential()
            .unwrap()
            .starts_with("sha256:")
    );
    assert_eq!(
        events[2].actor().credential(),
        events[3].actor().credential()
    );
}

/// A token that anybody could have made.
fn forged() -> String {
    let keys = auth::jwt::Keys::new(b"another secret");
    keys.sign("admin", "acme", SystemTime::now() + Duration::from_secs(60))
        .unwrap()
}

#[tokio::test]
async fn behind_a_jwt_layer_the_actor_is_the_subject() {
    let trail = Trail::new();
    let keys = Arc::new(auth::jwt::Keys::new(b"a secret of the test"));
    let server = Server::start(auth::jwt::router(trail.layer(), keys)).await;
    let mut client = server.client().await;
    let wrong = credentials("bob", "guess");
    assert_eq!(
        call(&mut client, "POST", "/token", &[JSON], &wrong).await.0,
        401
    );
    let right = credentials("bob", "builder");
    let (_, _, token) = call(&mut client, "POST", "/token", &[JSON], &right).await;
    let token = String::from_utf8(token).unwrap();
    let header = format!("authorization: Bearer {token}");
    assert_eq!(
        call(&mut client, "DELETE", "/projects/7", &[&header], "")
            .await
            .0,
        200
    );
    let events = trail.events().await;
    let told: Vec<_> = events.iter().map(told).collect();
    assert_eq!(
        told,
        [
            (
                "user.login",
                "bob",
                "anonymous",
                Outcome::Denied,
                Some("wrong_password (claimed: \"bob\")")
            ),
            ("user.login", "bob", "bob", Outcome::Success, None),
            ("project.delete", "7", "bob", Outcome::Success, None),
        ]
    );
    assert_eq!(events[2].tenant_id(), Some("acme"));
    assert_eq!(events[2].actor().method(), Some("jwt"));
    assert!(events[2].actor().credential().unwrap().starts_with("bob-"));
    events.assert_without(&token);
}

#[tokio::test]
async fn what_a_jwt_layer_refuses_is_denied_and_says_why() {
    let trail = Trail::new();
    let keys = Arc::new(auth::jwt::Keys::new(b"a secret of the test"));
    let server = Server::start(auth::jwt::router(trail.layer(), Arc::clone(&keys))).await;
    let mut client = server.client().await;
    let long_ago = SystemTime::now() - Duration::from_secs(3_600);
    let (expired, forged) = (keys.sign("bob", "acme", long_ago).unwrap(), forged());
    for token in [&*expired, &forged, "none"] {
        let header = format!("authorization: Bearer {token}");
        assert_eq!(
            call(&mut client, "DELETE", "/projects/7", &[&header], "")
                .await
                .0,
            401
        );
    }
    assert_eq!(
        call(&mut client, "DELETE", "/projects/7", &[], "").await.0,
        401
    );
    let events = trail.events().await;
    let told: Vec<_> = events.iter().map(told).collect();
    let denied = |reason| {
        (
            "project.delete",
            "7",
            "anonymous",
            Outcome::Denied,
            Some(reason),
        )
    };
    assert_eq!(
        told,
        [
            denied("expired_token (claimed: \"bob\")"),
            denied("bad_token"),
            denied("bad_token"),
            denied("no_token"),
        ]
    );
    events.assert_without(&expired);
    events.assert_without(&forged);
}

#[tokio::test]
async fn the_gateway_records_the_client_the_request_id_and_what_the_service_behind_it_did() {
    let seen = async |headers: HeaderMap| {
        let text = |name: &str| {
            let lines = headers
                .get_all(name)
                .iter()
                .map(|line| line.to_str().unwrap());
            lines.collect::<Vec<_>>().join(", ")
        };
        assert!(
            !headers.contains_key("x-hop"),
            "it was between neighbours only"
        );
        let seen = format!("{} {}", text("x-forwarded-for"), text("x-request-id"));
        (
            StatusCode::CREATED,
            AppendHeaders([(LOCATION, "/projects/7")]),
            seen,
        )
    };
    let upstream = Router::new()
        .route("/projects", post(seen))
        .route("/projects/{id}", delete(async || {}));
    let upstream = Server::start(upstream).await;
    let trail = Trail::new();
    let authority = upstream.address.to_string().parse().unwrap();
    let gateway = Server::start(gateway::router(trail.layer(), authority).unwrap()).await;
    let mut client = gateway.client().await;
    let headers = [
        "x-forwarded-for: 6.6.6.6, 203.0.113.7",
        "connection: x-hop",
        "x-hop: 1",
    ];
    let (status, _, body) = call(&mut client, "POST", "/projects", &headers, "{}").await;
    assert_eq!(status, 201);
    let body = String::from_utf8(body).unwrap();
    let events = trail.events().await;
    let created = events.assert_audited("project.create");
    created
        .on("project", "7")
        .client([203, 0, 113, 7].into())
        .status(201);
    let request_id = created.event().request_id().unwrap();
    assert_eq!(
        body,
        format!("6.6.6.6, 203.0.113.7, 127.0.0.1 {request_id}")
    );

    let headers = ["x-request-id: r-1"];
    call(
        &mut gateway.client().await,
        "DELETE",
        "/projects/7",
        &headers,
        "",
    )
    .await;
    let events = trail.events().await;
    let deleted = events.assert_audited("project.delete");
    deleted.on("project", "7").status(200);
    assert_eq!(deleted.event().request_id(), Some("r-1"));
}

#[tokio::test]
async fn the_gateway_says_that_the_service_behind_it_is_gone() {
    let trail = Trail::new();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let authority = gone.local_addr().unwrap().to_string().parse().unwrap();
    drop(gone);
    let gateway = Server::start(gateway::router(trail.layer(), authority).unwrap()).await;
    let answer = call(
        &mut gateway.client().await,
        "DELETE",
        "/projects/7",
        &[],
        "",
    )
    .await;
    assert_eq!(answer.0, 502);
    let events = trail.events().await;
    events
        .assert_audited("project.delete")
        .outcome(Outcome::Failure)
        .reason("upstream_unavailable");
}

async fn graphql(queries: &[&str]) -> Vec<AuditEvent> {
    let trail = Trail::new();
    let server = Server::start(graphql::router(trail.layer())).await;
    for query in queries {
        let body = json!({"query": query, "operationName": "Mine"}).to_string();
        let answer = call(
            &mut server.client().await,
            "POST",
            "/graphql",
            &[JSON],
            &body,
        )
        .await;
        assert_eq!(answer.0, 200);
    }
    trail.events().await.to_vec()
}

#[tokio::test]
async fn each_mutation_of_graphql_is_a_row_and_its_error_the_outcome() {
    let events = graphql(&[
        r#"mutation Mine { a: createProject(name: "apollo") { id } b: deleteProject(id: "1") c: deleteProject(id: "9") }"#,
    ])
    .await;
    let mut told: Vec<_> = events.iter().map(told).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            (
                "project.create",
                "apollo",
                "anonymous",
                Outcome::Success,
                None
            ),
            ("project.delete", "1", "anonymous", Outcome::Success, None),
            (
                "project.delete",
                "9",
                "anonymous",
                Outcome::Failure,
                Some("no_such_project")
            ),
        ]
    );
    let named = events
        .iter()
        .filter(|event| event.metadata().get("operation").is_some());
    assert_eq!(named.count(), 1);
}

#[tokio::test]
async fn a_query_of_graphql_leaves_no_row_and_what_cannot_be_read_does() {
    assert!(
        graphql(&["query Mine { projects { id name } }"])
            .await
            .is_empty()
    );
    let events = graphql(&["query Mine {"]).await;
    assert_eq!(
        told(&events[0]),
        (
            "graphql.execute",
            "",
            "anonymous",
            Outcome::Failure,
            Some("graphql_error")
        )
    );
    let events = graphql(&["mutation Mine { dropEverything }"]).await;
    assert_eq!(
        told(&events[0]),
        (
            "graphql.execute",
            "",
            "anonymous",
            Outcome::Failure,
            Some("graphql_error")
        )
    );
}

#[tokio::test]
async fn a_hyper_server_records_who_did_what_from_where() {
    let store = MemoryStore::new();
    let audit = tower_audit::AuditLayer::new(store.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(tower_only::serve(listener, audit.clone()));
    let mut client = Client::connect(address).await;
    let headers = ["x-api-key: ci.s3cret"];
    assert_eq!(
        call(&mut client, "DELETE", "/projects/7", &headers, "")
            .await
            .0,
        200
    );
    assert_eq!(
        call(&mut client, "POST", "/projects", &[], "{}").await.0,
        401
    );
    soon(store.wait_for(2)).await;
    audit.auditor().flush().await;
    server.abort();
    let events = store.events();
    assert_eq!(
        told(&events[0]),
        ("project.delete", "7", "ci", Outcome::Success, None)
    );
    assert_eq!(
        events[0].actor(),
        &Actor::api_key("ci")
            .auth_method("api_key")
            .credential_id("ci")
    );
    assert_eq!(events[0].peer_address(), Some([127, 0, 0, 1].into()));
    assert_eq!(
        told(&events[1]),
        ("project.create", "", "anonymous", Outcome::Denied, None)
    );
    assert!(!format!("{events:?}").contains("s3cret"));
}
