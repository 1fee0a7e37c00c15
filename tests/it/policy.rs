//! What a policy decides, on a running layer.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::StatusCode,
    routing::{get, post},
};
use tokio::sync::Notify;
use tower_audit::{
    Actor, AuditContext, AuditLayer, Auditor, DeliverySettings, MemoryStore, Mode, Outcome, Policy,
    audited,
    client::TrustedProxies,
    policy::{Bodies, Capture, PolicyError, Rule},
    unaudited,
};

use crate::support::{
    server::{Server, Trail, policy},
    soon,
};

#[tokio::test]
async fn a_rule_sees_who_it_was_and_how_it_ended() {
    let rules = || {
        [
            Rule::skip("jobs of acme")
                .actors([tower_audit::ActorKind::ApiKey])
                .tenant("acme")
                .status("2xx"),
            Rule::record("all"),
        ]
    };
    for (tenant, status, is_recorded) in [
        ("acme", 200, false),
        ("acme", 404, true),
        ("other", 200, true),
    ] {
        let trail = Trail::under(rules());
        let handler = async move |audit: AuditContext| {
            audit.actor(Actor::api_key("k-1"));
            audit.tenant(tenant);
            StatusCode::from_u16(status).unwrap()
        };
        trail
            .call(Router::new().route("/", get(handler)), "GET", "/")
            .await;
        if is_recorded {
            assert_eq!(trail.only_event().await.tenant_id(), Some(tenant));
        } else {
            trail.assert_empty().await;
        }
    }
}

#[tokio::test]
async fn a_rule_sees_the_route_behind_a_layer_around_the_router() {
    let trail = Trail::under([Rule::record("admin").route("/admin/**"), Rule::skip("rest")]);
    // The extractor notes the route from inside.
    let app = Router::new().route("/admin/{id}", get(async |_: AuditContext| {}));
    let service = tower::ServiceBuilder::new()
        .layer(trail.layer.clone())
        .service(app);
    let request = http::Request::get("/admin/7").body(axum::body::Body::empty());
    let answer = tower::ServiceExt::oneshot(service, request.unwrap())
        .await
        .unwrap();
    drop(axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 100).await);
    assert_eq!(trail.only_event().await.route(), Some("/admin/{id}"));
}

#[tokio::test]
async fn an_annotated_route_is_recorded_whatever_a_rule_says_and_an_unaudited_one_is_not() {
    let trail = Trail::under([Rule::skip("all")]);
    let app = || {
        Router::new()
            .route("/a", get((async || {}).layer(audited("a.read"))))
            .route("/b", post((async || {}).layer(unaudited())))
    };
    trail.call(app(), "GET", "/a").await;
    assert_eq!(trail.only_event().await.action(), "a.read");
    let trail = Trail::under([Rule::record("all")]);
    trail.call(app(), "POST", "/b").await;
    trail.assert_empty().await;
}

#[tokio::test]
async fn an_annotated_route_is_captured_as_a_rule_says() {
    let trail = Trail::under([Rule::record("all").capture(Capture::metadata().query())]);
    let app = Router::new().route("/a", get((async || {}).layer(audited("a.read"))));
    trail.call(app, "GET", "/a?b=c").await;
    let event = trail.only_event().await;
    assert_eq!(event.captured().unwrap().get("query").unwrap()["b"], "c");
}

#[tokio::test]
async fn a_policy_is_swapped_while_requests_run_and_each_keeps_its_own() {
    let trail = Trail::under([Rule::record("all")]);
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go));
    let handler = async move || {
        tell.notify_one();
        wait.notified().await;
    };
    let app = Router::new()
        .route("/slow", get(handler))
        .route("/fast", get(async || {}));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let mut slow = server.client().await;
    slow.request("GET", "/slow", &[], "").await;
    soon(arrived.notified()).await;

    trail.layer.set_policy(policy([Rule::skip("all")])).unwrap();
    assert_eq!(trail.layer.current_policy(), policy([Rule::skip("all")]));
    server.client().await.call("GET", "/fast", &[], "").await;
    go.notify_one();
    slow.head().await;
    assert_eq!(trail.only_event().await.path(), Some("/slow"));
}

#[tokio::test]
async fn a_rule_says_how_safe_the_record_is() {
    let trail = Trail::under([
        Rule::record("strict").route("/strict").mode(Mode::Strict),
        Rule::record("durable")
            .route("/durable")
            .mode(Mode::Durable),
    ]);
    let store = trail.store.clone();
    let seen = async move || {
        let events = store.events();
        events
            .iter()
            .filter(|event| event.outcome() == Outcome::Pending)
            .count()
            .to_string()
    };
    let app = Router::new()
        .route("/strict", get(seen.clone()))
        .route("/durable", get(seen));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let mut client = server.client().await;
    // Its pending row is there when the handler runs, and is final when the answer is.
    assert_eq!(client.call("GET", "/strict", &[], "").await.body, b"1");
    assert_eq!(trail.store.events()[0].outcome(), Outcome::Success);
    assert_eq!(client.call("GET", "/durable", &[], "").await.body, b"0");
    assert_eq!(trail.store.events().len(), 2);
}

#[tokio::test]
async fn a_strict_policy_is_refused_by_a_queue_that_is_too_small() {
    let settings = DeliverySettings::default().capacity(1.try_into().unwrap());
    let auditor = Auditor::builder()
        .delivery(settings)
        .start(MemoryStore::new());
    let layer = AuditLayer::new(&auditor);
    let strict = policy([Rule::record("all").mode(Mode::Strict)]);
    assert_eq!(layer.set_policy(strict), Err(PolicyError::QueueTooSmall));
    assert_eq!(layer.current_policy(), Policy::default());
}

#[tokio::test]
async fn what_is_skipped_holds_no_body_back_and_leaves_no_row() {
    let capture = Capture::metadata()
        .request_body(Bodies::Always)
        .response_body(Bodies::Always);
    let trail = Trail::under([
        Rule::record("failures")
            .outcomes([Outcome::Failure])
            .capture(capture),
        Rule::skip("rest"),
    ])
    .with(|layer| layer.trusted_proxies(TrustedProxies::none()));
    let app = Router::new().route("/", post(async |body: String| body));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let headers = ["content-type: application/json"];
    let answer = server
        .client()
        .await
        .call("POST", "/", &headers, "[1]")
        .await;
    assert_eq!(answer.body, b"[1]");
    trail.assert_empty().await;
}

#[tokio::test]
async fn the_policy_of_a_layer_inside_of_another_one_says_how_safe_the_record_is() {
    let inner = Trail::new()
        .with(|layer| layer.policy(policy([Rule::record("strict").mode(Mode::Strict)])));
    let outer = Trail::new().with(|layer| layer.policy(Policy::annotated_only()));
    let (store, other) = (outer.store.clone(), inner.store.clone());
    let seen = async move || (store.events().len() + other.events().len()).to_string();
    let app = Router::new().route("/", post(seen));
    let app = app.layer(inner.layer.clone()).layer(outer.layer.clone());
    let server = Server::start(app).await;
    let answer = server.client().await.call("POST", "/", &[], "").await;
    assert_eq!(answer.body, b"1");
}

#[tokio::test]
async fn an_annotated_route_is_captured_even_if_a_rule_samples_it() {
    let capture = Capture::metadata().query();
    let trail = Trail::under([Rule::record("none").sample(0.0).capture(capture)]);
    let app = Router::new().route("/a", get((async || {}).layer(audited("a.read"))));
    trail.call(app, "GET", "/a?b=c").await;
    let event = trail.only_event().await;
    assert_eq!(event.captured().unwrap().get("query").unwrap()["b"], "c");
}

#[tokio::test]
async fn a_nested_request_is_explained_as_it_is_decided() {
    let trail = Trail::under([Rule::skip("it").path_prefix("/api/h"), Rule::record("rest")]);
    let layer = trail.layer.clone();
    let handler =
        async move |req: axum::extract::Request| layer.current_policy().explain(&req).to_string();
    let app = Router::new().nest("/api", Router::new().route("/h", get(handler)));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let answer = server.client().await.call("GET", "/api/h", &[], "").await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.ends_with("rule 1 \"it\": yes, skipped"), "{text}");
    trail.assert_empty().await;
}

#[tokio::test]
async fn an_unaudited_route_in_the_table_is_left_out_whatever_mode_a_rule_has() {
    let trail = Trail::under([Rule::record("strict").mode(Mode::Strict)])
        .with(|layer| layer.route(http::Method::POST, "/b", unaudited()));
    let store = trail.store.clone();
    let seen = async move || store.events().len().to_string();
    let app = Router::new().route("/b", post(seen));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let answer = server.client().await.call("POST", "/b", &[], "").await;
    assert_eq!(answer.body, b"0");
    trail.assert_empty().await;
}

#[tokio::test]
async fn only_what_the_rule_asks_for_that_holds_is_captured() {
    let headers = |name: &'static str| Capture::metadata().headers([name]);
    let trail = Trail::under([
        Rule::record("failures")
            .outcomes([Outcome::Failure])
            .capture(headers("x-a")),
        Rule::record("rest").capture(headers("x-b")),
    ]);
    let app = Router::new().route("/", post(async || {}));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let lines = ["x-a: 1", "x-b: 2"];
    server.client().await.call("POST", "/", &lines, "").await;
    let event = trail.only_event().await;
    assert_eq!(
        event.captured().unwrap().as_json(),
        r#"{"headers":{"x-b":"2"}}"#
    );
}
