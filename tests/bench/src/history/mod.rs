//! What a history of rows costs whoever changes them, beside none and beside one trigger for all tables.
//!
//! Each measurement also makes sure that every change was recorded.

mod backend;
mod bulk;
mod rows;
mod tables;
mod transactions;
mod update;

use std::time::Duration;

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::runtime::Runtime;
use xtask::postgres::{Cluster, Commits};

use crate::{
    measure::{Rounds, interleaved},
    summary::Summary,
};

/// Measures `history.*`, over TCP. Transactions run for this time a round.
pub(crate) fn run(
    summary: &mut Summary,
    rounds: usize,
    slow_rounds: usize,
    time: Duration,
) -> anyhow::Result<()> {
    // What is measured of a process does not have to wait for the disk.
    let database = Database::start(Commits::Survive)?;
    update::run(summary, &database, rounds)?;
    rows::run(summary, &database, rounds)?;
    bulk::run(summary, &database, slow_rounds)?;
    let (unsynced, synced) = ("history.unsynced_tps", "history.tps");
    transactions::run(summary, &database, slow_rounds, time, unsynced)?;
    let database = Database::start(Commits::AreSynced)?;
    transactions::run(summary, &database, slow_rounds, time, synced)
}

/// A database with the tables, on a server of its own.
#[derive(Debug)]
struct Database {
    pool: PgPool,
    cluster: Cluster,
    // The last: what is above needs it until it is gone.
    runtime: Runtime,
}

impl Database {
    /// Starts it, and makes the tables.
    fn start(commits: Commits) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let cluster = Cluster::start(commits)?;
        // A look at the connection before each use would hide what the rest costs.
        let pool = PgPoolOptions::new()
            .max_connections(transactions::CLIENTS)
            .test_before_acquire(false);
        let pool = runtime.block_on(pool.connect(&cluster.url()))?;
        runtime.block_on(tables::prepare(&pool))?;
        Ok(Self {
            pool,
            cluster,
            runtime,
        })
    }
}

/// Measures things in turns, as [`interleaved`] does, until one of them fails.
fn in_turns<const N: usize>(
    rounds: usize,
    mut measure: impl FnMut(usize) -> anyhow::Result<f64>,
) -> anyhow::Result<[Rounds; N]> {
    let mut outcome: anyhow::Result<()> = Ok(());
    let rounds = interleaved(rounds, |thing| {
        if outcome.is_err() {
            return f64::NAN;
        }
        measure(thing).unwrap_or_else(|error| {
            outcome = Err(error);
            f64::NAN
        })
    });
    outcome.map(|()| rounds)
}
