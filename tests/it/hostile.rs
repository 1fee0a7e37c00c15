//! Hostile input is a row, and never a lost neighbour: over a real socket, on every store.

use axum::{
    Json, Router,
    routing::{delete, post},
};
use tower_audit::{
    AuditContext, AuditEvent, AuditLayer, EventReader, Filter, IntoAuditor, Metadata, PageSize,
    Seek,
};

use crate::support::{
    database::{Postgres, Sqlite},
    server::Server,
    soon,
};

async fn note(audit: AuditContext, Json(body): Json<serde_json::Value>) {
    audit.metadata("body", body);
}

async fn noop() {}

/// Sends requests with a bad one among them, and returns what was recorded, oldest first.
async fn recorded(
    auditor: impl IntoAuditor,
    store: impl EventReader,
    bad: &[u8],
) -> Vec<AuditEvent> {
    let layer = AuditLayer::new(auditor);
    let app = Router::new()
        .route("/notes", post(note))
        .route("/files/{name}", delete(noop));
    let server = Server::start(app.layer(layer.clone())).await;
    let mut client = server.client().await;
    client.call("DELETE", "/files/before", &[], "").await;
    client.send(bad).await;
    client.head().await;
    client.call("DELETE", "/files/after", &[], "").await;
    soon(layer.auditor().flush()).await;
    let stats = layer.auditor().stats();
    assert_eq!((stats.accepted, stats.written, stats.retries), (3, 3, 0));
    let mut events = store
        .page(&Filter::new(), Seek::Newest, PageSize::MAX)
        .await
        .unwrap()
        .events;
    events.reverse();
    let paths: Vec<_> = events.iter().map(|event| event.target().id()).collect();
    assert_eq!((paths[0], paths[2]), ("before", "after"));
    events
}

/// Returns the row of the bad request, which is the same on both databases.
async fn row_of(bad: impl AsRef<[u8]>) -> AuditEvent {
    let (sqlite, postgres) = (Sqlite::migrated().await, Postgres::migrated().await);
    let reader = tower_audit::SqliteStore::new(sqlite.pool.clone());
    let in_sqlite = recorded(sqlite.pool.clone(), reader, bad.as_ref()).await;
    let reader = tower_audit::PgStore::new(postgres.pool.clone());
    let in_postgres = recorded(postgres.pool.clone(), reader, bad.as_ref()).await;
    assert_eq!(in_sqlite[1].user_agent(), in_postgres[1].user_agent());
    assert_eq!(in_sqlite[1].target(), in_postgres[1].target());
    assert_eq!(in_sqlite[1].metadata(), in_postgres[1].metadata());
    in_postgres.into_iter().nth(1).unwrap()
}

fn noted(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /notes HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn headers_that_are_not_utf8_are_recorded_with_replacements() {
    let bad = b"DELETE /files/x HTTP/1.1\r\nhost: t\r\nuser-agent: a\xff\xfeb\r\nx-request-id: \xc3\x28\r\n\
        traceparent: \xff\r\ncontent-length: 0\r\n\r\n";
    let event = row_of(bad).await;
    assert_eq!(event.user_agent(), Some("a\u{fffd}\u{fffd}b"));
    assert_eq!(
        (event.request_id(), event.trace_id()),
        (Some("\u{fffd}("), None)
    );
}

#[tokio::test]
async fn a_huge_user_agent_is_recorded_cut_and_says_so() {
    let agent = "M".repeat(100_000);
    let bad = format!(
        "DELETE /files/x HTTP/1.1\r\nhost: t\r\nuser-agent: {agent}\r\ncontent-length: 0\r\n\r\n"
    );
    let event = row_of(bad).await;
    let recorded = event.user_agent().unwrap();
    assert!(
        recorded.len() <= 512 && recorded.ends_with("…[cut, 100000 bytes]"),
        "{recorded}"
    );
}

#[tokio::test]
async fn a_nul_in_a_path_parameter_is_recorded_with_a_replacement() {
    let event =
        row_of("DELETE /files/a%00%1b%5b31m HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert_eq!(event.target().id(), "a\u{fffd}\u{fffd}[31m");
    assert_eq!(event.path(), Some("/files/a%00%1b%5b31m"));
}

#[tokio::test]
async fn a_huge_path_is_recorded_cut() {
    let bad = format!(
        "DELETE /files/{} HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n",
        "%20".repeat(10_000)
    );
    let event = row_of(bad).await;
    assert_eq!(
        (event.path().unwrap().len(), event.target().id().len()),
        (2_048, 512)
    );
}

#[tokio::test]
async fn a_nul_in_metadata_is_recorded_with_a_replacement() {
    let event = row_of(noted(r#"{"a\u0000": "b\u0000c", "lone": "\ud83d\ude00"}"#)).await;
    assert_eq!(
        event.metadata().get("body").unwrap(),
        &serde_json::json!({"a\u{fffd}": "b\u{fffd}c", "lone": "😀"})
    );
}

#[tokio::test]
async fn huge_metadata_is_recorded_cut_and_says_so() {
    let event = row_of(noted(&format!("\"{}\"", "x".repeat(500_000)))).await;
    let body = event.metadata().get("body").unwrap().as_str().unwrap();
    assert!(body.len() <= 65_536 && body.ends_with("…[cut, 500000 bytes]"));
    assert_eq!(event.metadata().get(Metadata::CUT).unwrap(), 1);
}

#[tokio::test]
async fn deeply_nested_metadata_is_recorded_cut() {
    let event = row_of(noted(&format!("{}{}", "[".repeat(120), "]".repeat(120)))).await;
    assert!(
        event
            .metadata()
            .get("body")
            .unwrap()
            .to_string()
            .contains("nested too deep")
    );
}

#[tokio::test]
async fn numbers_beyond_every_range_are_recorded() {
    let event = row_of(noted(
        "[1e308, -1e308, 5e-324, 18446744073709551615, -9223372036854775808]",
    ))
    .await;
    assert_eq!(event.metadata().get("body").unwrap()[3], u64::MAX);
}
