//! Where a request came from, over a real socket.

use axum::{Router, routing::post};
use tower_audit::{Actor, AuditContext, AuditEvent, client::TrustedProxies};

use crate::support::server::{Server, Trail};

async fn recorded(trail: &Trail, headers: &[&str]) -> AuditEvent {
    let app = Router::new().route("/", post(async || {}));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    server.client().await.call("POST", "/", headers, "").await;
    trail.only_event().await
}

fn behind(proxies: TrustedProxies) -> Trail {
    Trail::new().with(|layer| layer.trusted_proxies(proxies))
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_row_has_the_client_and_the_peer() {
    let proxies = TrustedProxies::x_forwarded_for().loopback().build();
    let trail = behind(proxies.unwrap());
    let lines = [
        "x-forwarded-for: 6.6.6.6",
        "X-Forwarded-For: 203.0.113.7, 127.0.0.1",
    ];
    let event = recorded(&trail, &lines).await;
    assert_eq!(event.ip_address(), Some([203, 0, 113, 7].into()));
    assert_eq!(event.peer_address(), Some([127, 0, 0, 1].into()));
}

#[tokio::test]
async fn by_default_no_header_changes_the_address() {
    let trail = Trail::new();
    let lines = [
        "x-forwarded-for: 6.6.6.6",
        "forwarded: for=6.6.6.6",
        "x-real-ip: 6.6.6.6",
    ];
    let event = recorded(&trail, &lines).await;
    assert_eq!(event.ip_address(), Some([127, 0, 0, 1].into()));
}

#[tokio::test]
async fn a_chain_that_is_shorter_than_the_hops_is_the_peer_and_is_counted() {
    let proxies = TrustedProxies::x_forwarded_for().hops(2).build();
    let trail = behind(proxies.unwrap());
    let event = recorded(&trail, &["x-forwarded-for: 6.6.6.6"]).await;
    assert_eq!(event.ip_address(), Some([127, 0, 0, 1].into()));
    assert_eq!(trail.layer.capture_stats().short_chains, 1);
}

#[tokio::test]
async fn the_closure_for_the_actor_and_the_handler_see_the_client() {
    let proxies = TrustedProxies::x_forwarded_for().loopback().build();
    let trail = behind(proxies.unwrap())
        .with(|layer| layer.actor(|req| Some(Actor::user(req.client()?.to_string()))));
    let handler = async |audit: AuditContext| {
        audit.target_id(audit.client().unwrap().to_string());
        audit.metadata("peer", audit.peer().unwrap().to_string());
    };
    let app = Router::new().route("/", post(handler));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let headers = ["x-forwarded-for: 203.0.113.7"];
    server.client().await.call("POST", "/", &headers, "").await;
    let event = trail.only_event().await;
    assert_eq!(event.actor().id(), "203.0.113.7");
    assert_eq!(event.target().id(), "203.0.113.7");
    assert_eq!(event.metadata().get("peer").unwrap(), "127.0.0.1");
}
