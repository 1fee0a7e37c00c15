//! Drops partitions of which every row is due.
//!
//! A partition is detached first, which lets readers and writers through, and then looked at once more, when nobody can write to
//! it: what a hold or the policy keeps goes back into the table. The name of a partition on its way is in the row
//! of the lease, so that the next run finishes what one that was killed began.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use tower_audit_core::StoreError;

use super::{
    Partition,
    catalog::{self, Table},
    names::Names,
};
use crate::{
    postgres::{PgStore, error::store_error, reading::Reading},
    query::{Arg, Sql},
    retention::{Database as _, Dropped, Due, Lease, RetentionError, Run, holds},
};

type Tx = Transaction<'static, Postgres>;

/// Drops them, or says which it would; none if the user may not.
pub(in crate::postgres) async fn drop_due(
    store: &PgStore,
    run: &Run<'_>,
) -> Result<Vec<Dropped>, RetentionError> {
    let Some(table) = table_of(store).await.map_err(failed)? else {
        return Ok(Vec::new());
    };
    let names = Names::of(store);
    if let Some(lease) = run.lease {
        finish_what_was_begun(store, (&names, &table), (lease, run)).await?;
    }
    let mut dropped = Vec::new();
    for partition in partitions(store, &table).await.map_err(failed)? {
        let Some(until) = partition.until.filter(|until| *until <= run.cutoff) else {
            continue;
        };
        if !is_all_due(store, (&names, &table), &partition, run).await? {
            continue;
        }
        let is_gone = match run.lease {
            None => true,
            Some(lease) => one(store, (&names, &table), &partition, (lease, run)).await?,
        };
        if is_gone {
            dropped.push(Dropped {
                name: partition.name,
                from: partition.from,
                until,
                rows: partition.rows,
            });
        }
    }
    Ok(dropped)
}

/// Returns the table, if it has partitions that this user may drop.
async fn table_of(store: &PgStore) -> sqlx::Result<Option<Table>> {
    // None of these keeps its connection: the pool may be one of one.
    let mut connection = store.pool().acquire().await?;
    let table = catalog::table(&mut connection, store).await?;
    Ok(table.filter(|table| table.is_partitioned && table.may_act_as_owner))
}

async fn partitions(store: &PgStore, table: &Table) -> sqlx::Result<Vec<Partition>> {
    let mut connection = store.pool().acquire().await?;
    catalog::partitions(&mut connection, table).await
}

/// Begins a transaction as the owner: nobody else may look into a partition by itself.
async fn begin(store: &PgStore, table: &Table) -> Result<Tx, RetentionError> {
    let mut tx = store.begin().await?;
    table.act_as_owner(&mut tx).await.map_err(failed)?;
    Ok(tx)
}

/// Returns whether every row of a partition is due.
async fn is_all_due(
    store: &PgStore,
    (names, table): (&Names, &Table),
    partition: &Partition,
    run: &Run<'_>,
) -> Result<bool, RetentionError> {
    let mut tx = begin(store, table).await?;
    if let Some(lease) = run.lease {
        lease.renew(store, &mut tx).await?;
    }
    let is_due = keeps_nothing(store, &mut tx, names, partition, run).await?;
    if let Some(lease) = run.lease {
        // That may have taken a while.
        lease.renew(store, &mut tx).await?;
    }
    store.commit(tx).await?;
    Ok(is_due)
}

/// Looks for a row that stays. Where the whole time is over, whatever a row is, nobody has to look.
async fn keeps_nothing(
    store: &PgStore,
    tx: &mut Tx,
    names: &Names,
    partition: &Partition,
    run: &Run<'_>,
) -> Result<bool, RetentionError> {
    let holds = holds(store, tx).await?;
    let longest = run.policy.longest().cutoff(run.now);
    let is_over = partition
        .until
        .zip(longest)
        .is_some_and(|(until, longest)| until <= longest);
    if is_over && holds.is_empty() {
        return Ok(true);
    }
    let due = Due {
        policy: run.policy,
        holds: &holds,
        now: run.now,
    };
    let table = names.existing(&partition.name);
    let mut sql = Sql::new(format!(
        "SELECT CAST(1 AS bigint) WHERE EXISTS (SELECT 1 FROM {table} AS t WHERE ("
    ));
    due.push::<Reading<'static>>(&mut sql);
    sql.push(") IS NOT TRUE)");
    Ok(store.numbers(tx, sql).await?.is_empty())
}

/// Drops a partition; returns whether it is gone.
async fn one(
    store: &PgStore,
    (names, table): (&Names, &Table),
    partition: &Partition,
    (lease, run): (&Lease, &Run<'_>),
) -> Result<bool, RetentionError> {
    let mut tx = begin(store, table).await?;
    lease.renew(store, &mut tx).await?;
    note(store, &mut tx, Some(partition)).await?;
    store.commit(tx).await?;
    match detach(store, (names, table), &partition.name, "CONCURRENTLY").await {
        Ok(()) => drop_detached(store, (names, table), partition, (lease, run)).await,
        // Somebody uses the table for so long: the next run goes on here.
        Err(error) if is_impatient(&error) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Takes a partition out of the table; `how` is `CONCURRENTLY`, or `FINALIZE` for one of which that was interrupted.
async fn detach(
    store: &PgStore,
    (names, table): (&Names, &Table),
    partition: &str,
    how: &str,
) -> sqlx::Result<()> {
    let mut connection = store.pool().acquire().await?;
    // What is set here ends with it. It cannot be in a transaction.
    connection.close_on_drop();
    table.go_on_as_owner(&mut connection).await?;
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int4")
        .fetch_one(&mut *connection)
        .await?;
    let how = if version < 140_000 { "" } else { how };
    let patience = if how == "CONCURRENTLY" {
        CONCURRENT_PATIENCE
    } else {
        PATIENCE
    };
    let partition = names.existing(partition);
    let detach = format!(
        "ALTER TABLE {} DETACH PARTITION {partition} {how}",
        names.table
    );
    for statement in [patience.to_owned(), detach] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Drops a partition that nobody sees any more, or takes it back if a row of it stays.
async fn drop_detached(
    store: &PgStore,
    (names, table): (&Names, &Table),
    partition: &Partition,
    (lease, run): (&Lease, &Run<'_>),
) -> Result<bool, RetentionError> {
    let mut tx = begin(store, table).await?;
    lease.renew(store, &mut tx).await?;
    let is_due = keeps_nothing(store, &mut tx, names, partition, run).await?;
    note(store, &mut tx, None).await?;
    let name = names.existing(&partition.name);
    let bound = |time: Option<DateTime<Utc>>, open: &str| {
        time.map_or_else(
            || open.to_owned(),
            |time| format!("'{}'", time.to_rfc3339()),
        )
    };
    let end = if is_due {
        format!("DROP TABLE {name}")
    } else {
        format!(
            "ALTER TABLE {} ATTACH PARTITION {name} FOR VALUES FROM ({}) TO ({})",
            names.table,
            bound(partition.from, "MINVALUE"),
            bound(partition.until, "MAXVALUE"),
        )
    };
    sqlx::raw_sql(AssertSqlSafe(end))
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    store.commit(tx).await?;
    Ok(is_due)
}

/// Notes which partition is on its way.
async fn note(
    store: &PgStore,
    tx: &mut Tx,
    partition: Option<&Partition>,
) -> Result<(), StoreError> {
    let (_, table) = store.table_and("_retention");
    let mut sql = Sql::new(format!(
        "UPDATE {table} SET (dropping, drops_from, drops_until) = ("
    ));
    let time = |sql: &mut Sql, time: Option<DateTime<Utc>>| {
        match time {
            Some(time) => sql.bind(Arg::Time(time.timestamp_micros())),
            None => sql.push("NULL"),
        };
    };
    match partition {
        Some(partition) => {
            sql.bind(Arg::Text(partition.name.clone())).push(", ");
            time(&mut sql, partition.from);
            sql.push(", ");
            time(&mut sql, partition.until);
        }
        None => {
            sql.push("NULL, NULL, NULL");
        }
    }
    sql.push(") RETURNING token");
    store.numbers(tx, sql).await.map(drop)
}

/// Finishes with a partition that a run before had on its way.
async fn finish_what_was_begun(
    store: &PgStore,
    (names, table): (&Names, &Table),
    (lease, run): (&Lease, &Run<'_>),
) -> Result<(), RetentionError> {
    let Some((partition, state)) = begun(store, names).await.map_err(failed)? else {
        return Ok(());
    };
    if state == "detaching" {
        match detach(store, (names, table), &partition.name, "FINALIZE").await {
            Ok(()) => {}
            Err(error) if is_impatient(&error) => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
    if state == "detaching" || state == "detached" {
        return drop_detached(store, (names, table), &partition, (lease, run))
            .await
            .map(drop);
    }
    // It is gone, or was not touched.
    let mut tx = begin(store, table).await?;
    lease.renew(store, &mut tx).await?;
    note(store, &mut tx, None).await?;
    Ok(store.commit(tx).await?)
}

/// Returns the partition that was on its way, and how far it got.
async fn begun(store: &PgStore, names: &Names) -> sqlx::Result<Option<(Partition, String)>> {
    let (_, lease) = store.table_and("_retention");
    let sql = format!(
        "SELECT r.dropping, r.drops_from, r.drops_until, \
             CASE WHEN c.oid IS NULL THEN 'gone' WHEN i.inhrelid IS NULL THEN 'detached' \
                 WHEN coalesce((pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::boolean, false) THEN 'detaching' \
                 ELSE 'attached' END AS state \
         FROM {lease} AS r \
         LEFT JOIN pg_catalog.pg_class AS c ON c.relname = r.dropping AND c.relnamespace = \
             (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = '{table}'::regclass) \
         LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid \
         WHERE r.dropping IS NOT NULL",
        table = names.table,
    );
    type Row = (String, Option<DateTime<Utc>>, Option<DateTime<Utc>>, String);
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(sql))
        .fetch_optional(store.pool())
        .await?;
    Ok(row.map(|(name, from, until, state)| (Partition::named(name, from, until), state)))
}

fn failed(error: sqlx::Error) -> RetentionError {
    RetentionError::Store(store_error(error))
}

/// Returns whether it took too long.
fn is_impatient(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    // query_canceled, lock_not_available, deadlock_detected
    code.is_some_and(|code| code == "57014" || code == "55P03" || code == "40P01")
}

/// It waits for whoever began before it, and nobody waits for it; a lease has to last for as long.
const CONCURRENT_PATIENCE: &str = "SET statement_timeout = '20s'";

/// Whoever writes waits for it.
const PATIENCE: &str = "SET lock_timeout = '500ms'";
