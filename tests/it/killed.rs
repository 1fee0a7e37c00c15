//! A process that is killed under load, twenty times at random moments.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    path::Path,
};

use sqlx::{PgPool, SqlitePool};
use tempfile::TempDir;
use tower_audit::Mode;
use tower_audit_tests::{
    proxy::{Fault, Proxy},
    victim::{Load, Plan},
};

use crate::support::{
    database::{Postgres, Sqlite},
    soon, until,
};

const ROUNDS: usize = 20;

fn plan(folder: &TempDir, database: &str, mode: Mode) -> Plan {
    Plan {
        program: Path::new(env!("CARGO_BIN_EXE_victim")).to_owned(),
        database: database.to_owned(),
        mode,
        spool: None,
        started: folder.path().join("started"),
        before: None,
    }
}

fn random(below: u64) -> usize {
    usize::try_from(RandomState::new().hash_one(0_u8) % below).unwrap()
}

/// Kills the process again and again, each time after a random number of answers, and returns what was
/// answered.
async fn kill_under_load(plan: &Plan) -> BTreeSet<u64> {
    let mut load = Load::default();
    for _ in 0..ROUNDS {
        let mut victim = soon(plan.start()).await.unwrap();
        let enough = load.answered() + random(120);
        load.clients(victim.address(), 8);
        until(|| load.answered() >= enough).await;
        victim.kill().await.unwrap();
        soon(load.lost()).await;
    }
    let answered = load.end().await;
    assert!(
        answered.len() > ROUNDS,
        "only {} were answered",
        answered.len()
    );
    answered
}

const ROWS: &str = "SELECT target_id FROM control_plane.audit_logs WHERE target_type = 'thing'";

async fn rows(pool: &PgPool) -> Vec<u64> {
    let ids: Vec<String> = sqlx::query_scalar(ROWS).fetch_all(pool).await.unwrap();
    ids.into_iter().map(|id| id.parse().unwrap()).collect()
}

async fn rows_in_sqlite(pool: &SqlitePool) -> Vec<u64> {
    let rows = "SELECT target_id FROM audit_logs WHERE target_type = 'thing'";
    let ids: Vec<String> = sqlx::query_scalar(rows).fetch_all(pool).await.unwrap();
    ids.into_iter().map(|id| id.parse().unwrap()).collect()
}

/// Each request has a number of its own, so a number that is there twice is a duplicate.
fn assert_kept(wanted: &BTreeSet<u64>, rows: &[u64]) {
    let found: BTreeSet<u64> = rows.iter().copied().collect();
    assert_eq!(found.len(), rows.len(), "duplicates");
    let lost: Vec<&u64> = wanted.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        wanted.len()
    );
}

async fn only_what_is_queued_is_lost(spool: bool) {
    let (database, folder) = (Postgres::migrated().await, TempDir::new().unwrap());
    let mut plan = plan(&folder, &database.url, Mode::Background);
    plan.spool = spool.then(|| folder.path().join("spool"));
    let mut victim = soon(plan.start()).await.unwrap();
    let mut load = Load::default();
    load.clients(victim.address(), 8);
    until(|| load.answered() > 300).await;
    let answered = soon(load.end()).await;
    let drained = async { while victim.stats().await.unwrap().queued > 0 {} };
    soon(drained).await;
    victim.kill().await.unwrap();
    assert_kept(&answered, &rows(&database.pool).await);
}

#[tokio::test]
async fn in_the_background_only_what_is_queued_is_lost() {
    only_what_is_queued_is_lost(false).await;
}

#[tokio::test]
async fn in_the_background_with_a_spool_only_what_is_queued_is_lost() {
    only_what_is_queued_is_lost(true).await;
}

#[tokio::test]
async fn every_durable_request_that_was_answered_has_its_row() {
    let (database, folder) = (Postgres::migrated().await, TempDir::new().unwrap());
    let answered = kill_under_load(&plan(&folder, &database.url, Mode::Durable)).await;
    assert_kept(&answered, &rows(&database.pool).await);
}

#[tokio::test]
async fn in_sqlite_too_every_durable_request_that_was_answered_has_its_row() {
    let (database, folder) = (Sqlite::migrated().await, TempDir::new().unwrap());
    let answered = kill_under_load(&plan(&folder, &database.url, Mode::Durable)).await;
    assert_kept(&answered, &rows_in_sqlite(&database.pool).await);
}

#[tokio::test]
async fn every_strict_request_that_was_answered_is_final_and_every_one_that_began_is_pending_at_least()
 {
    let (database, folder) = (Postgres::migrated().await, TempDir::new().unwrap());
    let plan = plan(&folder, &database.url, Mode::Strict);
    let answered = kill_under_load(&plan).await;
    let rows = rows(&database.pool).await;
    assert_kept(&answered, &rows);
    assert_kept(&plan.started().unwrap(), &rows);
    let pending = "SELECT target_id FROM control_plane.audit_logs WHERE outcome = 'pending'";
    let pending: Vec<String> = sqlx::query_scalar(pending)
        .fetch_all(&database.pool)
        .await
        .unwrap();
    let open: BTreeSet<u64> = pending.into_iter().map(|id| id.parse().unwrap()).collect();
    assert!(answered.is_disjoint(&open), "answered, and not completed");
}

#[tokio::test]
async fn in_sqlite_too_every_strict_request_that_began_is_pending_at_least() {
    let (database, folder) = (Sqlite::migrated().await, TempDir::new().unwrap());
    let plan = plan(&folder, &database.url, Mode::Strict);
    let answered = kill_under_load(&plan).await;
    let rows = rows_in_sqlite(&database.pool).await;
    assert_kept(&answered, &rows);
    assert_kept(&plan.started().unwrap(), &rows);
}

#[tokio::test]
async fn with_a_dead_database_every_durable_request_that_was_answered_is_in_the_spool_and_then_a_row()
 {
    let (database, folder) = (Postgres::migrated().await, TempDir::new().unwrap());
    let proxy = Proxy::start(database.address().await).await.unwrap();
    let (host, port) = (database.options.get_host(), database.options.get_port());
    let dead = database
        .url
        .replace(&format!("{host}:{port}"), &proxy.address().to_string());
    assert_ne!(dead, database.url);
    let mut plan = plan(&folder, &dead, Mode::Durable);
    plan.spool = Some(folder.path().join("spool"));
    proxy.set(Fault::Cut);
    let answered = kill_under_load(&plan).await;
    assert_eq!(rows(&database.pool).await.len(), 0);
    proxy.set(Fault::None);
    let mut victim = soon(plan.start()).await.unwrap();
    // More than what was answered may be there: some answers were cut off.
    let stats = || async { victim.stats().await.unwrap() };
    let is_there = || async {
        rows(&database.pool)
            .await
            .iter()
            .copied()
            .collect::<BTreeSet<u64>>()
            .is_superset(&answered)
    };
    soon(async { while !is_there().await || stats().await.spooled > 0 {} }).await;
    soon(victim.stop()).await.unwrap();
    assert_kept(&answered, &rows(&database.pool).await);
}

/// Returns the URL of the database as it is behind the proxy.
fn behind(database: &Postgres, proxy: &Proxy) -> String {
    let server = (database.options.get_host(), database.options.get_port());
    let server = format!("{}:{}", server.0, server.1);
    let url = database.url.replace(&server, &proxy.address().to_string());
    assert_ne!(url, database.url);
    url
}

#[tokio::test]
async fn a_disk_that_takes_no_more_in_the_middle_of_a_write_costs_no_event() {
    let (database, folder) = (Postgres::migrated().await, TempDir::new().unwrap());
    let proxy = Proxy::start(database.address().await).await.unwrap();
    let mut plan = plan(&folder, &behind(&database, &proxy), Mode::Background);
    plan.spool = Some(folder.path().join("spool"));
    // Files of 16 blocks of 512 bytes: a write that goes beyond is cut off there, and then fails.
    plan.before = Some("trap '' XFSZ && ulimit -f 16".to_owned());
    proxy.set(Fault::Cut);
    let mut victim = soon(plan.start()).await.unwrap();
    let mut load = Load::default();
    load.clients(victim.address(), 4);
    let refused = async { while victim.stats().await.unwrap().spool_refused == 0 {} };
    soon(refused).await;
    let answered = soon(load.end()).await;
    proxy.set(Fault::None);
    let drained = async {
        loop {
            let stats = victim.stats().await.unwrap();
            if stats.queued + stats.spooled == 0 {
                break stats.dropped;
            }
        }
    };
    assert_eq!(soon(drained).await, 0);
    soon(victim.stop()).await.unwrap();
    assert_kept(&answered, &rows(&database.pool).await);
}
