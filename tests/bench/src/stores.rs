//! How fast the stores take events, beside what one would write by hand.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, SqlitePool,
    postgres::PgPoolOptions,
    query::Query,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tower_audit::{
    AuditEvent, Auditor, DeliverySettings, EventWriter, Overflow, PgStore, SqliteStore,
};
use xtask::postgres::{Cluster, Commits};

use crate::{
    copy::{COLUMNS, encode},
    events::events,
    measure::Rounds,
    summary::{Summary, per},
};

/// Measures `pg.*`, over TCP.
pub(crate) async fn postgres(
    summary: &mut Summary,
    rounds: usize,
    rows: usize,
) -> anyhow::Result<String> {
    // Not even the disk is waited for, which would hide what the rest costs.
    let cluster = Cluster::start(Commits::AreFast)?;
    let pool = PgPoolOptions::new()
        .max_connections(5)
        .connect(&cluster.url())
        .await?;
    let (mut copy, mut ours, mut naive) = (Vec::new(), Vec::new(), Vec::new());
    let events = events(rows);
    let encoded = encode(&events);
    for _ in 0..rounds {
        copy.push(by_copy(&pool, &encoded, rows).await?);
        let store = fresh(&pool).await?.1;
        ours.push(through_engine(store, events.clone()).await);
        naive.push(one_by_one(&pool, &events[..rows / 20]).await?);
    }
    let [copy, ours, naive] = [copy, ours, naive].map(Rounds);
    summary.set("pg.rows_per_s", ours.median());
    summary.set("pg.copy_rows_per_s", copy.median());
    summary.set("pg.naive_rows_per_s", naive.median());
    summary.set("pg.vs_copy", ours.times(&copy));
    summary.set("pg.vs_naive", ours.times(&naive));
    Ok(sqlx::query_scalar("SHOW server_version")
        .fetch_one(&pool)
        .await?)
}

/// Returns a table that nobody has written to.
async fn fresh(pool: &PgPool) -> anyhow::Result<(String, PgStore)> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let table = format!("audit_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let store = PgStore::builder(pool.clone())
        .schema("bench")
        .table(table.clone())
        .build()?;
    tower_audit::migrate(&store).await?;
    Ok((format!("bench.{table}"), store))
}

async fn by_copy(pool: &PgPool, encoded: &[u8], rows: usize) -> anyhow::Result<f64> {
    let (table, _) = fresh(pool).await?;
    let mut connection = pool.acquire().await?;
    let started = Instant::now();
    let statement = format!("COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let mut copy = connection.copy_in_raw(&statement).await?;
    copy.send(encoded).await?;
    let copied = copy.finish().await?;
    let speed = per_second(rows, started);
    assert_eq!(copied, rows as u64, "COPY took other rows");
    Ok(speed)
}

/// Hands over the events as they come, and waits until all are written.
async fn through_engine(store: impl EventWriter, events: Vec<AuditEvent>) -> f64 {
    let patience = Duration::from_secs(600);
    let settings = DeliverySettings::new().overflow(Overflow::Wait(patience));
    let auditor = Auditor::builder().delivery(settings).start(store);
    let rows = events.len();
    let started = Instant::now();
    for event in events {
        auditor.record_wait(event).await;
    }
    auditor.flush().await;
    let speed = per_second(rows, started);
    assert_eq!(
        auditor.stats().written,
        rows as u64,
        "the engine wrote other rows"
    );
    speed
}

/// As somebody would begin: one INSERT a request, on as many connections.
async fn one_by_one(pool: &PgPool, events: &[AuditEvent]) -> anyhow::Result<f64> {
    let (table, _) = fresh(pool).await?;
    let url = pool.connect_options();
    let place = |place| match place {
        7 | 27 => format!("${place}::text::jsonb"),
        place => format!("${place}"),
    };
    let places: Vec<String> = (1..=27).map(place).collect();
    let statement = format!(
        "INSERT INTO {table} ({COLUMNS}) VALUES ({})",
        places.join(", ")
    );
    let halves = [&events[..events.len() / 2], &events[events.len() / 2..]];
    let mut connections = Vec::new();
    for half in halves {
        connections.push((PgConnection::connect_with(&url).await?, half));
    }
    let started = Instant::now();
    let insert = async |(mut connection, events): (PgConnection, &[AuditEvent])| {
        for event in events {
            let insert = sqlx::query(AssertSqlSafe(statement.clone()));
            connection.execute(bind_pg(insert, event)).await?;
        }
        Ok::<(), sqlx::Error>(())
    };
    let mut halves = connections.into_iter();
    if let (Some(one), Some(other)) = (halves.next(), halves.next()) {
        tokio::try_join!(insert(one), insert(other))?;
    }
    Ok(per_second(events.len(), started))
}

/// Measures `sqlite.*`, in a file.
pub(crate) async fn sqlite(
    summary: &mut Summary,
    rounds: usize,
    rows: usize,
) -> anyhow::Result<()> {
    let (mut hand, mut batches, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    let events = events(rows);
    for _ in 0..rounds {
        let folder = tempfile::tempdir()?;
        let all = file(folder.path(), "hand.db").await?;
        hand.push(by_hand(&all, &events, rows).await?);
        let some = file(folder.path(), "batches.db").await?;
        batches.push(by_hand(&some, &events, BATCH).await?);
        let store = SqliteStore::new(file(folder.path(), "ours.db").await?);
        ours.push(through_engine(store, events.clone()).await);
    }
    let [hand, batches, ours] = [hand, batches, ours].map(Rounds);
    summary.set("sqlite.rows_per_s", ours.median());
    summary.set("sqlite.hand_rows_per_s", hand.median());
    summary.set("sqlite.vs_hand", ours.times(&hand));
    // What is committed as often as ours is.
    summary.set("sqlite.vs_hand_batches", ours.times(&batches));
    Ok(())
}

/// Returns a database in a file, with the table in it.
pub(crate) async fn file(folder: &std::path::Path, name: &str) -> anyhow::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join(name))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .connect_with(options)
        .await?;
    tower_audit::migrate(&pool).await?;
    Ok(pool)
}

/// As somebody would write it who knows that all rows are there: one statement, prepared once, and as many rows a
/// transaction as that says.
async fn by_hand(pool: &SqlitePool, events: &[AuditEvent], rows: usize) -> anyhow::Result<f64> {
    let row = format!("({})", vec!["?"; 27].join(", "));
    let statement = format!(
        "INSERT INTO audit_logs ({COLUMNS}) VALUES {}",
        vec![row; AT_ONCE].join(", ")
    );
    let statement: std::sync::Arc<str> = statement.into();
    let started = Instant::now();
    for events in events.chunks(rows) {
        let mut tx = pool.begin().await?;
        let (chunks, rest) = events.as_chunks::<AT_ONCE>();
        assert!(rest.is_empty(), "the rows fill whole statements");
        for chunk in chunks {
            let mut insert = sqlx::query(AssertSqlSafe(std::sync::Arc::clone(&statement)));
            for event in chunk {
                insert = bind_sqlite(insert, event);
            }
            tx.execute(insert).await?;
        }
        tx.commit().await?;
    }
    Ok(per_second(events.len(), started))
}

macro_rules! bind_all {
    ($insert:ident, $event:ident, $id:expr, $time:expr, $address:expr, $metadata:expr, $status:expr) => {
        $insert
            .bind($id)
            .bind($event.actor().id())
            .bind($event.actor().kind().as_str())
            .bind($event.action())
            .bind($event.target().kind())
            .bind($event.target().id())
            .bind($metadata)
            .bind($address($event.ip_address()))
            .bind($event.user_agent())
            .bind($time)
            .bind($event.outcome().as_str())
            .bind($event.reason())
            .bind($status)
            .bind($event.method())
            .bind($event.route())
            .bind($event.path())
            .bind(
                $event
                    .duration()
                    .and_then(|time| i64::try_from(time.as_micros()).ok()),
            )
            .bind($event.request_id())
            .bind($event.trace_id())
            .bind($event.tenant_id())
            .bind($event.actor().display_name())
            .bind($event.actor().method())
            .bind($event.actor().credential())
            .bind($event.actor().principal())
            .bind($address($event.peer_address()))
            .bind($event.service())
    };
}

fn bind_sqlite<'q>(
    insert: Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    event: &'q AuditEvent,
) -> Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    let address = |address: Option<std::net::IpAddr>| address.map(|address| address.to_string());
    let metadata = serde_json::to_string(event.metadata()).unwrap_or_default();
    let (id, micros) = (event.id().as_uuid(), event.created_at().timestamp_micros());
    bind_all!(insert, event, id, micros, address, metadata, event.status()).bind(None::<&str>)
}

fn bind_pg<'q>(
    insert: Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
    event: &'q AuditEvent,
) -> Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let address = |address: Option<std::net::IpAddr>| address;
    let metadata = serde_json::to_string(event.metadata()).unwrap_or_default();
    let status = event.status().and_then(|status| i16::try_from(status).ok());
    let (id, time) = (event.id().as_uuid(), event.created_at());
    bind_all!(insert, event, id, time, address, metadata, status).bind(None::<&str>)
}

fn per_second(rows: usize, started: Instant) -> f64 {
    1e9 / per(started.elapsed().as_nanos(), rows)
}

/// As many rows as the largest statement of ours has, and as a batch of it has.
const AT_ONCE: usize = 500;
const BATCH: usize = 2_000;
