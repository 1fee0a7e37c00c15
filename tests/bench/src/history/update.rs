//! What an update of one row costs the process of the server that does it, and the room that its history takes.

use std::sync::Arc;

use anyhow::ensure;
use sqlx::{AssertSqlSafe, PgPool};

use super::{
    Database,
    backend::Backend,
    in_turns,
    tables::{Table, bytes, ensure_recorded, row},
};
use crate::{
    measure::Rounds,
    summary::{Summary, per},
};

/// Measures `history.bytes*` and `history.update_*`.
pub(super) fn run(summary: &mut Summary, database: &Database, rounds: usize) -> anyhow::Result<()> {
    let runtime = &database.runtime;
    let mut all = Vec::new();
    for table in [
        Table::Plain,
        Table::Tracked,
        Table::Generic,
        Table::Constant,
    ] {
        all.push(runtime.block_on(Updates::connect(database, table))?);
    }
    for updates in &mut all {
        runtime.block_on(updates.each_by_a_request())?;
    }
    room(summary, database)?;
    let [none, ours, generic, constant]: [Rounds; 4] =
        in_turns(rounds, |thing| runtime.block_on(all[thing].cost(database)))?;
    for updates in all.iter().skip(1) {
        let Updates { table, done, .. } = *updates;
        runtime.block_on(ensure_recorded(&database.pool, table, UPDATE, 0, done))?;
    }
    summary.set("history.update_none_us", none.median());
    summary.set("history.update_us", ours.median());
    summary.set("history.update_generic_us", generic.median());
    summary.set("history.update_added_us", ours.beyond(&none));
    let added = |with: &Rounds| {
        let rounds = with.0.iter().zip(&none.0);
        Rounds(rounds.map(|(with, without)| with - without).collect())
    };
    let ratio = |of: &Rounds| added(of).times(&added(&generic));
    summary.set("history.update_vs_generic", ratio(&ours));
    // What is left of the others if they had nothing to find out.
    summary.set("history.constant_added_us", constant.beyond(&none));
    summary.set("history.constant_vs_generic", ratio(&constant));
    Ok(())
}

/// Measures `history.bytes*`, of as many changes on both sides.
fn room(summary: &mut Summary, database: &Database) -> anyhow::Result<()> {
    let (runtime, pool) = (&database.runtime, &database.pool);
    let ours = runtime.block_on(bytes_a_change(pool, Table::Tracked))?;
    let generic = runtime.block_on(bytes_a_change(pool, Table::Generic))?;
    summary.set("history.bytes", ours.0);
    summary.set("history.bytes_generic", generic.0);
    summary.set("history.bytes_ratio", ours.0 / generic.0);
    // Those are the same on both sides.
    summary.set("history.indexed_bytes", ours.1);
    summary.set("history.indexed_bytes_generic", generic.1);
    summary.set("history.indexed_bytes_ratio", ours.1 / generic.1);
    Ok(())
}

/// Returns how many bytes a change takes, without and with the indexes.
async fn bytes_a_change(pool: &PgPool, table: Table) -> anyhow::Result<(f64, f64)> {
    let changes = i64::try_from(CHANGES)?;
    ensure_recorded(pool, table, UPDATE, 0, changes).await?;
    let (alone, with_indexes) = bytes(pool, table).await?;
    Ok((per(alone, CHANGES), per(with_indexes, CHANGES)))
}

/// Somebody who updates one row after the other, each in a transaction of its own.
struct Updates {
    table: Table,
    backend: Backend,
    statement: Arc<str>,
    done: i64,
}

impl Updates {
    async fn connect(database: &Database, table: Table) -> anyhow::Result<Self> {
        Ok(Self {
            table,
            backend: Backend::connect(database).await?,
            statement: table.sql("UPDATE {table} SET status = $1 WHERE id = $2"),
            done: 0,
        })
    }

    /// Updates rows as requests do: an index has less to note of many changes that belong to one.
    async fn each_by_a_request(&mut self) -> anyhow::Result<()> {
        for _ in 0..CHANGES {
            self.backend.next_request().await?;
            self.one().await?;
        }
        Ok(())
    }

    /// Returns the microseconds of a processor that one takes. Each time by another process: where its memory happens to be makes one of them slower than
    /// another for as long as it lives.
    async fn cost(&mut self, database: &Database) -> anyhow::Result<f64> {
        self.backend = Backend::connect(database).await?;
        for _ in 0..WARM_UP {
            self.one().await?;
        }
        let before = self.backend.busy_ns()?;
        for _ in 0..STATEMENTS {
            self.one().await?;
        }
        let busy = self.backend.busy_ns()? - before;
        Ok(per(busy, STATEMENTS) / 1_000.0)
    }

    async fn one(&mut self) -> anyhow::Result<()> {
        self.done += 1;
        // Another one than any before: an update that changes nothing is not recorded.
        let update = sqlx::query(AssertSqlSafe(Arc::clone(&self.statement)))
            .bind(format!("status-{}", self.done))
            .bind(row(self.done));
        let updated = update.execute(self.backend.connection()).await?;
        ensure!(updated.rows_affected() == 1, "the row was not updated");
        Ok(())
    }
}

const UPDATE: &str = "update";

/// How many changes are made to see what room they take.
const CHANGES: usize = 10_000;

/// How many statements a process does before it is measured.
const WARM_UP: usize = 50;

/// How many statements are measured together.
pub(super) const STATEMENTS: usize = 200;
