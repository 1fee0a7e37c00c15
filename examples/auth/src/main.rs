//! Serves the three routers: `cargo run -p auth`. `PORT` defaults to 3000.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{Json, Router, routing::get};
use tokio::net::TcpListener;
use tower_audit::{AuditLayer, MemoryStore};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let store = MemoryStore::new();
    let audit = AuditLayer::new(store.clone());
    // A real service takes the secret from where it keeps secrets.
    let keys = Arc::new(auth::jwt::Keys::new(
        b"only for this example, and known to everybody",
    ));
    let app = Router::new()
        .nest("/login", auth::login::router(audit.clone()))
        .nest("/jwt", auth::jwt::router(audit.clone(), keys))
        .nest("/sessions", auth::sessions::router(audit))
        // A real service asks who wants to know.
        .route("/audit", get(async move || Json(store.events())));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let at = listener.local_addr()?;
    println!(
        "\
Listening on http://{at}. Try, in another terminal:

  curl -i -c jar http://{at}/sessions/login -H 'content-type: application/json' -d '{{\"user\": \"alice\", \"password\": \"wonderland\"}}'
  curl -i -b jar -X DELETE http://{at}/sessions/projects/7
  curl -i -X DELETE http://{at}/sessions/projects/7
  curl -s http://{at}/audit"
    );
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) })
        .await?;
    Ok(())
}
