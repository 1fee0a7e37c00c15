//! A small service to be killed: what it is told by environment variables is in `victim.rs` of the
//! library.

use std::{
    fs::File,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use sqlx::{
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tokio::{io::AsyncReadExt, net::TcpListener};
use tower_audit::{
    AuditLayer, Auditor, DeliverySettings, Mode, PgStore, SqliteStore, spool::Spool,
};
use tower_audit_tests::victim::{DATABASE, MODE, SPOOL, STARTED};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).ok();
    let url = variable(DATABASE).context("no database")?;
    let mode = match variable(MODE).as_deref() {
        Some("durable") => Mode::Durable,
        Some("strict") => Mode::Strict,
        _ => Mode::Background,
    };
    let settings = DeliverySettings::new()
        .retry(Duration::from_millis(10), Duration::from_millis(200))
        .write_timeout(Duration::from_secs(2));
    let mut builder = Auditor::builder().delivery(settings);
    if let Some(folder) = variable(SPOOL) {
        builder = builder.spool(Spool::open(folder)?);
    }
    let auditor = start(builder, &url)?;
    let started = variable(STARTED).context("no file for what has started")?;
    let started = File::options().append(true).create(true).open(started)?;
    let app = Router::new()
        .route("/things/{id}", post(start_thing))
        .with_state(Arc::new(started))
        .layer(AuditLayer::new(&auditor).mode(mode))
        .merge(
            Router::new()
                .route("/stats", get(stats))
                .with_state(auditor.clone()),
        );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?)?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        // Whoever started this has closed its end, or is gone.
        _ = closed() => {}
    }
    auditor.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn start(builder: tower_audit::AuditorBuilder, url: &str) -> anyhow::Result<Auditor> {
    let patience = Duration::from_millis(500);
    if url.starts_with("sqlite:") {
        let options = SqliteConnectOptions::from_str(url)?.journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().acquire_timeout(patience);
        return Ok(builder.start(SqliteStore::new(pool.connect_lazy_with(options))));
    }
    let options = PgConnectOptions::from_str(url)?;
    let pool = PgPoolOptions::new().acquire_timeout(patience);
    Ok(builder.start(PgStore::new(pool.connect_lazy_with(options))))
}

/// Notes that the handler has begun, where a SIGKILL does not undo it.
async fn start_thing(
    State(started): State<Arc<File>>,
    Path(id): Path<String>,
) -> Result<(), String> {
    let line = format!("{id}\n");
    started
        .as_ref()
        .write_all(line.as_bytes())
        .map_err(|error| error.to_string())
}

/// Returns `queued spooled dropped unconfirmed spool_refused`.
async fn stats(State(auditor): State<Auditor>) -> String {
    let stats = auditor.stats();
    let (queued, spooled, dropped) = (stats.queued, stats.spooled, stats.dropped.total());
    let (unconfirmed, spool_refused) = (stats.unconfirmed, stats.spool_refused);
    format!("{queued} {spooled} {dropped} {unconfirmed} {spool_refused}\n")
}

async fn closed() -> std::io::Result<usize> {
    tokio::io::stdin().read_to_end(&mut Vec::new()).await
}
