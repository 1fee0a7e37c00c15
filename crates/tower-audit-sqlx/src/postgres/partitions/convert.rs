//! From one table to partitions, while writers go on.
//!
//! No row is moved: the table as it is becomes the first partition, of all rows before a moment that has not come yet,
//! and a new table above it takes its name. What takes long, an index and a look at all rows, is done beforehand and
//! lets writers through. The change itself is one of the catalog, a transaction of some milliseconds.
//!
//! **Invariant:** while the rows are bounded for the change, and the change has not come, a row beyond the bound is not
//! rejected: the store takes the bound away and writes it, see [`room`](super::room). Such a row cannot come in less than
//! [`MARGIN`], but for one whose time is wrong.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};

use super::{
    PartitionError, Period,
    catalog::{self, Table},
    names::Names,
    swap::{drop_bound, swap},
};
use crate::postgres::PgStore;

/// How [`PgStore::convert`] makes partitions of a table.
#[derive(Clone, Copy, Debug)]
#[must_use = "a conversion does nothing until `PgStore::convert`"]
pub struct Conversion {
    period: Period,
    lock_timeout: Duration,
    patience: Duration,
}

impl Conversion {
    /// Returns a conversion to partitions of this length.
    pub const fn to(period: Period) -> Self {
        Self {
            period,
            lock_timeout: Duration::from_millis(500),
            patience: Duration::from_mins(5),
        }
    }

    /// Sets how long it waits for the lock at a time, in whole milliseconds and at least one: writers queue up behind it for as long.
    /// Defaults to half a second.
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Sets for how long it tries again if somebody has the table. Defaults to five minutes.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Begins a transaction with a statement that takes a lock; tries again for a while if somebody else has it.
    async fn locked(
        &self,
        store: &PgStore,
        statement: &str,
    ) -> Result<Transaction<'static, Postgres>, PartitionError> {
        let started = Instant::now();
        let timeout = self.lock_timeout.as_millis().max(1);
        let statement = format!("SET LOCAL lock_timeout = {timeout}; {statement}");
        loop {
            let mut tx = store.pool().begin().await?;
            let statement = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
            match statement.execute(&mut *tx).await {
                Ok(_) => return Ok(tx),
                Err(error) if !is_locked(&error) => return Err(error.into()),
                Err(_) if started.elapsed() >= self.patience => {
                    return Err(PartitionError::Locked(self.patience));
                }
                Err(_) => {}
            }
            tx.rollback().await?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Makes partitions of the table. See [`PgStore::convert`].
pub(super) async fn run(
    store: &PgStore,
    conversion: Conversion,
    now: DateTime<Utc>,
) -> Result<(), PartitionError> {
    let names = Names::of(store);
    // Its transaction has the lock as long as this runs, and nothing else. It is a connection of its own: the pool may be one
    // of one.
    let mut guard = PgConnection::connect_with(&store.pool().connect_options()).await?;
    let mut guard = guard.begin().await?;
    lock_out_others(&mut guard, &names).await?;
    let Some(table) = to_convert(store).await? else {
        return Ok(());
    };
    make_index(store, &names).await?;
    let converted = bound_and_swap(store, &conversion, &names, &table, now).await;
    if converted.is_err() {
        // Best effort: whoever writes takes it away, too.
        let unbound = drop_bound(&names.table, &names);
        let at_once = conversion.patience(Duration::ZERO);
        if let Ok(tx) = at_once.locked(store, &unbound).await {
            let _ = tx.commit().await;
        }
    }
    converted
}

/// Returns the table, if it is to be converted.
async fn to_convert(store: &PgStore) -> Result<Option<Table>, PartitionError> {
    let mut connection = store.pool().acquire().await?;
    let table = catalog::table(&mut connection, store).await?;
    let table = table.ok_or(PartitionError::NoTable)?;
    if table.is_partitioned {
        return Ok(None);
    }
    catalog::refuse_what_stays_behind(&mut connection, &table).await?;
    Ok(Some(table))
}

/// Does what needs the lock. Whoever writes takes the bound away if a row is beyond it: then all of it is done again.
async fn bound_and_swap(
    store: &PgStore,
    conversion: &Conversion,
    names: &Names,
    table: &Table,
    now: DateTime<Utc>,
) -> Result<(), PartitionError> {
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.table);
    for _ in 0..ATTEMPTS {
        let newest = newest(store, names).await?;
        let furthest = newest.map_or(now, |newest| newest.max(now)) + MARGIN;
        let until = conversion.period.end(furthest);
        bound(store, conversion, names, until).await?;
        let mut tx = conversion.locked(store, &lock).await?;
        // Without it the database would look at all rows, and hold the lock.
        if catalog::has_check(&mut tx, table, &names.bound()).await? {
            swap(&mut tx, names, table, conversion.period, (now, until)).await?;
            return Ok(tx.commit().await?);
        }
        tx.rollback().await?;
    }
    Err(PartitionError::FarAhead)
}

/// Makes sure that this is the only conversion of this table.
async fn lock_out_others(
    connection: &mut PgConnection,
    names: &Names,
) -> Result<(), PartitionError> {
    let is_alone: bool = sqlx::query_scalar(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('conversion of ' || $1, 0)) \
         FROM (SELECT set_config('idle_in_transaction_session_timeout', '0', true)) AS patient",
    )
    .bind(&names.table)
    .fetch_one(connection)
    .await?;
    if is_alone {
        Ok(())
    } else {
        Err(PartitionError::Busy)
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    // lock_not_available, deadlock_detected
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

async fn run_sql(store: &PgStore, statement: String) -> sqlx::Result<()> {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement));
    statement.execute(store.pool()).await.map(drop)
}

async fn newest(store: &PgStore, names: &Names) -> sqlx::Result<Option<DateTime<Utc>>> {
    let newest = format!("SELECT max(created_at) FROM {}", names.table);
    sqlx::query_scalar(AssertSqlSafe(newest))
        .fetch_one(store.pool())
        .await
}

/// Makes the index that the primary key of a partition needs. One that was not finished is made anew.
async fn make_index(store: &PgStore, names: &Names) -> sqlx::Result<()> {
    let index = names.in_schema(&names.first_key());
    let is_valid: Option<bool> = sqlx::query_scalar(
        "SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass($1)",
    )
    .bind(&index)
    .fetch_optional(store.pool())
    .await?;
    if is_valid == Some(true) {
        return Ok(());
    }
    let make = format!(
        r#"CREATE UNIQUE INDEX CONCURRENTLY "{}" ON {} (id, created_at)"#,
        names.first_key(),
        names.table
    );
    run_sql(store, format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
    run_sql(store, make).await
}

/// Makes sure that all rows, and those to come, are before a moment.
async fn bound(
    store: &PgStore,
    conversion: &Conversion,
    names: &Names,
    until: DateTime<Utc>,
) -> Result<(), PartitionError> {
    let (table, bound) = (&names.table, names.bound());
    let add = format!(
        r#"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS "{bound}",
             ADD CONSTRAINT "{bound}" CHECK (created_at < '{}') NOT VALID"#,
        until.to_rfc3339(),
    );
    conversion.locked(store, &add).await?.commit().await?;
    // Lets writers through.
    let validate = format!(r#"ALTER TABLE {table} VALIDATE CONSTRAINT "{bound}""#);
    Ok(run_sql(store, validate).await?)
}

/// How far ahead the bound lies at least.
const MARGIN: TimeDelta = TimeDelta::days(7);

const ATTEMPTS: usize = 5;

const PAUSE: Duration = Duration::from_millis(250);
