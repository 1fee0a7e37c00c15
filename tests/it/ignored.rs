//! Requests that the policy ignores.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    handler::Handler,
    routing::{get, post},
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_audit::{
    Actor, AuditContext, AuthFailed, Mode, Outcome, Policy, audited, call::Job, catalog::api_key,
    identify, policy::Rule,
};

use crate::support::{
    server::{Server, Trail},
    soon,
};

#[audited(action = "key.rotate")]
async fn rotate() -> StatusCode {
    StatusCode::BAD_GATEWAY
}

#[tokio::test]
async fn nobody_brings_back_what_a_rule_ignores() {
    let app = || {
        Router::new()
            .route(
                "/a/handler",
                post(async |audit: AuditContext| audit.record()),
            )
            .route("/a/route", post((async || {}).layer(audited("a.b"))))
            .route("/a/call", post(rotate))
            .route("/a/denied", post(async || StatusCode::FORBIDDEN))
    };
    for (path, status) in [
        ("/a/handler", 200),
        ("/a/route", 200),
        ("/a/call", 502),
        ("/a/denied", 403),
        ("/a/none", 404),
    ] {
        let trail = Trail::under([Rule::ignore("a").path_prefix("/a")]);
        assert_eq!(trail.call(app(), "POST", path).await, status, "{path}");
        trail.assert_empty().await;
    }
}

#[tokio::test]
async fn a_job_that_an_ignored_handler_runs_is_recorded() {
    let (trail, jobs) = (Trail::under([Rule::ignore("all")]), Trail::new());
    let auditor = jobs.layer.auditor().clone();
    let handler = async move || Job::new(&auditor).run(rotate()).await;
    trail
        .call(Router::new().route("/", post(handler)), "POST", "/")
        .await;
    assert_eq!(jobs.only_event().await.action(), "key.rotate");
    trail.assert_empty().await;
}

#[tokio::test]
async fn whom_a_layer_between_names_is_the_actor_of_the_layer_inside_of_one_that_ignores() {
    let (outer, inner) = (Trail::under([Rule::ignore("all")]), Trail::new());
    let app = Router::new()
        .route("/", post(async || {}))
        .layer(inner.layer.clone())
        .layer(identify::<u64>(|id| Actor::user(*id)))
        .layer(axum::Extension(7_u64));
    outer.call(app, "POST", "/").await;
    assert_eq!(inner.only_event().await.actor(), &Actor::user(7));
    outer.assert_empty().await;
}

#[tokio::test]
async fn what_is_said_of_an_ignored_request_is_not_said_of_a_recorded_one_around_it() {
    let (outer, inner) = (Trail::new(), Trail::under([Rule::ignore("all")]));
    let handler = async || AuditContext::current().unwrap().skip();
    let app = Router::new()
        .route("/", get(handler))
        .layer(inner.layer.clone());
    let around = async move || {
        let request = Request::get("/").body(Body::empty()).unwrap();
        app.oneshot(request).await.unwrap().status()
    };
    outer
        .call(Router::new().route("/", post(around)), "POST", "/")
        .await;
    outer.only_event().await;
    inner.assert_empty().await;
}

#[tokio::test]
async fn what_is_ignored_waits_for_no_store_whatever_its_mode() {
    let store = tower_audit::MemoryStore::new();
    let auditor = tower_audit::Auditor::new(store);
    soon(auditor.shutdown(std::time::Duration::ZERO)).await;
    let policy = Policy::builder().rule(Rule::ignore("a").path_prefix("/a"));
    let layer = tower_audit::AuditLayer::new(&auditor)
        .policy(policy.build().unwrap())
        .mode(Mode::Strict);
    let strict = (async || {}).layer(audited("a.b").mode(Mode::Strict));
    let app = Router::new()
        .route("/a", post(strict.clone()))
        .route("/b", post(strict))
        .layer(layer);
    let server = Server::start(app).await;
    let mut client = server.client().await;
    assert_eq!(client.call("POST", "/a", &[], "").await.status, 200);
    assert_eq!(client.call("POST", "/b", &[], "").await.status, 503);
}

#[tokio::test]
async fn whoever_asks_for_the_context_of_an_ignored_request_has_one_that_keeps_nothing() {
    let trail = Trail::under([Rule::ignore("all")]);
    let handler = async |audit: AuditContext, maybe: Option<AuditContext>| {
        assert!(maybe.is_some() && AuditContext::current().is_some());
        audit.actor(Actor::user(1));
        audit.action("a.b");
        audit.target("a", "1");
        audit.target_id("2");
        audit.did(api_key::rotated("k-1"));
        audit.tenant("t");
        audit.metadata("a", 1);
        audit.reason("r");
        audit.auth_failed(AuthFailed::new("r"));
        audit.outcome(Outcome::Failure);
        audit.skip();
        assert!(audit.peer().is_none() && audit.client().is_none());
        assert!(audit.arrived_at() <= chrono::Utc::now());
        format!("{} {audit:?}", audit.event_id())
    };
    let app = Router::new().route("/", post(handler));
    assert_eq!(trail.call(app, "POST", "/").await, 200);
    trail.assert_empty().await;
}

/// Returns whether a service on its own, when it is called, is told that the request is ignored.
async fn is_ignored(trail: &Trail, request: http::request::Builder) -> bool {
    let service = service_fn(|req: Request<()>| {
        let is_there = AuditContext::of(req.extensions()).is_some();
        let is_kept = req.extensions().get::<AuditContext>().is_some();
        async move { Ok::<_, Infallible>(Response::new((is_there && !is_kept).to_string())) }
    });
    let service = trail.layer.any_body().layer(service);
    let answer = soon(service.oneshot(request.body(()).unwrap()));
    answer.await.unwrap().collect().await.unwrap().to_bytes() == "true"
}

#[tokio::test]
async fn a_service_is_told_when_it_is_called_that_a_request_is_ignored() {
    let trail = Trail::under([Rule::ignore("a").path_prefix("/a")]);
    assert!(is_ignored(&trail, Request::post("/a")).await);
    assert!(!is_ignored(&trail, Request::post("/b")).await);
}

#[tokio::test]
async fn behind_a_rule_for_failures_only_those_are_recorded_and_nobody_brings_back_the_others() {
    let failures = || Rule::record("failures").outcomes([Outcome::Failure]);
    for (status, is_recorded) in [(200, false), (500, true)] {
        let trail = Trail::under([failures(), Rule::ignore("rest")]);
        let handler = async move |audit: AuditContext| {
            audit.record();
            StatusCode::from_u16(status).unwrap()
        };
        let app = Router::new().route("/", get(handler.layer(audited("a.b"))));
        assert_eq!(trail.call(app, "GET", "/").await, status);
        if is_recorded {
            assert_eq!(trail.only_event().await.status(), Some(500));
        } else {
            trail.assert_empty().await;
        }
    }
}

#[tokio::test]
async fn a_route_that_is_known_only_inside_is_ignored_all_the_same() {
    let trail = Trail::under([Rule::ignore("things").route("/things/{id}")]);
    let app = Router::new().route(
        "/things/{id}",
        post(async |audit: AuditContext| audit.record()),
    );
    let service = trail.layer.layer(app);
    let request = Request::post("/things/7").body(Body::empty()).unwrap();
    drop(soon(service.oneshot(request)).await.unwrap());
    trail.assert_empty().await;
}

#[tokio::test]
async fn the_table_of_the_layer_knows_the_route_of_what_is_ignored() {
    let policy = Policy::builder().rule(Rule::ignore("things").route("/things/{id}"));
    let policy = policy.build().unwrap();
    let trail = Trail::new().with(|layer| {
        layer
            .policy(policy)
            .route(http::Method::POST, "/things/{id}", audited("a.b"))
    });
    let request = Request::post("/things/7");
    assert!(is_ignored(&trail, request).await);
    trail.assert_empty().await;
}

#[tokio::test]
async fn below_a_nested_router_the_whole_path_counts() {
    let trail = Trail::under([Rule::ignore("things").path_prefix("/api/things")]);
    // What is ignored from the start knows nothing of its client.
    let handler = async |audit: AuditContext| assert!(audit.peer().is_none());
    let inner = Router::new()
        .route("/things", post(handler))
        .layer(trail.layer.clone());
    let server = Server::start(Router::new().nest("/api", inner)).await;
    let mut client = server.client().await;
    let answer = client.call("POST", "/api/things", &[], "").await;
    assert_eq!(answer.status, 200);
    trail.assert_empty().await;
}

#[tokio::test]
async fn a_path_that_climbs_out_of_what_is_ignored_is_recorded() {
    let trail = Trail::under([Rule::ignore("health").path_prefix("/healthz")]);
    let app = Router::new().fallback(async || {});
    trail.call(app, "POST", "/healthz/%2e%2e/admin").await;
    trail.only_event().await;
}

#[tokio::test]
async fn a_path_that_climbs_out_of_a_route_that_is_ignored_is_recorded() {
    let trail = Trail::under([Rule::ignore("static").route("/static/**")]);
    let app = Router::new().route("/static/{*path}", post(async || {}));
    trail.call(app, "POST", "/static/../admin").await;
    trail.only_event().await;
}

#[tokio::test]
async fn a_layer_inside_of_one_that_ignores_a_request_records_it() {
    let outer = Trail::under([Rule::ignore("all")]);
    let inner = Trail::new();
    let app = Router::new()
        .route("/", post(async |audit: AuditContext| audit.action("a.b")))
        .layer(inner.layer.clone());
    outer.call(app, "POST", "/").await;
    assert_eq!(inner.only_event().await.action(), "a.b");
    outer.assert_empty().await;
}
