//! The memory of a request that was recorded is used again: nothing of it is in the row of another one.

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, Request, StatusCode},
    routing::{delete, post},
};
use tower::ServiceExt;
use tower_audit::{Actor, AuditContext, AuditEvent, PeerAddr};

use crate::support::server::Trail;

/// Says as much as there is to say, or nothing.
async fn handler(audit: AuditContext, headers: HeaderMap) -> StatusCode {
    let Some(number) = headers.get("x-full") else {
        return StatusCode::NO_CONTENT;
    };
    let number = number.to_str().unwrap();
    // The id is made when somebody asks.
    let _ = audit.event_id();
    audit.actor(Actor::user(number).name(format!("name of {number}")));
    audit.action(format!("thing.act_{number}"));
    audit.target("thing", format!("id of {number}"));
    audit.tenant(format!("tenant of {number}"));
    audit.reason(format!("reason of {number}"));
    audit.metadata("number", number);
    StatusCode::CONFLICT
}

async fn plain(Path(_id): Path<String>) {}

fn full(number: usize) -> Request<Body> {
    let mut request = Request::post("/things/made/by/somebody?secret=1")
        .header("x-full", number.to_string())
        .header("user-agent", format!("agent of {number}"))
        .header("x-request-id", format!("request of {number}"))
        .header(
            "traceparent",
            format!("00-{number:032x}-00f067aa0ba902b7-01"),
        )
        .body(Body::empty())
        .unwrap();
    let peer = ([10, 0, 0, 7], 1).into();
    request.extensions_mut().insert(PeerAddr(peer));
    request
}

fn bare() -> Request<Body> {
    Request::delete("/p/1").body(Body::empty()).unwrap()
}

/// What a row says of who, what and from where.
fn told(event: &AuditEvent) -> [Option<String>; 13] {
    let text = |text: Option<&str>| text.map(str::to_owned);
    [
        text(Some(event.actor().id())),
        text(event.actor().display_name()),
        text(Some(event.action())),
        text(Some(event.target().id())),
        text(event.tenant_id()),
        text(event.reason()),
        event.metadata().get("number").map(ToString::to_string),
        text(event.user_agent()),
        text(event.request_id()),
        text(event.trace_id()),
        text(event.route()),
        text(event.path()),
        event.peer_address().map(|address| address.to_string()),
    ]
}

fn expected_of_full(number: usize) -> [Option<String>; 13] {
    [
        number.to_string(),
        format!("name of {number}"),
        format!("thing.act_{number}"),
        format!("id of {number}"),
        format!("tenant of {number}"),
        format!("reason of {number}"),
        format!("\"{number}\""),
        format!("agent of {number}"),
        format!("request of {number}"),
        format!("{number:032x}"),
        "/things/made/by/{whom}".to_owned(),
        "/things/made/by/somebody".to_owned(),
        "10.0.0.7".to_owned(),
    ]
    .map(Some)
}

fn expected_of_bare() -> [Option<String>; 13] {
    let some = |text: &str| Some(text.to_owned());
    let mut expected = [const { None }; 13];
    expected[0] = some("anonymous");
    expected[2] = some("p.delete");
    expected[3] = some("1");
    expected[10] = some("/p/{id}");
    expected[11] = some("/p/1");
    expected
}

#[tokio::test]
async fn nothing_of_one_request_is_in_the_row_of_another() {
    let trail = Trail::new();
    let app = Router::new()
        .route("/things/made/by/{whom}", post(handler))
        .route("/p/{id}", delete(plain))
        .layer(trail.layer.clone());
    for round in 1..=5 {
        let pairs = (0..40).flat_map(|number| [full(1_000 * round + number), bare()]);
        // One apart, so that the others take each other's places in the next round.
        for requests in [vec![bare()], pairs.collect()] {
            for request in requests {
                let response = app.clone().oneshot(request).await.unwrap();
                drop(response.into_body());
            }
            // The worker has given back the memory of all of them.
            trail.layer.auditor().flush().await;
        }
    }
    let events = trail.store.events();
    assert_eq!(events.len(), 405);
    for event in &events {
        let expected = match event.actor().id().parse() {
            Ok(number) => expected_of_full(number),
            Err(_) => expected_of_bare(),
        };
        assert_eq!(told(event), expected);
    }
}
