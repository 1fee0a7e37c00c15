//! Serves the jobs API: `DATABASE_URL=postgres://… cargo run -p history`. `PORT` defaults to 3000.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use sqlx::PgPool;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
    let app = history::app(connect().await?).await?;
    let listener = listen().await?;
    print_help(listener.local_addr()?);
    serve(listener, app.router).await?;

    let report = app.auditor.shutdown(Duration::from_secs(10)).await;
    println!("audit: {report}");
    Ok(())
}

/// Waits for the database: without it there is nothing that could be changed.
async fn connect() -> anyhow::Result<PgPool> {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        bail!(
            "DATABASE_URL is not set: set it to the postgres:// URL of a database to try things in. \
             `cargo xtask postgres` starts one, and prints its URL"
        );
    };
    ensure!(
        url.starts_with("postgres:") || url.starts_with("postgresql:"),
        "DATABASE_URL must begin with postgres: the history is recorded by triggers of Postgres. \
         `cargo xtask postgres` starts one, and prints its URL"
    );
    let pool = PgPool::connect(&url).await;
    pool.context("the database in DATABASE_URL cannot be reached")
}

/// Serves until a signal, and then until open requests are done, but no longer than [`PATIENCE`]: a
/// client that stalls must not keep us from writing what is queued.
async fn serve(listener: TcpListener, router: Router) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let (stopping, stopped) = oneshot::channel();
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        let _ = stopping.send(());
    });
    let out_of_patience = async {
        let _ = stopped.await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        served = serve.into_future() => Ok(served?),
        () = out_of_patience => {
            println!("some requests were still open after {PATIENCE:?}");
            Ok(())
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

async fn listen() -> anyhow::Result<TcpListener> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".into());
    let port: u16 = port
        .parse()
        .with_context(|| format!("PORT is {port:?}: set it to a number up to 65535"))?;
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address)
        .await
        .with_context(|| format!("port {port} cannot be used: set PORT to another one"))
}

/// Completes on Ctrl-C and on SIGTERM.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn print_help(address: SocketAddr) {
    println!(
        "\
Listening on http://{address}. Try, in another terminal:

  at=http://{address} alice='authorization: Bearer demo-alice' json='content-type: application/json'
  curl -i $at/users -H \"$alice\" -H \"$json\" -d '{{\"name\": \"Alice Ansel\", \"email\": \"alice@example.com\"}}'
  curl -i $at/jobs -H \"$alice\" -H \"$json\" -d '{{\"name\": \"backup\", \"schedule\": \"@daily\", \"endpoints\": [{{\"url\": \"https://example.com/backup\", \"headers\": {{\"authorization\": \"Bearer hunter2\"}}}}]}}'
  sleep 1; before=$(date -u +%FT%TZ)
  curl -i -X PATCH $at/jobs/1 -H \"$alice\" -H \"$json\" -d '{{\"schedule\": \"@hourly\"}}'
  curl -s $at/jobs/1/as-of/$before -H \"$alice\"
  curl -i $at/apikeys -H \"$alice\" -H \"$json\" -d '{{\"name\": \"ci\"}}'
  curl -i -X POST $at/apikeys/KEY/rotate -H \"$alice\"   # KEY is the id that the line before printed
  curl -i -X DELETE $at/jobs/1 -H \"$alice\"

Each of these but the one with as-of is an event. Look at them in a browser, as anybody with the password demo, at

  http://{address}/audit

where the page of an event says which rows it changed. What plain SQL may not do:

  psql \"$DATABASE_URL\" -c 'UPDATE apikey SET enabled = false'

Ctrl-C writes what is queued and says what was written."
    );
}
