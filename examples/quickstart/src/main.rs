//! A small projects API whose requests land in an audit table: `cargo run -p quickstart`.
//!
//! With `--demo` the trail begins with a few hundred events of a week.
//!
//! `PORT` (default 3000) and `DATABASE_URL` (default a file `audit.db` in the working directory; a
//! `postgres://` URL works too) are read from the environment.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

mod api;
mod auth;
mod database;
mod demo;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tower_audit::{AuditLayer, Auditor};

use crate::database::Database;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite://audit.db".into());
    let database = Database::open(&url)?;
    let migrations = database.migrate_in_background().await;

    let service = concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION"));
    let auditor = database.start(Auditor::builder().service(service));
    if std::env::args().any(|argument| argument == "--demo") {
        println!("{} events of a demo", demo::record(&auditor).await);
    }
    let web = database.web(auth::may_read, &auditor);
    let app = api::router(AuditLayer::new(auditor.clone()), web);

    let listener = listen().await?;
    print_help(listener.local_addr()?, &database);
    serve(listener, app).await?;

    let report = auditor.shutdown(Duration::from_secs(10)).await;
    println!("audit: {report}");
    migrations.abort();
    Ok(())
}

/// Serves until a signal, and then until open requests are done, but no longer than [`PATIENCE`]: a
/// client that stalls must not keep us from writing what is queued.
async fn serve(listener: TcpListener, app: Router) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let (stopping, stopped) = oneshot::channel();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(listener, app).with_graceful_shutdown(async move {
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

fn print_help(address: SocketAddr, database: &Database) {
    println!(
        "\
Listening on http://{address}. Try, in another terminal:

  curl -i http://{address}/projects -H 'authorization: Bearer demo-alice' -H 'content-type: application/json' -d '{{\"name\": \"apollo\"}}'
  curl -i -X DELETE http://{address}/projects/1
  curl -i http://{address}/login -H 'content-type: application/json' -d '{{\"user\": \"bob\", \"password\": \"guess\"}}'
  curl -s http://{address}/audit/events -H 'authorization: Bearer demo-auditor'

Each of the first three leaves a row. Look at them in a browser, as anybody with the password demo, at

  http://{address}/audit

(`clerk` sees one tenant and nothing personal, `visitor` nothing), or with

  {}

Ctrl-C writes what is queued and says what was written.",
        database.how_to_look()
    );
}
