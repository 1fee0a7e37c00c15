//! A store that is missing, not ready or gone: the app goes on, and events wait.

use std::{
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::post};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::net::TcpListener;
use tower_audit::{
    AuditLayer, Auditor, DeliverySettings, EventReader, Filter, MemoryStore, PageSize, PgStore,
    Seek, SqliteStore,
    delivery::{HealthReason, HealthStatus},
};

use crate::support::{
    database::{Postgres, Sqlite},
    events::event,
    server::Server,
    soon,
};

fn impatient() -> DeliverySettings {
    DeliverySettings::new().retry(Duration::from_millis(1), Duration::from_millis(20))
}

/// Waits until the auditor has tried to write and failed.
async fn has_failed(auditor: &Auditor) {
    soon(async {
        while auditor.stats().retries == 0 {
            tokio::task::yield_now().await
        }
    })
    .await;
}

async fn rows(reader: &impl EventReader) -> usize {
    reader
        .page(&Filter::new(), Seek::Newest, PageSize::MAX)
        .await
        .unwrap()
        .events
        .len()
}

#[tokio::test]
async fn events_wait_for_a_table_that_is_missing_and_health_says_what_to_do() {
    let (sqlite, postgres) = (Sqlite::fresh().await, Postgres::fresh().await);
    let (in_sqlite, in_postgres) = (
        SqliteStore::new(sqlite.pool.clone()),
        PgStore::new(postgres.pool.clone()),
    );
    let auditors = [
        Auditor::builder()
            .delivery(impatient())
            .start(in_sqlite.clone()),
        Auditor::builder()
            .delivery(impatient())
            .start(in_postgres.clone()),
    ];
    for auditor in &auditors {
        (0..10).for_each(|n| auditor.record(event(n)));
        has_failed(auditor).await;
        let health = auditor.health().await;
        let HealthStatus::Degraded(HealthReason::NotReady(hint)) = health.status() else {
            panic!("{}", auditor.health().await)
        };
        assert!(hint.contains("run the migrations"), "{hint}");
        assert_eq!(auditor.stats().dropped.total(), 0);
    }
    tower_audit::migrate(&sqlite.pool).await.unwrap();
    tower_audit::migrate(&postgres.pool).await.unwrap();
    for auditor in &auditors {
        soon(auditor.flush()).await;
        assert_eq!(
            (
                auditor.stats().written,
                auditor.health().await.status().clone()
            ),
            (10, HealthStatus::Healthy)
        );
    }
    assert_eq!((rows(&in_sqlite).await, rows(&in_postgres).await), (10, 10));
}

/// Returns a pool for a port that nobody listens on.
async fn down() -> PgPool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = PgConnectOptions::new()
        .host("127.0.0.1")
        .port(listener.local_addr().unwrap().port());
    PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(50))
        .connect_lazy_with(options)
}

#[tokio::test]
async fn with_a_database_that_is_down_the_app_starts_and_answers_and_events_queue() {
    let auditor = Auditor::builder()
        .delivery(impatient())
        .start(PgStore::new(down().await));
    let app = Router::new()
        .route("/", post(|| async {}))
        .layer(AuditLayer::new(&auditor));
    let server = Server::start(app).await;
    assert_eq!(
        server
            .client()
            .await
            .call("POST", "/", &[], "")
            .await
            .status,
        200
    );
    has_failed(&auditor).await;
    assert_eq!(
        *auditor.health().await.status(),
        HealthStatus::Degraded(HealthReason::Unavailable)
    );
    assert_eq!(auditor.stats().queued, 1);
    let report = auditor.shutdown(Duration::from_millis(1)).await;
    assert_eq!((report.left, report.stats.written), (1, 0));
}

#[tokio::test]
async fn events_survive_connections_that_are_killed() {
    let postgres = Postgres::migrated().await;
    let store = PgStore::new(postgres.pool.clone());
    let auditor = Auditor::builder()
        .delivery(impatient())
        .start(store.clone());
    for round in 0..5 {
        (0..200).for_each(|n| auditor.record(event(round * 1_000 + n)));
        // Every other connection to this database, whatever it is doing.
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let mut other = PgPool::connect_with(postgres.options.clone())
            .await
            .unwrap()
            .acquire()
            .await
            .unwrap();
        sqlx::query(kill).execute(&mut *other).await.unwrap();
    }
    soon(auditor.flush()).await;
    assert_eq!(
        (
            auditor.stats().written,
            auditor.stats().dropped.total(),
            rows(&store).await
        ),
        (1_000, 0, 1_000)
    );
}

#[tokio::test]
async fn a_read_only_sqlite_file_makes_events_wait_and_says_why() {
    let sqlite = Sqlite::migrated().await;
    let options = SqliteConnectOptions::from_str(&sqlite.url)
        .unwrap()
        .read_only(true);
    let pool = SqlitePoolOptions::new().connect_lazy_with(options);
    let auditor = Auditor::builder()
        .delivery(impatient())
        .start(SqliteStore::new(pool));
    auditor.record(event(1));
    has_failed(&auditor).await;
    assert_eq!(
        (auditor.stats().dropped.total(), auditor.stats().queued),
        (0, 1)
    );
    let health = auditor.health().await.to_string();
    assert!(
        health.starts_with("degraded") && health.contains("read-only"),
        "{health}"
    );
}

#[tokio::test]
async fn another_writer_on_the_sqlite_file_only_delays() {
    let sqlite = Sqlite::migrated().await;
    let store = SqliteStore::new(sqlite.pool.clone());
    let other = sqlite.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let auditor = Auditor::builder()
        .delivery(impatient())
        .start(store.clone());
    auditor.record(event(1));
    soon(async {
        while auditor.stats().in_flight == 0 {
            tokio::task::yield_now().await
        }
    })
    .await;
    other.rollback().await.unwrap();
    soon(auditor.flush()).await;
    assert_eq!(rows(&store).await, 1);
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_missing_table_is_logged_once_a_period_with_what_to_do() {
    // While there is but one subscriber, tracing asks only the thread that reaches a line of log
    // first whether it is wanted, and that may be one of another test. With two it asks both.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let sqlite = Sqlite::fresh().await;
    let auditor = Auditor::builder()
        .delivery(impatient())
        .start(SqliteStore::new(sqlite.pool.clone()));
    auditor.record(event(1));
    soon(async {
        while auditor.stats().retries < 5 {
            tokio::task::yield_now().await
        }
    })
    .await;
    tower_audit::migrate(&sqlite.pool).await.unwrap();
    soon(auditor.flush()).await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let ours: Vec<&str> = logged
        .lines()
        .filter(|line| line.contains("tower_audit"))
        .collect();
    assert_eq!(ours.len(), 2, "{logged}");
    assert!(
        ours[0].contains("WARN") && ours[0].contains("run the migrations"),
        "{logged}"
    );
    assert!(
        ours[1].contains("INFO") && ours[1].contains("takes events again"),
        "{logged}"
    );
}

#[test]
fn a_layer_that_is_built_outside_of_a_runtime_panics_with_what_to_do() {
    let panic = std::panic::catch_unwind(|| AuditLayer::new(MemoryStore::new())).unwrap_err();
    let message = panic.downcast_ref::<&str>().unwrap();
    assert!(message.contains("inside a Tokio runtime"), "{message}");
}
