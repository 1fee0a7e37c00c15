//! Wherever the layer stands, actor, route and target are right or honestly empty.

use axum::{
    Extension, Router,
    extract::Request,
    handler::Handler,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::{delete, get},
};
use http::Method;
use tower::{Layer, ServiceExt};
use tower_audit::{Actor, AuditContext, AuditEvent, Outcome, audited, identify, identify_if};

use crate::support::server::{Server, Trail};

#[derive(Clone)]
struct AuthUser(&'static str);

/// What an auth layer does: it knows one token, and refuses all others.
async fn authenticate(mut req: Request, next: Next) -> Result<Response, StatusCode> {
    if req
        .headers()
        .get("authorization")
        .is_none_or(|token| token != "alice's")
    {
        return Err(StatusCode::UNAUTHORIZED);
    }
    req.extensions_mut().insert(AuthUser("alice"));
    Ok(next.run(req).await)
}

fn who() -> tower_audit::Identify<AuthUser> {
    identify::<AuthUser>(|user| Actor::user(user.0))
}

fn routes() -> Router {
    Router::new().route("/projects/{id}", delete(|| async {}))
}

async fn delete_project(app: Router, headers: &[&str]) -> u16 {
    let server = Server::start(app).await;
    server
        .client()
        .await
        .call("DELETE", "/projects/7", headers, "")
        .await
        .status
}

fn told(event: &AuditEvent) -> (&str, Option<&str>, &str, &str) {
    (
        event.actor().id(),
        event.route(),
        event.action(),
        event.target().id(),
    )
}

const TOKEN: &[&str] = &["authorization: alice's"];
const ROUTE: Option<&str> = Some("/projects/{id}");

#[tokio::test]
async fn outside_of_auth_the_actor_and_the_refusals_are_seen() {
    for (headers, actor, outcome) in [
        (TOKEN, "alice", Outcome::Success),
        (&[], "anonymous", Outcome::Denied),
    ] {
        let trail = Trail::new();
        let app = routes()
            .layer(who())
            .layer(from_fn(authenticate))
            .layer(trail.layer.clone());
        delete_project(app, headers).await;
        let event = trail.only_event().await;
        assert_eq!(
            (told(&event), event.outcome()),
            ((actor, ROUTE, "project.delete", "7"), outcome)
        );
    }
}

#[tokio::test]
async fn inside_of_auth_the_actor_is_seen_and_the_refusals_are_not() {
    let trail = Trail::new();
    let app = || {
        routes()
            .layer(trail.layer.clone())
            .layer(who())
            .layer(from_fn(authenticate))
    };
    assert_eq!(delete_project(app(), &[]).await, 401);
    trail.assert_empty().await;
    delete_project(app(), TOKEN).await;
    assert_eq!(
        told(&trail.only_event().await),
        ("alice", ROUTE, "project.delete", "7")
    );
}

#[tokio::test]
async fn inside_of_auth_a_closure_finds_the_actor_in_the_extensions() {
    let find = |req: &tower_audit::RequestInfo<'_>| {
        req.extensions()
            .get::<AuthUser>()
            .map(|user| Actor::user(user.0).name("by closure"))
    };
    let trail = Trail::new().with(|layer| layer.actor(find));
    delete_project(
        routes()
            .layer(trail.layer.clone())
            .layer(from_fn(authenticate)),
        TOKEN,
    )
    .await;
    assert_eq!(
        trail.only_event().await.actor().display_name(),
        Some("by closure")
    );
}

#[tokio::test]
async fn whoever_names_the_actor_last_counts() {
    let trail = Trail::new().with(|layer| layer.actor(|_| Some(Actor::api_key("by closure"))));
    let handler = |audit: AuditContext| async move { audit.actor(Actor::user("by handler")) };
    let app = Router::new()
        .route("/projects/{id}", delete(handler))
        .layer(who())
        .layer(Extension(AuthUser("by identify")))
        .layer(trail.layer.clone());
    delete_project(app, &[]).await;
    assert_eq!(trail.only_event().await.actor().id(), "by handler");
}

#[tokio::test]
async fn an_extension_without_a_user_leaves_the_actor_as_it_was() {
    let trail = Trail::new().with(|layer| layer.actor(|_| Some(Actor::api_key("by closure"))));
    let nobody = identify_if::<AuthUser>(|_| None);
    let app = routes()
        .layer(nobody)
        .layer(Extension(AuthUser("alice")))
        .layer(trail.layer.clone());
    delete_project(app, &[]).await;
    assert_eq!(trail.only_event().await.actor().id(), "by closure");
}

#[tokio::test]
async fn on_a_nested_router_route_and_path_are_whole() {
    let trail = Trail::new();
    let app = Router::new().nest("/api/{org}", routes().layer(trail.layer.clone()));
    Server::start(app)
        .await
        .client()
        .await
        .call("DELETE", "/api/acme/projects/7", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(
        told(&event),
        (
            "anonymous",
            Some("/api/{org}/projects/{id}"),
            "project.delete",
            "7"
        )
    );
    assert_eq!(event.path(), Some("/api/acme/projects/7"));
}

#[tokio::test]
async fn around_a_nested_router_route_and_path_are_whole() {
    let trail = Trail::new();
    let app = Router::new()
        .nest("/api", routes())
        .layer(trail.layer.clone());
    Server::start(app)
        .await
        .client()
        .await
        .call("DELETE", "/api/projects/7", &[], "")
        .await;
    assert_eq!(
        told(&trail.only_event().await),
        (
            "anonymous",
            Some("/api/projects/{id}"),
            "project.delete",
            "7"
        )
    );
}

#[tokio::test]
async fn behind_nest_service_an_inner_layer_sees_the_whole_route() {
    let trail = Trail::new();
    let app = Router::new().nest_service("/api", routes().layer(trail.layer.clone()));
    Server::start(app)
        .await
        .client()
        .await
        .call("DELETE", "/api/projects/7", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(
        told(&event),
        (
            "anonymous",
            Some("/api/projects/{id}"),
            "project.delete",
            "7"
        )
    );
    assert_eq!(event.path(), Some("/api/projects/7"));
}

#[tokio::test]
async fn around_nest_service_the_route_is_honestly_empty() {
    let trail = Trail::new();
    let app = Router::new()
        .nest_service("/api", routes())
        .layer(trail.layer.clone());
    Server::start(app)
        .await
        .client()
        .await
        .call("DELETE", "/api/projects/7", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(told(&event), ("anonymous", None, "http.delete", ""));
    assert_eq!(event.path(), Some("/api/projects/7"));
}

#[tokio::test]
async fn around_nest_service_an_annotation_inside_brings_the_route() {
    let trail = Trail::new();
    let handler = (|| async {}).layer(audited("project.archive").target("project", "id"));
    let inner = Router::new().route("/projects/{id}", delete(handler));
    let app = Router::new()
        .nest_service("/api", inner)
        .layer(trail.layer.clone());
    Server::start(app)
        .await
        .client()
        .await
        .call("DELETE", "/api/projects/7", &[], "")
        .await;
    assert_eq!(
        told(&trail.only_event().await),
        (
            "anonymous",
            Some("/api/projects/{id}"),
            "project.archive",
            "7"
        )
    );
}

/// Calls an app that is no router to the outside.
async fn call_around(trail: &Trail, app: Router, path: &str) {
    let service = trail.layer.layer(app);
    let request = Request::delete(path)
        .header("authorization", "alice's")
        .body(axum::body::Body::empty())
        .unwrap();
    drop(service.oneshot(request).await.unwrap());
}

#[tokio::test]
async fn around_the_whole_router_the_actor_is_seen_and_the_route_is_honestly_empty() {
    let trail = Trail::new();
    let app = Router::new()
        .route("/projects/{id}", delete(|| async {}))
        .layer(Extension(AuthUser("alice")));
    call_around(&trail, app, "/projects/7").await;
    assert_eq!(
        told(&trail.only_event().await),
        ("anonymous", None, "http.delete", "")
    );
}

#[tokio::test]
async fn around_the_whole_router_an_inner_identify_brings_actor_route_and_target() {
    let trail = Trail::new();
    call_around(
        &trail,
        routes().layer(who()).layer(from_fn(authenticate)),
        "/projects/7",
    )
    .await;
    assert_eq!(
        told(&trail.only_event().await),
        ("alice", ROUTE, "project.delete", "7")
    );
}

#[tokio::test]
async fn around_the_whole_router_the_table_on_the_layer_knows_the_route() {
    let archive = || audited("project.archive").target("project", "id");
    let trail = Trail::new().with(|layer| layer.route(Method::DELETE, "/projects/{id}", archive()));
    call_around(
        &trail,
        routes().layer(from_fn(|_: Request, _: Next| async {
            StatusCode::FORBIDDEN
        })),
        "/projects/a%20b",
    )
    .await;
    assert_eq!(
        told(&trail.only_event().await),
        ("anonymous", ROUTE, "project.archive", "a b")
    );
}

#[tokio::test]
async fn a_route_that_is_added_after_the_layer_is_not_audited_and_its_context_is_refused() {
    let trail = Trail::new();
    let app = Router::new()
        .layer(trail.layer.clone())
        .route("/late", get(|_: AuditContext| async { "ran" }))
        .route(
            "/optional",
            get(|audit: Option<AuditContext>| async move { audit.is_none().to_string() }),
        );
    let server = Server::start(app).await;
    assert_eq!(
        server
            .client()
            .await
            .call("GET", "/late", &[], "")
            .await
            .status,
        500
    );
    assert_eq!(
        server
            .client()
            .await
            .call("GET", "/optional", &[], "")
            .await
            .body,
        b"true"
    );
    trail.assert_empty().await;
}

#[tokio::test]
async fn the_peer_of_the_socket_is_the_address_whatever_a_header_says() {
    let trail = Trail::new();
    let headers = [
        "x-forwarded-for: 203.0.113.9",
        "forwarded: for=203.0.113.9",
        "user-agent: test/1",
    ];
    delete_project(routes().layer(trail.layer.clone()), &headers).await;
    let event = trail.only_event().await;
    let local = Some("127.0.0.1".parse().unwrap());
    assert_eq!(
        (event.ip_address(), event.peer_address(), event.user_agent()),
        (local, local, Some("test/1"))
    );
}

#[tokio::test]
async fn without_a_peer_there_is_no_address() {
    let trail = Trail::new();
    call_around(&trail, routes(), "/projects/7").await;
    assert_eq!(trail.only_event().await.ip_address(), None);
}

#[tokio::test]
async fn a_mapped_peer_is_recorded_as_ipv4() {
    use axum::extract::connect_info::MockConnectInfo;
    let trail = Trail::new();
    let peer: std::net::SocketAddr = "[::ffff:192.0.2.7]:9".parse().unwrap();
    let app = routes()
        .layer(trail.layer.clone())
        .layer(MockConnectInfo(peer));
    drop(
        app.oneshot(
            Request::delete("/projects/7")
                .body(axum::body::Body::empty())
                .unwrap(),
        )
        .await,
    );
    assert_eq!(
        trail.only_event().await.ip_address(),
        Some("192.0.2.7".parse().unwrap())
    );
}

#[tokio::test]
async fn request_id_and_trace_id_are_recorded() {
    let trail = Trail::new();
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    delete_project(
        routes().layer(trail.layer.clone()),
        &["x-request-id: r-1", trace],
    )
    .await;
    let event = trail.only_event().await;
    assert_eq!(event.request_id(), Some("r-1"));
    assert_eq!(event.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[tokio::test]
async fn a_request_id_that_was_made_inside_is_taken_from_the_response() {
    let trail = Trail::new();
    let app = Router::new().route(
        "/projects/{id}",
        delete(|| async { [("x-request-id", "made-inside")] }),
    );
    delete_project(app.layer(trail.layer.clone()), &[]).await;
    assert_eq!(trail.only_event().await.request_id(), Some("made-inside"));
}
