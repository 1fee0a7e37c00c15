//! Who did it: however that becomes known.

use axum::{
    Extension, Router,
    extract::Request,
    handler::Handler,
    http::{StatusCode, header::LOCATION},
    middleware::{Next, from_fn},
    response::{AppendHeaders, IntoResponse, Response},
    routing::post,
};
use tower_audit::{
    Actor, AuditContext, AuditEvent, AuthFailed, Outcome, audited, identify, privacy::hashed,
};

use crate::support::server::{Server, Trail};

async fn event_of(trail: &Trail, app: Router) -> AuditEvent {
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server.client().await.call("POST", "/", &[], "").await;
    trail.only_event().await
}

#[tokio::test]
async fn an_actor_in_the_extensions_of_the_response_counts() {
    let handler = async || (Extension(Actor::user("alice").tenant("acme")), "done");
    let event = event_of(&Trail::new(), Router::new().route("/", post(handler))).await;
    assert_eq!(event.actor(), &Actor::user("alice"));
    assert_eq!(event.tenant_id(), Some("acme"));
}

#[tokio::test]
async fn all_that_is_known_of_an_actor_is_recorded() {
    #[derive(Clone)]
    struct Session {
        id: &'static str,
        user: u64,
    }
    let session = Session {
        id: "raw-session-id",
        user: 42,
    };
    let actor = |session: &Session| {
        Actor::user(session.user)
            .name("Alice")
            .auth_method("session")
            .credential_id(hashed(session.id))
            .on_behalf_of("bob")
            .tenant("acme")
    };
    let app = Router::new().route("/", post(async || {}));
    let app = app.layer(identify(actor)).layer(Extension(session));
    let event = event_of(&Trail::new(), app).await;
    let actor = event.actor();
    assert_eq!(
        (actor.id(), actor.display_name(), actor.method()),
        ("42", Some("Alice"), Some("session"))
    );
    assert_eq!(actor.principal(), Some("bob"));
    assert!(actor.credential().unwrap().starts_with("sha256:"));
    assert_eq!(event.tenant_id(), Some("acme"));
    assert!(
        !serde_json::to_string(&event)
            .unwrap()
            .contains("raw-session-id")
    );
}

#[tokio::test]
async fn who_was_claimed_in_vain_is_the_reason_and_not_the_actor() {
    let handler = async |audit: AuditContext| {
        audit.auth_failed(AuthFailed::new("wrong_password").claimed("ali\0ce"));
        // A form that is shown again is a success to HTTP.
        StatusCode::OK
    };
    let event = event_of(&Trail::new(), Router::new().route("/", post(handler))).await;
    assert_eq!(event.actor(), &Actor::anonymous());
    assert_eq!(event.outcome(), Outcome::Denied);
    assert_eq!(
        event.reason(),
        Some("wrong_password (claimed: \"ali\u{fffd}ce\")")
    );
}

#[tokio::test]
async fn an_auth_layer_may_leave_its_failure_in_the_response() {
    async fn refuse(_: Request, _: Next) -> Response {
        (
            StatusCode::UNAUTHORIZED,
            Extension(AuthFailed::new("no_token")),
        )
            .into_response()
    }
    let app = Router::new()
        .route("/", post(async || {}))
        .layer(from_fn(refuse));
    let event = event_of(&Trail::new(), app).await;
    assert_eq!(
        (event.outcome(), event.reason()),
        (Outcome::Denied, Some("no_token"))
    );
}

#[tokio::test]
async fn a_claim_without_end_leaves_room_for_the_code() {
    let handler = async |audit: AuditContext| {
        audit.auth_failed(AuthFailed::new("wrong_password").claimed("a".repeat(10_000)));
    };
    let event = event_of(&Trail::new(), Router::new().route("/", post(handler))).await;
    let reason = event.reason().unwrap();
    assert!(
        reason.starts_with("wrong_password (claimed: \"aaa")
            && reason.ends_with("[cut, 10000 bytes]\")"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_created_id_is_taken_from_the_location_where_that_is_asked_for() {
    let check = async |status: StatusCode, location: &'static str, id: &str| {
        let handler = async move || (status, AppendHeaders([(LOCATION, location)]));
        let annotation = audited("project.create")
            .target_kind("project")
            .id_from_location();
        let app = Router::new().route("/", post(handler.layer(annotation)));
        let event = event_of(&Trail::new(), app).await;
        assert_eq!(event.target().id(), id, "{status} {location}");
    };
    check(StatusCode::CREATED, "/projects/7", "7").await;
    check(
        StatusCode::CREATED,
        "https://example.org/projects/a%20b/?x=y#z",
        "a b",
    )
    .await;
    check(StatusCode::OK, "7", "7").await;
    check(StatusCode::SEE_OTHER, "/login", "").await;
    check(StatusCode::CREATED, "https://example.org", "").await;
    check(StatusCode::CREATED, "/", "").await;
    check(StatusCode::CONFLICT, "/projects/7", "").await;
}

#[tokio::test]
async fn a_created_id_that_the_handler_says_goes_before_the_location() {
    let handler = async |audit: AuditContext| {
        audit.target_id("of-the-handler");
        AppendHeaders([(LOCATION, "/projects/7")])
    };
    let annotation = audited("project.create")
        .target_kind("project")
        .id_from_location();
    let app = Router::new().route("/", post(handler.layer(annotation)));
    assert_eq!(
        event_of(&Trail::new(), app).await.target().id(),
        "of-the-handler"
    );
}

#[tokio::test]
async fn a_location_that_nobody_asked_for_is_not_looked_at() {
    let handler = async || AppendHeaders([(LOCATION, "/projects/7")]);
    let event = event_of(&Trail::new(), Router::new().route("/", post(handler))).await;
    assert_eq!(event.target().id(), "");
}
