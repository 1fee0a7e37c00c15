//! Serves a gateway: `UPSTREAM=127.0.0.1:8080 cargo run -p gateway`. `PORT` defaults to 3000.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tower_audit::{AuditLayer, MemoryStore};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let upstream = std::env::var("UPSTREAM");
    let upstream =
        upstream.context("UPSTREAM is not set: the host and port of the service behind it")?;
    let store = MemoryStore::new();
    let audit = AuditLayer::new(store.clone());
    let app = gateway::router(audit.clone(), upstream.parse()?)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!(
        "Listening on http://{}. On Ctrl-C it shows what passed.",
        listener.local_addr()?
    );
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) })
    .await?;
    audit.auditor().flush().await;
    for event in store.events() {
        println!(
            "{} {} {:?} from {:?}: {}",
            event.request_id().unwrap_or_default(),
            event.action(),
            event.target().id(),
            event.ip_address(),
            event.outcome()
        );
    }
    Ok(())
}
