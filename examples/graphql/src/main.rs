//! Serves the API: `cargo run -p graphql`. `PORT` defaults to 3000.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Json, routing::get};
use tokio::net::TcpListener;
use tower_audit::{AuditLayer, MemoryStore};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let store = MemoryStore::new();
    let app = graphql::router(AuditLayer::new(store.clone()))
        .route("/audit", get(async move || Json(store.events())));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let at = listener.local_addr()?;
    println!(
        "\
Listening on http://{at}. Try, in another terminal:

  curl -s http://{at}/graphql -H 'content-type: application/json' \\
    -d '{{\"query\": \"mutation {{ a: createProject(name: \\\"apollo\\\") {{ id }} b: deleteProject(id: \\\"9\\\") }}\"}}'
  curl -s http://{at}/audit"
    );
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) })
    .await?;
    Ok(())
}
