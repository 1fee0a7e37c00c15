//! What many rows that are inserted by one statement cost the process of the server that does it.

use sqlx::AssertSqlSafe;

use super::{
    Database,
    backend::Backend,
    in_turns,
    tables::{ROWS, Table, ensure_recorded, recorded},
};
use crate::{
    measure::Rounds,
    summary::{Summary, per},
};

/// Measures `history.bulk_added_us_*`, a row.
pub(super) fn run(summary: &mut Summary, database: &Database, rounds: usize) -> anyhow::Result<()> {
    let (runtime, pool) = (&database.runtime, &database.pool);
    let mut all = Vec::new();
    for table in [Table::Plain, Table::Tracked, Table::InBulk] {
        all.push(runtime.block_on(Load::connect(database, table))?);
    }
    let [none, row, statement]: [Rounds; 3] =
        in_turns(rounds, |thing| runtime.block_on(all[thing].cost()))?;
    for load in all.iter().skip(1) {
        let more = load.last - ROWS;
        runtime.block_on(ensure_recorded(pool, load.table, INSERT, load.before, more))?;
    }
    summary.set("history.bulk_added_us_row", row.beyond(&none));
    summary.set("history.bulk_added_us_statement", statement.beyond(&none));
    Ok(())
}

/// Somebody who inserts many rows at once.
struct Load {
    table: Table,
    backend: Backend,
    /// How many inserts were recorded before.
    before: i64,
    /// The last id that was given.
    last: i64,
}

impl Load {
    async fn connect(database: &Database, table: Table) -> anyhow::Result<Self> {
        Ok(Self {
            table,
            backend: Backend::connect(database).await?,
            before: recorded(&database.pool, table, INSERT).await?,
            last: ROWS,
        })
    }

    /// Returns the microseconds of a processor that one row takes.
    async fn cost(&mut self) -> anyhow::Result<f64> {
        let first = self.last + 1;
        self.last += i64::try_from(AT_ONCE)?;
        self.backend.next_request().await?;
        let before = self.backend.busy_ns()?;
        let insert = sqlx::query(AssertSqlSafe(self.table.sql(MANY)))
            .bind(first)
            .bind(self.last);
        insert.execute(self.backend.connection()).await?;
        let busy = self.backend.busy_ns()? - before;
        Ok(per(busy, AT_ONCE) / 1_000.0)
    }
}

const INSERT: &str = "insert";

const MANY: &str = "\
INSERT INTO {table} (id, name, email, status, plan, runs, price, active, api_token)
    SELECT n, 'Customer ' || n, 'customer-' || n || '@example.org', 'active', 'team', 7, 12.50, true, 'c4ca4238a0b923820dcc509a6f75849b'
    FROM generate_series($1::bigint, $2::bigint) AS n";

/// How many rows a statement has.
const AT_ONCE: usize = 10_000;
