//! A store that is away, and a process that is killed: no call that was recorded is lost, and none is counted twice.

use std::{
    hash::{BuildHasher as _, RandomState},
    process::Stdio,
    time::Duration,
};

use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};
use tower_audit::{
    DeliverySettings, EventWriter as _,
    delivery::{HealthReason, HealthStatus},
    spool::Spool,
};
use tower_audit_ai::{PgTrails, SqliteTrails, Trail, TrailStatus, TrailStore, Trails, Usage};
use tower_audit_tests::proxy::{Fault, Proxy};

use super::support::{all_days, dollars, get, id};
use crate::support::{
    database::{Postgres, Sqlite},
    soon,
};

fn impatient() -> DeliverySettings {
    DeliverySettings::new()
        .retry(Duration::from_millis(1), Duration::from_millis(20))
        .write_timeout(Duration::from_millis(500))
}

/// Records calls from begin to end.
fn record<S: TrailStore>(trails: &Trails<S>, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let message = format!("m{number}");
        trails.begin(Trail::placeholder(&message, "p", "m").unwrap());
        let cost = Some(dollars("0.000000001", "0.1"));
        trails.complete(&id(&message), Usage::new(number, 1), cost, Vec::new());
    }
}

/// Makes sure that these calls are there with what was said of them, and that all are counted once.
async fn assert_kept(store: &impl TrailStore, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let trail = get(store, &format!("m{number}")).await;
        assert_eq!(
            (trail.status, trail.usage),
            (TrailStatus::Completed, Some(Usage::new(number, 1)))
        );
    }
    let counted = store.analytics("p", all_days()).await.unwrap();
    store.recount().await.unwrap();
    assert_eq!(store.analytics("p", all_days()).await.unwrap(), counted);
}

async fn outage(fault: Fault, with_spool: bool) {
    let (database, folder) = (Postgres::fresh().await, TempDir::new().unwrap());
    let direct = PgTrails::new(database.pool.clone());
    direct.migrate().await.unwrap();
    let server = (database.options.get_host(), database.options.get_port());
    let server = tokio::net::lookup_host(server)
        .await
        .unwrap()
        .next()
        .unwrap();
    let proxy = Proxy::start(server).await.unwrap();
    let options = database.options.clone();
    let options = options.host("127.0.0.1").port(proxy.address().port());
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy_with(options);
    let mut builder = Trails::builder(PgTrails::new(pool)).delivery(impatient());
    if with_spool {
        builder = builder.spool(Spool::open(folder.path()).unwrap());
    }
    let trails = builder.start();
    record(&trails, 0..50);
    soon(trails.flush()).await;
    proxy.set(fault);
    record(&trails, 50..100);
    soon(async {
        while trails.stats().retries == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    record(&trails, 100..150);
    proxy.set(Fault::None);
    soon(trails.flush()).await;
    assert_eq!(trails.stats().dropped.total(), 0);
    assert_kept(&direct, 0..150).await;
    let counted = direct.analytics("p", all_days()).await.unwrap();
    assert_eq!(counted.total.calls, 150);
}

#[tokio::test]
async fn calls_wait_for_a_database_that_is_cut_off_and_are_counted_once() {
    for with_spool in [false, true] {
        outage(Fault::Cut, with_spool).await;
    }
}

#[tokio::test]
async fn calls_whose_answer_is_lost_are_counted_once() {
    for with_spool in [false, true] {
        outage(Fault::CutAnswer, with_spool).await;
    }
}

#[tokio::test]
async fn calls_wait_for_a_database_that_says_nothing_and_are_counted_once() {
    outage(Fault::BlackHole, true).await;
}

#[tokio::test]
async fn calls_wait_for_tables_that_are_missing_and_health_says_what_to_do() {
    let (postgres, sqlite) = (Postgres::fresh().await, Sqlite::fresh().await);
    let in_postgres = PgTrails::new(postgres.pool.clone());
    let in_sqlite = SqliteTrails::new(sqlite.pool.clone());
    let (one, other) = (
        Trails::builder(in_postgres.clone())
            .delivery(impatient())
            .start(),
        Trails::builder(in_sqlite.clone())
            .delivery(impatient())
            .start(),
    );
    record(&one, 0..10);
    record(&other, 0..10);
    soon(async {
        while one.stats().retries == 0 || other.stats().retries == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for health in [one.health().await, other.health().await] {
        let HealthStatus::Degraded(HealthReason::NotReady(hint)) = health.status() else {
            panic!("{health}")
        };
        assert!(hint.contains("::migrate`"), "{hint}");
    }
    in_postgres.migrate().await.unwrap();
    in_sqlite.migrate().await.unwrap();
    soon(one.flush()).await;
    soon(other.flush()).await;
    assert_kept(&in_postgres, 0..10).await;
    assert_kept(&in_sqlite, 0..10).await;
}

/// Kills a process that asks a model, again and again; returns the calls of which it said that they are written.
async fn killed(url: &str) -> Vec<u32> {
    let folder = TempDir::new().unwrap();
    let (mut written, mut first) = (Vec::new(), 0);
    for _ in 0..20 {
        let mut victim = Command::new(env!("CARGO_BIN_EXE_trail-victim"));
        let victim = victim.arg(url).arg(folder.path()).arg(first.to_string());
        let mut victim = victim
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let enough = 1 + RandomState::new().hash_one(0_u8) % 60;
        for _ in 0..enough {
            let line = soon(lines.next_line()).await.unwrap().unwrap();
            written.push(line.parse().unwrap());
        }
        victim.kill().await.unwrap();
        // What it said before its end is said.
        while let Some(line) = soon(lines.next_line()).await.unwrap() {
            written.extend(line.parse::<u32>());
        }
        first = written.last().copied().unwrap_or(first) + 1_000;
    }
    // What a spool has is written by the next one.
    written
}

#[tokio::test]
async fn every_call_that_was_written_is_there_once_whenever_the_process_is_killed() {
    let database = Postgres::fresh().await;
    let store = PgTrails::new(database.pool.clone());
    store.migrate().await.unwrap();
    let written = killed(&database.url).await;
    assert_kept(&store, written.iter().copied()).await;
    // Those of which nobody knows the end are given up, and counted like that.
    store.reap(chrono::Utc::now()).await.unwrap();
    let total = store.analytics("p", all_days()).await.unwrap().total;
    assert_eq!(
        (
            total.pending(),
            total.calls >= i64::try_from(written.len()).unwrap()
        ),
        (0, true)
    );
}

#[tokio::test]
async fn in_sqlite_too_every_call_that_was_written_is_there_once_whenever_the_process_is_killed() {
    let database = Sqlite::fresh().await;
    let store = SqliteTrails::new(database.pool.clone());
    store.migrate().await.unwrap();
    let written = killed(&database.url).await;
    assert_kept(&store, written).await;
}
