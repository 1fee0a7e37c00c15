//! The tables that are changed, and what records the changes of each.

use std::sync::Arc;

use anyhow::ensure;
use sqlx::{AssertSqlSafe, PgPool};
use tower_audit::{
    changes::TableName,
    history::{History, Track, Triggers},
};

/// A table, by what records its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Nothing does.
    Plain,
    /// Our triggers do, for each row.
    Tracked,
    /// One trigger function for all tables does.
    Generic,
    /// A trigger does that records the same each time.
    Constant,
    /// Our triggers do, once a statement.
    InBulk,
}

impl Table {
    /// Returns a statement about this table, `{table}`, or about what was recorded of it, `{changes}`.
    pub(super) fn sql(self, text: &str) -> Arc<str> {
        let table = format!("bench.{}", self.name());
        text.replace("{table}", &table)
            .replace("{changes}", self.changes())
            .into()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tracked => "tracked",
            Self::Generic => "generic",
            Self::Constant => "constant",
            Self::InBulk => "in_bulk",
        }
    }

    /// Returns the table of its history. That of a table that nobody records has nothing of it.
    fn changes(self) -> &'static str {
        match self {
            Self::Plain | Self::Tracked | Self::InBulk => "control_plane.row_changes",
            Self::Generic => "control_plane.generic_changes",
            Self::Constant => "control_plane.constant_changes",
        }
    }
}

/// Makes the tables, and what records their changes.
pub(super) async fn prepare(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(TABLES).execute(pool).await?;
    let ours = History::new(pool.clone());
    ours.migrate().await?;
    // The others write to tables with the same columns, defaults, indexes and partitions.
    for (table, triggers) in [("generic_changes", GENERIC), ("constant_changes", CONSTANT)] {
        let other = History::builder(pool.clone()).table(table);
        other.build()?.migrate().await?;
        sqlx::raw_sql(triggers).execute(pool).await?;
    }
    let tracked = [
        (Table::Tracked, Triggers::Row),
        (Table::InBulk, Triggers::Statement),
    ];
    for (table, triggers) in tracked {
        let track = Track::new()
            .ignore(["updated_at"])
            .mask(["api_token"])
            .triggers(triggers);
        let name = TableName::new("bench", table.name());
        ours.track(&name, track).await?;
    }
    // As autovacuum does after a while.
    sqlx::raw_sql("VACUUM (ANALYZE)").execute(pool).await?;
    Ok(())
}

/// Returns the id of a row: numbers that follow each other are spread over the table, and it takes [`ROWS`] of them to come back.
pub(super) fn row(number: i64) -> i64 {
    number * STRIDE % ROWS + 1
}

/// Makes sure that so many more changes of this kind were recorded than before.
pub(super) async fn ensure_recorded(
    pool: &PgPool,
    table: Table,
    operation: &str,
    before: i64,
    more: i64,
) -> anyhow::Result<()> {
    let now = recorded(pool, table, operation).await?;
    ensure!(
        now - before == more,
        "{more} times {operation} of the table {}, and {} were recorded",
        table.name(),
        now - before
    );
    Ok(())
}

/// Returns how many changes of this kind were recorded.
pub(super) async fn recorded(pool: &PgPool, table: Table, operation: &str) -> anyhow::Result<i64> {
    let count = sqlx::query_scalar(AssertSqlSafe(table.sql(RECORDED)))
        .bind(table.name())
        .bind(operation);
    Ok(count.fetch_one(pool).await?)
}

/// Returns how many bytes the history of this table takes, without and with its indexes.
pub(super) async fn bytes(pool: &PgPool, table: Table) -> anyhow::Result<(i64, i64)> {
    let bytes = sqlx::query_as(AssertSqlSafe(table.sql(BYTES)));
    Ok(bytes.fetch_one(pool).await?)
}

const TABLES: &str = include_str!("tables.sql");
const GENERIC: &str = include_str!("generic.sql");
const CONSTANT: &str = include_str!("constant.sql");

const RECORDED: &str = "\
SELECT count(*) FROM {changes} WHERE table_schema = 'bench' AND table_name = $1 AND operation = $2
    AND (operation <> 'update' OR old ->> 'status' <> new ->> 'status')";

const BYTES: &str = "\
SELECT sum(pg_table_size(relid))::bigint, sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree('{changes}')";

/// How many rows each table has.
pub(super) const ROWS: i64 = 50_000;

/// Has no divisor in common with the number of rows.
const STRIDE: i64 = 7_919;
