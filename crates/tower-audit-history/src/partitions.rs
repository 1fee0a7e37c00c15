//! A partition for each month: what is old is dropped as a whole.

use chrono::{DateTime, Datelike as _, Months, NaiveTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::{
    Finding, History, HistoryError,
    error::code,
    migrate::{begin, execute, look},
    names::{literal, quoted},
};

/// A part of the history: the changes of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryPartition {
    /// The name, in the schema of the history.
    pub name: String,
    /// When its time begins; `None` for the one that takes what finds no other.
    pub from: Option<DateTime<Utc>>,
    /// When its time ends: this moment is the next one's.
    pub until: Option<DateTime<Utc>>,
    /// Roughly how many changes it has, as of when the database counted last.
    pub changes: u64,
    /// How many bytes it takes, with its indexes.
    pub bytes: u64,
}

impl History {
    /// Makes the partitions of this month and of the next two where they are missing; returns how many were.
    /// [`migrate`](Self::migrate) does it too. Call it daily.
    ///
    /// Changes of a month that nobody made a partition for are not lost and fail nothing: they go to the partition for everything else,
    /// and are moved from there.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] otherwise.
    pub async fn create_partitions(&self) -> Result<usize, HistoryError> {
        let mut tx = begin(self).await?;
        let made = ahead(self, &mut tx).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Returns the partitions, the oldest first, and last the one for everything else.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] otherwise.
    pub async fn partitions(&self) -> Result<Vec<HistoryPartition>, HistoryError> {
        let mut tx = look(self).await?;
        let partitions = partitions(self, &mut tx).await?;
        tx.rollback().await?;
        Ok(partitions)
    }

    /// Drops the partitions of which the last change is older than this moment; returns how many changes they had, roughly.
    ///
    /// A partition goes as a whole, so a change stays up to a month longer. Each takes a lock on the history for a moment, for which
    /// this waits half a second: what could not be dropped then is dropped next time. What is in the partition for everything else
    /// stays until [`create_partitions`](Self::create_partitions) has moved it.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] otherwise, also if the user does not own
    /// the history.
    pub async fn drop_before(&self, time: DateTime<Utc>) -> Result<Dropped, HistoryError> {
        let mut dropped = Dropped::default();
        for partition in self.partitions().await? {
            let is_due = partition.until.is_some_and(|until| until <= time);
            if !is_due {
                continue;
            }
            match drop_one(self, &partition.name).await {
                Ok(()) => {
                    dropped.changes += partition.changes;
                    dropped.partitions.push(partition.name);
                }
                Err(HistoryError::Database(error))
                    if code(&error).as_deref() == Some(LOCK_NOT_AVAILABLE) =>
                {
                    dropped.left.push(partition.name);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(dropped)
    }
}

/// What [`History::drop_before`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The partitions that are gone.
    pub partitions: Vec<String>,
    /// Roughly how many changes they had.
    pub changes: u64,
    /// The partitions that somebody was using.
    pub left: Vec<String>,
}

async fn drop_one(history: &History, name: &str) -> Result<(), HistoryError> {
    let mut tx = begin(history).await?;
    let name = format!("{}.{}", quoted(history.names.schema()), quoted(name));
    execute(
        &mut tx,
        format!("SET LOCAL lock_timeout = '500ms'; DROP TABLE {name}"),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Makes the partitions of now and of the next two months. The caller holds the lock.
pub(crate) async fn ahead(
    history: &History,
    connection: &mut PgConnection,
) -> Result<usize, HistoryError> {
    let there = partitions(history, connection).await?;
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT now()")
        .fetch_one(&mut *connection)
        .await?;
    let mut missing: Vec<DateTime<Utc>> = (0..=AHEAD)
        .filter_map(|months| month(now, months))
        .collect();
    missing.extend(months_in_default(history, connection).await?);
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|month| !there.iter().any(|there| there.from == Some(*month)));
    for month in &missing {
        make(history, connection, *month).await?;
    }
    Ok(missing.len())
}

/// Returns the months of the changes that found no partition.
async fn months_in_default(
    history: &History,
    connection: &mut PgConnection,
) -> Result<Vec<DateTime<Utc>>, HistoryError> {
    let months = format!(
        "SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' FROM {}",
        history.names.quoted("_default")
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(months))
        .fetch_all(connection)
        .await?)
}

/// Makes the partition of a month. What is in the one for everything else is moved, which is nothing as long as partitions are made in
/// time.
async fn make(
    history: &History,
    connection: &mut PgConnection,
    from: DateTime<Utc>,
) -> Result<(), HistoryError> {
    let names = &history.names;
    let base = format!("{}_{}", names.table(), from.format("%Y%m"));
    let name = format!("{}.{}", quoted(names.schema()), quoted(&base));
    let until = month(from, 1).unwrap_or(from);
    let (from, until) = (literal(&from.to_rfc3339()), literal(&until.to_rfc3339()));
    let owner = match &history.owner {
        Some(owner) => format!("ALTER TABLE {name} OWNER TO {};", quoted(owner)),
        None => String::new(),
    };
    let (table, default) = (names.quoted(""), names.quoted("_default"));
    let sql = format!(
        "SET LOCAL lock_timeout = '5s';
         CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
         LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE;
         ALTER TABLE {default} DISABLE TRIGGER \"{base_table}_append_only\";
         WITH moved AS (DELETE FROM {default} WHERE at >= {from} AND at < {until} RETURNING *) INSERT INTO {name} SELECT * FROM moved;
         ALTER TABLE {default} ENABLE TRIGGER \"{base_table}_append_only\";
         CREATE TRIGGER \"{base_table}_no_truncate\" BEFORE TRUNCATE ON {name}
             FOR EACH STATEMENT EXECUTE FUNCTION {append_only}();
         {owner}
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({until});",
        base_table = names.table(),
        append_only = names.quoted("_append_only"),
    );
    execute(connection, sql).await
}

/// Returns the partitions, the oldest first.
pub(crate) async fn partitions(
    history: &History,
    connection: &mut PgConnection,
) -> Result<Vec<HistoryPartition>, HistoryError> {
    let rows = sqlx::query(PARTITIONS)
        .bind(history.names.quoted(""))
        .fetch_all(connection)
        .await?;
    let partition = |row: &sqlx::postgres::PgRow| {
        let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        Ok(HistoryPartition {
            name: row.try_get("name")?,
            from: row.try_get("from")?,
            until: row.try_get("until")?,
            changes: count("changes")?,
            bytes: count("bytes")?,
        })
    };
    Ok(rows.iter().map(partition).collect::<sqlx::Result<_>>()?)
}

/// Returns when the month begins that is so many after that of this moment.
fn month(at: DateTime<Utc>, after: u32) -> Option<DateTime<Utc>> {
    let first = at.date_naive().with_day(1)?;
    let month = first.checked_add_months(Months::new(after))?;
    Some(month.and_time(NaiveTime::MIN).and_utc())
}

const PARTITIONS: &str = "\
SELECT c.relname::text AS name, greatest(c.reltuples, 0)::bigint AS changes, pg_catalog.pg_total_relation_size(c.oid) AS bytes,
    substring(pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \\(''([^'']+)''\\)')::timestamptz AS \"from\",
    substring(pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([^'']+)''\\)')::timestamptz AS until
FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::regclass
ORDER BY \"from\" NULLS LAST";

/// How many months after this one there are partitions for.
const AHEAD: u32 = 2;

const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Returns what is wrong with the partitions.
pub(crate) async fn findings(
    history: &History,
    connection: &mut PgConnection,
) -> Result<Vec<Finding>, HistoryError> {
    let mut findings = Vec::new();
    let is_used = format!(
        "SELECT EXISTS (SELECT FROM {})",
        history.names.quoted("_default")
    );
    let is_used: bool = sqlx::query_scalar(AssertSqlSafe(is_used))
        .fetch_one(&mut *connection)
        .await?;
    if is_used {
        findings.push(Finding::ChangesWithoutPartition);
    }
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT now()")
        .fetch_one(&mut *connection)
        .await?;
    let there = partitions(history, connection).await?;
    let next = month(now, 1);
    if !there.iter().any(|partition| partition.from == next) {
        findings.push(Finding::NoPartitionAhead);
    }
    Ok(findings)
}
