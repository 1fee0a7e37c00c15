//! How many transactions of an app there are in a second, with a context and without.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::task::JoinSet;
use tower_audit::{Actor, EventId, changes::ChangeContext, history::AuditedTransaction};
use uuid::Uuid;

use super::{
    Database, in_turns,
    tables::{Table, ensure_recorded, recorded, row},
};
use crate::{
    measure::Rounds,
    summary::{Summary, per},
};

/// Measures `history.tps*`, or `history.unsynced_tps*` where nobody waits for the disk.
pub(super) fn run(
    summary: &mut Summary,
    database: &Database,
    rounds: usize,
    time: Duration,
    key: &str,
) -> anyhow::Result<()> {
    let (runtime, pool) = (&database.runtime, &database.pool);
    let mut before = [0_i64; 4];
    for (before, table) in before.iter_mut().zip(TABLES).skip(1) {
        *before = runtime.block_on(recorded(pool, table, UPDATE))?;
    }
    let begun = Arc::new(AtomicI64::new(0));
    let clients = TABLES.map(|table| Client::new(pool.clone(), table, &begun));
    let mut done = [0_usize; 4];
    for (done, client) in done.iter_mut().zip(&clients) {
        *done += runtime.block_on(client.all_for(time / 4))?.0;
    }
    let [none, ours, generic, constant]: [Rounds; 4] = in_turns(rounds, |thing| {
        let (transactions, speed) = runtime.block_on(clients[thing].all_for(time))?;
        done[thing] += transactions;
        Ok(speed)
    })?;
    for ((table, before), done) in TABLES.into_iter().zip(before).zip(done).skip(1) {
        let recorded = ensure_recorded(pool, table, UPDATE, before, i64::try_from(done)?);
        runtime.block_on(recorded)?;
    }
    summary.set(format!("{key}_none"), none.median());
    summary.set(key, ours.median());
    summary.set(format!("{key}_ratio"), ours.times(&none));
    summary.set(format!("{key}_generic_ratio"), generic.times(&none));
    summary.set(format!("{key}_constant_ratio"), constant.times(&none));
    Ok(())
}

/// Somebody who makes one transaction after the other.
#[derive(Clone, Debug)]
struct Client {
    pool: PgPool,
    table: Table,
    select: Arc<str>,
    update: Arc<str>,
    /// How many transactions all of them have begun.
    begun: Arc<AtomicI64>,
}

impl Client {
    fn new(pool: PgPool, table: Table, begun: &Arc<AtomicI64>) -> Self {
        Self {
            pool,
            table,
            select: table.sql("SELECT name, status FROM {table} WHERE id = $1"),
            update: table.sql("UPDATE {table} SET status = $1 WHERE id = $2"),
            begun: Arc::clone(begun),
        }
    }

    /// Lets [`CLIENTS`] such go on for so long; returns how many transactions they made, and how many a second.
    async fn all_for(&self, time: Duration) -> anyhow::Result<(usize, f64)> {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..CLIENTS {
            tasks.spawn(self.clone().until(started + time));
        }
        let mut done = 0_usize;
        while let Some(one) = tasks.join_next().await {
            done += one??;
        }
        Ok((done, 1e9 / per(started.elapsed().as_nanos(), done)))
    }

    async fn until(self, end: Instant) -> anyhow::Result<usize> {
        let mut done = 0_usize;
        while Instant::now() < end {
            self.transaction().await?;
            done += 1;
        }
        Ok(done)
    }

    async fn transaction(&self) -> anyhow::Result<()> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        if self.table == Table::Plain {
            let mut tx = self.pool.begin().await?;
            self.work(&mut tx, number).await?;
            tx.commit().await?;
        } else {
            let mut tx = AuditedTransaction::begin(&self.pool, context()).await?;
            self.work(&mut tx, number).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Does what a transaction of pgbench does: three updates, of which one is of the table that is measured, a query and an insert.
    async fn work(&self, connection: &mut PgConnection, number: i64) -> sqlx::Result<()> {
        let id = row(number);
        // Another one than any before, also than those that the updates left: one that changes nothing is not recorded.
        let update = sqlx::query(AssertSqlSafe(Arc::clone(&self.update)))
            .bind(format!("state-{number}"))
            .bind(id);
        update.execute(&mut *connection).await?;
        let select = sqlx::query(AssertSqlSafe(Arc::clone(&self.select))).bind(id);
        select.fetch_one(&mut *connection).await?;
        let teller = sqlx::query(TELLER).bind(id);
        teller.execute(&mut *connection).await?;
        let branch = sqlx::query(BRANCH).bind(id);
        branch.execute(&mut *connection).await?;
        let note = sqlx::query(NOTE).bind(id).bind("its status was changed");
        note.execute(connection).await?;
        Ok(())
    }
}

/// Returns the context of a request.
fn context() -> ChangeContext {
    ChangeContext::new(Actor::user("user-7"))
        .request_id(Uuid::now_v7())
        .event_id(EventId::from_uuid(Uuid::now_v7()))
        .tenant_id("tenant-7")
}

const TABLES: [Table; 4] = [
    Table::Plain,
    Table::Tracked,
    Table::Generic,
    Table::Constant,
];

const UPDATE: &str = "update";
const TELLER: &str = "UPDATE bench.tellers SET balance = balance + 1 WHERE id = $1 % 500 + 1";
const BRANCH: &str = "UPDATE bench.branches SET balance = balance + 1 WHERE id = $1 % 50 + 1";
const NOTE: &str = "INSERT INTO bench.notes (about, note) VALUES ($1, $2)";

/// How many there are at once.
pub(super) const CLIENTS: u32 = 4;
