//! Serves the API: `cargo run -p tower-only`. `PORT` defaults to 3000.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::net::Ipv4Addr;

use tokio::net::TcpListener;
use tower_audit::{AuditLayer, MemoryStore};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let store = MemoryStore::new();
    let audit = AuditLayer::new(store.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let at = listener.local_addr()?;
    println!(
        "Listening on http://{at}. Try: curl -i -X DELETE http://{at}/projects/7 -H 'x-api-key: ci.s3cret'\nOn Ctrl-C \
         it shows what happened."
    );
    tokio::select! {
        served = tower_only::serve(listener, audit.clone()) => served?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    audit.auditor().flush().await;
    for event in store.events() {
        println!("{}", serde_json::to_string(&event)?);
    }
    Ok(())
}
