//! Annotations in every position, and what the handler says.

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    http::StatusCode,
    middleware::{Next, from_fn},
    routing::{delete, get, post},
};
use http::Method;
use tower_audit::{Annotation, AuditContext, AuditEvent, Outcome, audited, unaudited};

use crate::support::server::{Server, Trail};

fn archive() -> Annotation {
    audited("project.archive").target("project", "id")
}

async fn noop() {}

fn told(event: &AuditEvent) -> (&str, &str, &str) {
    (event.action(), event.target().kind(), event.target().id())
}

async fn event_of(trail: Trail, app: Router, method: &str, path: &str) -> AuditEvent {
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server.client().await.call(method, path, &[], "").await;
    trail.only_event().await
}

#[tokio::test]
async fn an_annotation_on_a_handler_names_action_and_target() {
    let app = Router::new().route("/p/{id}", delete(noop.layer(archive())));
    assert_eq!(
        told(&event_of(Trail::new(), app, "DELETE", "/p/7").await),
        ("project.archive", "project", "7")
    );
}

#[tokio::test]
async fn an_annotation_on_a_method_router_names_action_and_target() {
    let app = Router::new().route("/p/{id}", delete(noop).layer(archive()));
    assert_eq!(
        told(&event_of(Trail::new(), app, "DELETE", "/p/7").await),
        ("project.archive", "project", "7")
    );
}

#[tokio::test]
async fn an_annotation_on_a_route_layer_names_action_and_target() {
    let app = Router::new().route("/p/{id}", delete(noop).route_layer(archive()));
    assert_eq!(
        told(&event_of(Trail::new(), app, "DELETE", "/p/7").await),
        ("project.archive", "project", "7")
    );
}

#[tokio::test]
async fn an_annotation_in_the_table_names_a_request_that_was_refused_before_its_handler() {
    let trail = Trail::new().with(|layer| layer.route(Method::DELETE, "/p/{id}", archive()));
    let refuse = from_fn(|_: Request, _: Next| async { StatusCode::FORBIDDEN });
    let app = Router::new().route("/p/{id}", delete(noop)).layer(refuse);
    let event = event_of(trail, app, "DELETE", "/p/7").await;
    assert_eq!(
        (told(&event), event.outcome()),
        (("project.archive", "project", "7"), Outcome::Denied)
    );
}

#[tokio::test]
async fn an_annotation_on_a_method_router_does_not_name_a_405() {
    let app = Router::new().route("/projects/{id}", get(noop).layer(archive()));
    let event = event_of(Trail::new(), app, "DELETE", "/projects/7").await;
    assert_eq!(
        (told(&event), event.status()),
        (("project.delete", "project", "7"), Some(405))
    );
}

#[tokio::test]
async fn the_annotation_on_the_handler_goes_before_the_one_in_the_table() {
    let trail =
        Trail::new().with(|layer| layer.route(Method::DELETE, "/p/{id}", audited("by.table")));
    let app = Router::new().route("/p/{id}", delete(noop.layer(audited("by.handler"))));
    assert_eq!(
        event_of(trail, app, "DELETE", "/p/7").await.action(),
        "by.handler"
    );
}

#[tokio::test]
async fn what_the_handler_says_goes_before_its_annotation() {
    let handler = |audit: AuditContext| async move {
        audit.action("project.destroy");
        audit.target("folder", 9);
        audit.tenant("acme");
        audit.reason("quota_exceeded");
        audit.outcome(Outcome::Failure);
        audit.metadata("plan", "pro");
    };
    let app = Router::new().route("/p/{id}", delete(handler.layer(archive())));
    let event = event_of(Trail::new(), app, "DELETE", "/p/7").await;
    assert_eq!(told(&event), ("project.destroy", "folder", "9"));
    assert_eq!(
        (event.tenant_id(), event.reason()),
        (Some("acme"), Some("quota_exceeded"))
    );
    assert_eq!(
        (event.outcome(), event.status()),
        (Outcome::Failure, Some(200))
    );
    assert_eq!(event.metadata().get("plan").unwrap(), "pro");
}

#[tokio::test]
async fn an_annotated_read_is_recorded() {
    let app = Router::new().route("/reports/{id}", get(noop.layer(audited("report.download"))));
    assert_eq!(
        told(&event_of(Trail::new(), app, "GET", "/reports/7").await),
        ("report.download", "report", "7")
    );
}

#[tokio::test]
async fn an_unaudited_route_is_not_recorded() {
    let trail = Trail::new();
    let app = Router::new()
        .route("/metrics", post(noop.layer(unaudited())))
        .layer(trail.layer.clone());
    Server::start(app)
        .await
        .client()
        .await
        .call("POST", "/metrics", &[], "")
        .await;
    trail.assert_empty().await;
}

#[tokio::test]
async fn a_parameter_that_the_route_does_not_have_leaves_the_id_empty() {
    let app = Router::new().route(
        "/p/{id}",
        delete(noop.layer(audited("project.archive").target("project", "uuid"))),
    );
    assert_eq!(
        told(&event_of(Trail::new(), app, "DELETE", "/p/7").await),
        ("project.archive", "project", "")
    );
}

#[tokio::test]
async fn an_annotation_without_a_layer_around_it_does_no_harm() {
    let server = Server::start(Router::new().route("/p/{id}", delete(noop.layer(archive())))).await;
    assert_eq!(
        server
            .client()
            .await
            .call("DELETE", "/p/7", &[], "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn code_below_the_handler_finds_the_context_of_its_request_after_an_await() {
    async fn deep() {
        tokio::task::yield_now().await;
        AuditContext::current().unwrap().metadata("depth", 2);
    }
    let app = Router::new().route("/p", post(|| async { deep().await }));
    assert_eq!(
        event_of(Trail::new(), app, "POST", "/p")
            .await
            .metadata()
            .get("depth")
            .unwrap(),
        2
    );
    assert!(AuditContext::current().is_none());
}

#[tokio::test]
async fn the_id_that_a_handler_shows_is_the_id_of_the_row() {
    let trail = Trail::new();
    let app = Router::new()
        .route(
            "/p",
            post(|audit: AuditContext| async move { audit.event_id().to_string() }),
        )
        .layer(trail.layer.clone());
    let answer = Server::start(app)
        .await
        .client()
        .await
        .call("POST", "/p", &[], "")
        .await;
    assert_eq!(
        trail.only_event().await.id().to_string().as_bytes(),
        answer.body
    );
}

#[tokio::test]
async fn what_is_said_after_the_end_goes_nowhere() {
    let trail = Trail::new();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let handler = move |audit: AuditContext| async move { sender.send(audit).await.unwrap() };
    let app = Router::new()
        .route("/p", post(handler))
        .layer(trail.layer.clone());
    Server::start(app)
        .await
        .client()
        .await
        .call("POST", "/p", &[], "")
        .await;
    let event = trail.only_event().await;
    receiver.recv().await.unwrap().metadata("too", "late");
    assert!(event.metadata().is_empty());
    assert_eq!(trail.only_event().await, event);
}
