//! What an insert and a delete of one row cost the process of the server that does it.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::{
    Database,
    backend::Backend,
    in_turns,
    tables::{ROWS, Table, ensure_recorded},
    update::STATEMENTS,
};
use crate::{
    measure::Rounds,
    summary::{Summary, per},
};

/// Measures `history.insert_added_us` and `history.delete_added_us`.
pub(super) fn run(summary: &mut Summary, database: &Database, rounds: usize) -> anyhow::Result<()> {
    let runtime = &database.runtime;
    let mut all = Vec::new();
    for table in [Table::Plain, Table::Tracked] {
        all.push(runtime.block_on(Newcomers::connect(database, table))?);
    }
    let mut deletes: [Vec<f64>; 2] = Default::default();
    let [none, ours]: [Rounds; 2] = in_turns(rounds, |thing| {
        let (insert, delete) = runtime.block_on(all[thing].costs())?;
        deletes[thing].push(delete);
        Ok(insert)
    })?;
    for operation in ["insert", "delete"] {
        let done = all[1].last - ROWS;
        let recorded = ensure_recorded(&database.pool, Table::Tracked, operation, 0, done);
        runtime.block_on(recorded)?;
    }
    summary.set("history.insert_added_us", ours.beyond(&none));
    let [none, ours] = deletes.map(Rounds);
    summary.set("history.delete_added_us", ours.beyond(&none));
    Ok(())
}

/// Somebody who inserts rows, and deletes them again.
struct Newcomers {
    backend: Backend,
    insert: Arc<str>,
    delete: Arc<str>,
    /// The last id that was given.
    last: i64,
}

impl Newcomers {
    async fn connect(database: &Database, table: Table) -> anyhow::Result<Self> {
        Ok(Self {
            backend: Backend::connect(database).await?,
            insert: table.sql(INSERT),
            delete: table.sql("DELETE FROM {table} WHERE id = $1"),
            last: ROWS,
        })
    }

    /// Returns the microseconds of a processor that one insert and one delete take.
    async fn costs(&mut self) -> anyhow::Result<(f64, f64)> {
        let (first, insert) = (self.last + 1, Arc::clone(&self.insert));
        self.last += i64::try_from(STATEMENTS)?;
        let inserts = self.cost(&insert, first).await?;
        let delete = Arc::clone(&self.delete);
        let deletes = self.cost(&delete, first).await?;
        Ok((inserts, deletes))
    }

    /// Runs a statement for each row from this one to the last.
    async fn cost(&mut self, statement: &Arc<str>, first: i64) -> anyhow::Result<f64> {
        self.backend.next_request().await?;
        let before = self.backend.busy_ns()?;
        for id in first..=self.last {
            let statement = sqlx::query(AssertSqlSafe(Arc::clone(statement))).bind(id);
            statement.execute(self.backend.connection()).await?;
        }
        let busy = self.backend.busy_ns()? - before;
        Ok(per(busy, STATEMENTS) / 1_000.0)
    }
}

const INSERT: &str = "\
INSERT INTO {table} (id, name, email, status, plan, runs, price, active, api_token)
    VALUES ($1, 'Ada Lovelace', 'ada@example.org', 'active', 'team', 7, 12.50, true, 'c4ca4238a0b923820dcc509a6f75849b')";
