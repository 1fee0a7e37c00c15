//! Partitions for times to come, and for rows that find none.

use std::{collections::BTreeSet, fmt::Write as _};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction, postgres::PgDatabaseError};
use tower_audit_core::{AuditEvent, StoreError};

use super::{
    Layout, PartitionError, Period,
    catalog::{self, Table},
    names::{Names, bound},
    period::Bounds,
    swap::{LIKE, drop_bound, swap},
};
use crate::{migrate::LOCK, postgres::PgStore};

type Times = Vec<(DateTime<Utc>, DateTime<Utc>)>;

/// Makes the partitions of the next time. See [`PgStore::create_partitions`].
pub(super) async fn ahead(store: &PgStore, now: DateTime<Utc>) -> Result<usize, PartitionError> {
    let mut tx = begin(store).await?;
    lock(&mut tx).await?;
    let table = catalog::table(&mut tx, store).await?;
    let table = table.ok_or(PartitionError::NoTable)?;
    if !table.is_partitioned {
        return Err(PartitionError::NotPartitioned);
    }
    let ahead = |period: Period, there: &[Bounds]| period.missing_ahead(there, now);
    let made = make(store, &mut tx, &table, ahead).await?;
    tx.commit().await?;
    Ok(made)
}

/// Makes them if there are some already, and the user may.
pub(in crate::postgres) async fn ahead_if_owner(store: &PgStore) -> sqlx::Result<()> {
    let mut tx = begin(store).await?;
    lock(&mut tx).await?;
    let table = catalog::table(&mut tx, store).await?;
    if let Some(table) = table.filter(|table| table.is_partitioned && table.may_act_as_owner) {
        let ahead = |period: Period, there: &[Bounds]| period.missing_ahead(there, Utc::now());
        make(store, &mut tx, &table, ahead).await?;
    }
    tx.commit().await
}

/// Lays out a table that the migrations have just made, and makes the partitions of the next time for one that has some.
/// The caller holds the lock.
pub(crate) async fn after_migrations(
    store: &PgStore,
    connection: &mut PgConnection,
    is_new: bool,
) -> sqlx::Result<()> {
    let Some(table) = catalog::table(connection, store).await? else {
        return Ok(());
    };
    let now = Utc::now();
    match store.layout() {
        _ if table.is_partitioned => {
            let ahead = |period: Period, there: &[Bounds]| period.missing_ahead(there, now);
            make(store, connection, &table, ahead).await?;
        }
        Layout::Partitioned(period) if is_new => {
            let times = (now, period.begin(now));
            swap(connection, &Names::of(store), &table, period, times).await?;
        }
        Layout::Plain | Layout::Partitioned(_) => {}
    }
    Ok(())
}

/// Returns what a row did not find room for, if that is why it failed.
pub(in crate::postgres) fn missing_room(error: &sqlx::Error, store: &PgStore) -> Option<Missing> {
    let (_, table) = store.name();
    let error = error.as_database_error()?;
    if !error.is_check_violation() {
        return None;
    }
    let of_postgres = error.try_downcast_ref::<PgDatabaseError>()?;
    if error.constraint() == Some(&bound(table.as_str())) {
        Some(Missing::BeyondBound)
    } else if of_postgres.routine() == Some("ExecFindPartition") {
        Some(Missing::Partition)
    } else {
        None
    }
}

/// What a row did not find room for.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) enum Missing {
    /// No partition has its time.
    Partition,
    /// It is beyond what a conversion to partitions takes for the end.
    BeyondBound,
}

impl Missing {
    const fn hint(self) -> &'static str {
        match self {
            Self::Partition => {
                "no partition of the audit table has the time of now: run the migrations (`tower_audit::migrate`) or \
                 `tower-audit partitions create` as the owner of the table"
            }
            Self::BeyondBound => {
                "a conversion of the audit table to partitions was not finished: run it again \
                 (`tower-audit partitions convert`), or drop the check of which the name ends in `_first_bound`"
            }
        }
    }
}

/// Makes room for these events; returns whether there is more than before.
pub(in crate::postgres) async fn make_for(
    store: &PgStore,
    batch: &[AuditEvent],
) -> Result<bool, PartitionError> {
    let now = Utc::now();
    let mut tx = begin(store).await?;
    lock(&mut tx).await?;
    let table = catalog::table(&mut tx, store).await?;
    let table = table.ok_or(PartitionError::NoTable)?;
    let made = if table.is_partitioned {
        let times = batch.iter().map(AuditEvent::created_at);
        let times: Vec<_> = times.filter(|time| *time < now + NEAR).collect();
        make(store, &mut tx, &table, |period, there| {
            missing(period, there, &times, now)
        })
        .await?
    } else {
        // A conversion was given up, or is not done after a week.
        unbind(store, &mut tx, &table).await?
    };
    tx.commit().await?;
    Ok(made > 0)
}

/// Takes the bound of a conversion away; returns how many there were.
async fn unbind(
    store: &PgStore,
    connection: &mut PgConnection,
    table: &Table,
) -> sqlx::Result<usize> {
    let names = Names::of(store);
    if !catalog::has_check(connection, table, &names.bound()).await? {
        return Ok(0);
    }
    table.act_as_owner(connection).await?;
    let unbound = format!(
        "SET LOCAL lock_timeout = '500ms'; {}",
        drop_bound(&names.table, &names)
    );
    sqlx::raw_sql(AssertSqlSafe(unbound))
        .execute(connection)
        .await?;
    Ok(1)
}

/// Returns the times that are missing for rows of these times and for the next time, a bounded number of them.
fn missing(period: Period, there: &[Bounds], times: &[DateTime<Utc>], now: DateTime<Utc>) -> Times {
    let mut missing = period.missing_ahead(there, now);
    let begins: BTreeSet<_> = times.iter().map(|time| period.begin(*time)).collect();
    for begin in begins.into_iter().rev() {
        if missing.len() >= AT_A_TIME {
            break;
        }
        if !missing.iter().any(|(from, _)| period.begin(*from) == begin) {
            missing.extend(period.missing(there, begin, period.end(begin)));
        }
    }
    missing
}

/// Says what becomes of events that found no room, and for which none could be made.
pub(in crate::postgres) fn without_room(
    batch: &[AuditEvent],
    missing: Missing,
    source: sqlx::Error,
) -> StoreError {
    let now = Utc::now();
    let is_near = |event: &AuditEvent| (event.created_at() - now).abs() < NEAR;
    if batch.iter().all(is_near) {
        StoreError::NotReady {
            hint: missing.hint(),
            source: source.into(),
        }
    } else {
        // What has a time of its own must not hold up the others.
        StoreError::Rejected(source.into())
    }
}

/// Begins a transaction that nobody waits for longer than five seconds because its process is frozen.
async fn begin(store: &PgStore) -> sqlx::Result<Transaction<'static, Postgres>> {
    let begin = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000";
    store.pool().begin_with(begin).await
}

/// One at a time, and none while the migrations run.
async fn lock(connection: &mut PgConnection) -> sqlx::Result<()> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(connection).await?;
    Ok(())
}

/// Makes the partitions that are missing; returns how many they were.
async fn make(
    store: &PgStore,
    connection: &mut PgConnection,
    table: &Table,
    missing: impl FnOnce(Period, &[Bounds]) -> Times,
) -> sqlx::Result<usize> {
    let there = catalog::partitions(connection, table).await?;
    let there: Vec<Bounds> = there
        .iter()
        .map(|there| (there.from, there.until))
        .collect();
    let period = match store.layout() {
        Layout::Partitioned(period) => period,
        Layout::Plain => Period::of(&there).unwrap_or(Period::Monthly),
    };
    let missing = missing(period, &there);
    if !missing.is_empty() {
        table.act_as_owner(connection).await?;
        let make = statements(&Names::of(store), &missing);
        sqlx::raw_sql(AssertSqlSafe(make))
            .execute(connection)
            .await?;
    }
    Ok(missing.len())
}

/// Returns the statements that make partitions for these times. Each is made apart and then attached, which lets readers
/// and writers through.
pub(super) fn statements(names: &Names, times: &[(DateTime<Utc>, DateTime<Utc>)]) -> String {
    let mut sql = String::new();
    for (from, until) in times {
        let name = names.partition(*from);
        let _ = write!(
            sql,
            "CREATE TABLE {name} (LIKE {table} {LIKE}); \
             CREATE TRIGGER \"{no_truncate}\" BEFORE TRUNCATE ON {name} \
                 FOR EACH STATEMENT EXECUTE FUNCTION {append_only}(); \
             ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{until}'); ",
            table = names.table,
            no_truncate = names.no_truncate(),
            append_only = names.append_only(),
            from = from.to_rfc3339(),
            until = until.to_rfc3339(),
        );
    }
    sql
}

/// A row of now has a time no further away than this, however clocks differ.
const NEAR: TimeDelta = TimeDelta::days(1);

/// How many partitions are made for one batch: each takes some locks, of which a database has some thousand.
const AT_A_TIME: usize = 32;
