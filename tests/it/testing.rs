//! What a service's own tests stand on: that its assertions fail when they should.

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderName, HeaderValue, Method, StatusCode},
    routing::{delete, post, put},
};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::Layer;
use tower_audit::{
    Actor, AuditContext, AuditEvent, AuditLayer, Outcome, Target,
    testing::{Coverage, Events, OpenApiError, Trail},
};

/// Returns what an assertion says when it fails.
fn failure<T>(assert: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assert));
    let panic = panic.err().expect("it did not fail");
    panic.downcast_ref::<String>().unwrap().clone()
}

async fn one() -> Events {
    let trail = Trail::new();
    let target = Target::new("project", 7);
    let event = AuditEvent::builder(
        Actor::user("alice").tenant("acme"),
        "project.delete",
        target,
    );
    let event = event
        .outcome(Outcome::Denied)
        .status(403)
        .reason("not_owner");
    let event = event
        .metadata("plan", "pro")
        .ip_address([192, 0, 2, 1].into());
    trail.auditor().record(event.build());
    trail.events().await
}

#[tokio::test]
async fn what_is_so_can_be_asserted() {
    let events = one().await;
    let audited = events.assert_audited("project.delete");
    audited
        .by(&Actor::user("alice"))
        .on("project", "7")
        .outcome(Outcome::Denied)
        .status(403)
        .reason("not_owner")
        .tenant("acme")
        .client([192, 0, 2, 1].into())
        .metadata("plan", "pro");
    assert_eq!(audited.event().target().id(), "7");
    assert_eq!(events.len(), 1);
    events.assert_not_audited("project.create");
    events.assert_without("hunter2");
}

#[tokio::test]
async fn what_is_not_so_fails_and_shows_both_sides() {
    let events = one().await;
    let audited = events.assert_audited("project.delete");
    let check =
        |text: String, says: &str| assert!(text.contains(says), "{text:?} does not say {says:?}");
    check(
        failure(|| audited.by(&Actor::user("bob"))),
        "the actor of `project.delete` is \"user \\\"alice\\\"\", not",
    );
    check(
        failure(|| audited.on("project", "8")),
        "(\"project\", \"7\"), not (\"project\", \"8\")",
    );
    check(
        failure(|| audited.outcome(Outcome::Success)),
        "is Denied, not Success",
    );
    check(
        failure(|| audited.status(200)),
        "is Some(403), not Some(200)",
    );
    check(failure(|| audited.reason("other")), "reason");
    check(failure(|| audited.tenant("other")), "tenant");
    check(failure(|| audited.client([1, 1, 1, 1].into())), "client");
    check(
        failure(|| audited.metadata("plan", "free")),
        "metadata \"plan\"",
    );
    check(
        failure(|| events.assert_audited("project.create")),
        "`project.create` was not audited; these were:\n  project.delete on project \"7\" by user \"alice\": denied, status 403, reason \"not_owner\"",
    );
    check(
        failure(|| events.assert_not_audited("project.delete")),
        "was audited",
    );
    check(failure(|| events.assert_empty()), "something was audited");
    let text = failure(|| events.assert_without("not_owner"));
    assert!(!text.contains("not_owner"), "{text}");
}

#[tokio::test]
async fn an_action_that_was_audited_twice_is_not_audited_once() {
    let trail = Trail::new();
    for _ in 0..2 {
        let event = AuditEvent::builder(Actor::system(), "report.send", Target::none());
        trail.auditor().record(event.build());
    }
    let events = trail.events().await;
    let text = failure(|| events.assert_audited("report.send"));
    assert!(text.contains("was audited 2 times"), "{text}");
}

#[tokio::test]
async fn an_empty_trail_is_empty() {
    Trail::new().events().await.assert_empty();
}

fn app(audit: AuditLayer) -> Router {
    let update = async |Path(id): Path<u64>, Json(_): Json<Value>| id.to_string();
    Router::new()
        .route("/projects", post(async || StatusCode::CREATED))
        .route("/projects/{id}", put(update).delete(async || {}))
        .layer(audit)
        .route("/flush", post(async || {}))
}

fn document() -> Value {
    json!({
        "servers": [{"url": "https://example.org/"}],
        "paths": {
            "/projects": {"get": {}, "post": {}, "parameters": []},
            "/projects/{id}": {"put": {}, "delete": {}},
        }
    })
}

#[tokio::test]
async fn a_service_whose_routes_are_all_audited_is_covered() {
    let trail = Trail::new();
    let report = Coverage::new()
        .openapi(&document())
        .unwrap()
        .route(Method::POST, "/flush")
        .allow(Method::POST, "/flush", "called by a timer")
        .check(&trail, app(trail.layer()))
        .await;
    report.assert_complete();
    assert_eq!(report.checked(), 4);
}

#[tokio::test]
async fn a_route_that_leaves_no_row_is_found() {
    let trail = Trail::new();
    let report = Coverage::new()
        .openapi(&document())
        .unwrap()
        .route(Method::POST, "/flush");
    let report = report.check(&trail, app(trail.layer())).await;
    assert_eq!(
        report.problems(),
        ["POST /flush: answered 200 OK and left no row"]
    );
    assert!(failure(|| report.assert_complete()).contains("1 problems"));
}

#[tokio::test]
async fn a_list_of_exceptions_that_has_become_stale_is_found() {
    let trail = Trail::new();
    let report = Coverage::new()
        .openapi(&document())
        .unwrap()
        .allow(Method::POST, "/projects", "not yet")
        .allow(Method::POST, "/gone", "not yet")
        .check(&trail, app(trail.layer()))
        .await;
    let problems = report.problems().join("\n");
    assert!(
        problems
            .contains("POST /projects: it is allowed to leave no row (not yet), and leaves one"),
        "{problems}"
    );
    assert!(
        problems.contains(
            "POST /gone: it is allowed to leave no row (not yet), and is no route any more"
        ),
        "{problems}"
    );
}

#[tokio::test]
async fn a_route_that_the_app_does_not_have_is_found() {
    let trail = Trail::new();
    let report = Coverage::new()
        .route(Method::POST, "/projecs")
        .route(Method::PATCH, "/projects")
        .route(Method::POST, "/white space")
        .check(&trail, app(trail.layer()))
        .await;
    let problems = report.problems().join("\n");
    assert!(
        problems.contains("POST /projecs: answered 404 Not Found, and its row names no route"),
        "{problems}"
    );
    assert!(
        problems.contains("PATCH /projects: the app has no such method there (405)"),
        "{problems}"
    );
    assert!(
        problems.contains("POST /white space: it cannot be called"),
        "{problems}"
    );
}

#[tokio::test]
async fn a_check_of_nothing_is_none() {
    let trail = Trail::new();
    let report = Coverage::new().check(&trail, app(trail.layer())).await;
    assert_eq!(report.problems(), ["no routes: nothing was checked"]);
    let none = Coverage::new().openapi(&json!({"openapi": "3.1.0"}));
    assert_eq!(none.unwrap_err(), OpenApiError::NoPaths);
    let reads = Coverage::new().openapi(&json!({"paths": {"/": {"get": {}}}}));
    assert_eq!(reads.unwrap_err(), OpenApiError::NoMutations);
}

#[tokio::test]
async fn parameters_headers_and_bodies_are_sent_and_the_base_of_the_server_counts() {
    let trail = Trail::new();
    let handler = async |audit: AuditContext,
                         Path(id): Path<String>,
                         headers: http::HeaderMap,
                         body: String| {
        audit.metadata(
            "seen",
            format!("{id} {} {body}", headers["x-key"].to_str().unwrap()),
        );
    };
    let app = Router::new()
        .route("/v1/things/{id}", delete(handler))
        .layer(trail.layer());
    Coverage::new()
        .openapi(&json!({"servers": [{"url": "https://example.org/v1"}], "paths": {"/things/{id}": {"delete": {}}}}))
        .unwrap()
        .param("id", "seven")
        .header(HeaderName::from_static("x-key"), HeaderValue::from_static("k"))
        .body(Method::DELETE, "/v1/things/{id}", "[1]")
        .check(&trail, app)
        .await
        .assert_complete();
    trail
        .events()
        .await
        .assert_audited("thing.delete")
        .metadata("seen", "seven k [1]");
}

#[tokio::test]
async fn a_service_without_axum_is_checked_too() {
    let trail = Trail::new();
    let layer = trail
        .layer()
        .route(Method::POST, "/things", tower_audit::audited("thing.make"));
    let service =
        layer
            .any_body()
            .layer(tower::service_fn(async |_: http::Request<Full<Bytes>>| {
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
            }));
    let coverage = Coverage::new().route(Method::POST, "/things");
    let report = coverage
        .check_service::<_, Full<Bytes>, _>(&trail, service)
        .await;
    report.assert_complete();
}

#[tokio::test]
async fn a_route_that_only_a_fallback_answers_is_found() {
    let trail = Trail::new();
    let app = Router::new()
        .fallback(async || "index.html")
        .layer(trail.layer());
    let report = Coverage::new()
        .route(Method::POST, "/gone")
        .check(&trail, app)
        .await;
    assert!(report.problems()[0].contains("names no route"), "{report}");
}

#[tokio::test]
async fn an_exception_whose_route_is_gone_is_found() {
    let trail = Trail::new();
    let app = Router::new().route("/x", post(async || {}).route_layer(trail.layer()));
    let coverage = Coverage::new().route(Method::POST, "/login");
    let report = coverage
        .allow(Method::POST, "/login", "asks too often")
        .check(&trail, app)
        .await;
    assert_eq!(
        report.problems(),
        ["POST /login: the app has no such route (404)"]
    );
}

#[tokio::test]
async fn a_route_that_leaves_a_row_for_failures_alone_is_found_if_calls_must_succeed() {
    let trail = Trail::new();
    let skips = async |audit: AuditContext, Json(_): Json<Vec<u8>>| audit.skip();
    let app = Router::new().route("/x", post(skips)).layer(trail.layer());
    let coverage = || Coverage::new().route(Method::POST, "/x");
    let refused = coverage().check(&trail, app.clone()).await;
    assert_eq!(
        refused.calls(),
        [("POST /x".to_owned(), StatusCode::UNPROCESSABLE_ENTITY)]
    );
    refused.assert_complete();
    let refused = coverage().expect_success().check(&trail, app.clone()).await;
    assert!(refused.problems()[0].contains("answered 422"), "{refused}");
    let called = coverage().expect_success().body(Method::POST, "/x", "[]");
    let report = called.check(&trail, app).await;
    assert_eq!(
        report.problems(),
        ["POST /x: answered 200 OK and left no row"]
    );
}

#[tokio::test]
async fn the_answer_is_read_to_its_end() {
    let trail = Trail::new();
    let rule = tower_audit::policy::Rule::skip("successes").outcomes([Outcome::Success]);
    let policy = tower_audit::Policy::builder().rule(rule).build().unwrap();
    let app = Router::new()
        .route("/x", post(async || "done"))
        .layer(trail.layer().policy(policy));
    let report = Coverage::new()
        .route(Method::POST, "/x")
        .check(&trail, app)
        .await;
    assert_eq!(
        report.problems(),
        ["POST /x: answered 200 OK and left no row"]
    );
}

#[tokio::test]
async fn what_else_is_recorded_meanwhile_covers_no_route() {
    let trail = Trail::new();
    let auditor = trail.auditor().clone();
    let other = async move || {
        auditor.record(AuditEvent::builder(Actor::system(), "report.send", Target::none()).build());
    };
    let app = Router::new().route("/x", post(other));
    let report = Coverage::new()
        .route(Method::POST, "/x")
        .check(&trail, app)
        .await;
    assert_eq!(
        report.problems(),
        ["POST /x: answered 200 OK and left no row"]
    );
}

#[tokio::test]
async fn a_document_with_references_is_refused() {
    let document =
        json!({"paths": {"/a": {"$ref": "#/components/pathItems/a"}, "/b": {"post": {}}}});
    let refused = Coverage::new().openapi(&document).unwrap_err();
    assert_eq!(refused, OpenApiError::Reference("/a".to_owned()));
}
