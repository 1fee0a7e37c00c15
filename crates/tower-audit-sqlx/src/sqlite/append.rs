//! Writes a batch as rows of VALUES, in one transaction.

use std::{net::IpAddr, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use sqlx::{
    Arguments as _, AssertSqlSafe, SqliteConnection, error::BoxDynError, sqlite::SqliteArguments,
};
use tower_audit_core::{AuditEvent, EventWriter, Outcome, StoreError, store::StoreStatus};

use super::{SqliteStore, error::meaning};
use crate::{
    columns,
    error::{MIGRATE_HINT, store_error},
    pool::pool_status,
    record_in::RecordIn,
    restored::{Dropped, Restored},
};

impl EventWriter for SqliteStore {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
        match self.insert(batch).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        let asked = Instant::now();
        let connection = match self.pool.acquire().await {
            Ok(connection) => connection,
            Err(error) => return Err(self.store_error(error).await),
        };
        let wait = asked.elapsed();
        drop(connection);
        let asked = Instant::now();
        match self.has_table().await {
            Ok(true) => {
                let pool = pool_status(&self.pool, wait);
                Ok(StoreStatus::new(asked.elapsed(), Some(pool)))
            }
            Ok(false) => Err(StoreError::NotReady {
                hint: MIGRATE_HINT,
                source: Box::new(NoTable),
            }),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let reap = sqlx::query(AssertSqlSafe(self.sql.reap.as_str()));
        let reap = reap.bind(created_before.timestamp_micros());
        match reap.execute(&self.pool).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) => Err(self.store_error(error).await),
        }
    }
}

impl SqliteStore {
    async fn insert(&self, batch: &[AuditEvent]) -> sqlx::Result<()> {
        // Before it is our turn: while one batch is written the next one is made ready.
        let inserts = self.sql.inserts.of(batch.iter())?;
        let completions = batch.iter().filter(|event| event.is_completion());
        let completions = self.sql.completions.of(completions)?;
        // There is one writer at a time: whoever waits for the lock of the file asks for it again and again, and sleeps
        // in between.
        let _turn = self.sql.turn.lock().await;
        // IMMEDIATE takes the write lock at once: a transaction that has to wait for it later fails
        // without regard to the busy timeout.
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let order = self.next_order(&mut tx).await?;
        for (statement, mut arguments) in inserts.into_iter().chain(completions) {
            arguments.add(order).map_err(sqlx::Error::Encode)?;
            let write = sqlx::query_with(AssertSqlSafe(statement), arguments);
            write.execute(&mut *tx).await?;
        }
        tx.commit().await
    }
}

impl SqliteStore {
    /// Writes events that come from elsewhere, as an export or another table, with the time at which they were recorded there. What
    /// is there stays as it is, but for a pending row that gets its end. Waits for the write lock.
    ///
    /// All of a batch is written, or none of it; dropping the future leaves one of both.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] as [`EventWriter::append`] does, and [`StoreError::Rejected`] if a trigger of the table drops events
    /// without a word.
    pub async fn restore(&self, batch: &[AuditEvent]) -> Result<Restored, StoreError> {
        match self.try_restore(batch).await {
            Ok(restored) => restored,
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn try_restore(
        &self,
        batch: &[AuditEvent],
    ) -> sqlx::Result<Result<Restored, StoreError>> {
        let _turn = self.sql.turn.lock().await;
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let order = self.next_order(&mut tx).await?;
        let mut restored = Restored::default();
        let mut missing = 0;
        for event in batch {
            if self.restore_one(&mut tx, event, order).await? {
                restored.new += 1;
            } else if event.outcome() != Outcome::Pending
                && self.complete(&mut tx, event, order).await?
            {
                restored.completed += 1;
            } else if !self.has(&mut tx, event).await? {
                missing += 1;
            }
        }
        if missing > 0 {
            tx.rollback().await?;
            return Ok(Err(StoreError::Rejected(Box::new(Dropped(missing)))));
        }
        tx.commit().await?;
        Ok(Ok(restored))
    }

    /// Inserts an event; returns whether it was not there.
    async fn restore_one(
        &self,
        connection: &mut SqliteConnection,
        event: &AuditEvent,
        order: i64,
    ) -> sqlx::Result<bool> {
        let mut arguments = SqliteArguments::default();
        let recorded = event.recorded_at().map(|at| at.timestamp_micros());
        bind(&mut arguments, event)
            .and_then(|()| arguments.add(recorded))
            .and_then(|()| arguments.add(order))
            .map_err(sqlx::Error::Encode)?;
        let sql = AssertSqlSafe(self.sql.restore.as_str());
        let done = sqlx::query_with(sql, arguments).execute(connection).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives a pending row its end; returns whether there was one.
    async fn complete(
        &self,
        connection: &mut SqliteConnection,
        event: &AuditEvent,
        order: i64,
    ) -> sqlx::Result<bool> {
        let mut completed = false;
        for (statement, mut arguments) in self.sql.completions.of(std::iter::once(event))? {
            arguments.add(order).map_err(sqlx::Error::Encode)?;
            let complete = sqlx::query_with(AssertSqlSafe(statement), arguments);
            completed |= complete.execute(&mut *connection).await?.rows_affected() > 0;
        }
        Ok(completed)
    }

    async fn has(
        &self,
        connection: &mut SqliteConnection,
        event: &AuditEvent,
    ) -> sqlx::Result<bool> {
        let name = &self.sql.name;
        let has = format!("SELECT EXISTS (SELECT 1 FROM {name} WHERE id = ?)");
        sqlx::query_scalar(AssertSqlSafe(has))
            .bind(event.id().as_uuid())
            .fetch_one(connection)
            .await
    }

    /// Returns the number of the next write. Who asks holds the write lock.
    async fn next_order(&self, connection: &mut SqliteConnection) -> sqlx::Result<i64> {
        let next = sqlx::query_scalar(AssertSqlSafe(self.sql.next_order.as_str()));
        next.fetch_one(connection).await
    }
}

impl RecordIn<SqliteConnection> for SqliteStore {
    async fn record_in(
        &self,
        connection: &mut SqliteConnection,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        // The catalog is not asked whether the table is missing: another connection may have to wait for
        // this very transaction.
        let inserted = async {
            for (statement, mut arguments) in self.sql.inserts.of(std::iter::once(&event))? {
                arguments.add(None::<i64>).map_err(sqlx::Error::Encode)?;
                let insert = sqlx::query_with(AssertSqlSafe(statement), arguments);
                insert.execute(&mut *connection).await?;
            }
            Ok(())
        };
        let inserted: sqlx::Result<()> = inserted.await;
        inserted.map_err(|error| store_error(error, |code| meaning(code, false)))
    }
}

/// A statement over rows of VALUES. Each is prepared once and used again, so there is one for a few numbers of rows
/// only, of which every number is made.
pub(super) struct OverRows([Arc<str>; SIZES.len()]);

impl OverRows {
    pub(super) fn new(before: &str, after: &str, next_order: &str) -> Self {
        Self(SIZES.map(|size| {
            // A parameter with a number has a name, `?1`, and SQLite looks through all names for each that is bound: for 500
            // rows that was nine tenths of the time. So none has one.
            let row = format!("({})", vec!["?"; COLUMNS].join(", "));
            let rows = vec![row; size].join(", ");
            // The number of the write is the same for all, and bound last: it is known last. A write in somebody else's transaction
            // asks for it itself: before that it may not hold the lock.
            let order = match size {
                1 => format!("coalesce(?, ({next_order}))"),
                _ => "?".to_owned(),
            };
            // No table has a name with a space in it.
            format!(
                r#"WITH "these rows" AS (VALUES {rows})
                 {before} SELECT "these rows".*, {order} AS column28 FROM "these rows" WHERE true {after}"#
            )
            .into()
        }))
    }

    /// Returns the statements for these rows, and what they bind.
    fn of<'a>(
        &self,
        rows: impl Iterator<Item = &'a AuditEvent>,
    ) -> sqlx::Result<Vec<(Arc<str>, SqliteArguments)>> {
        let rows: Vec<&AuditEvent> = rows.collect();
        let (mut statements, mut left) = (Vec::new(), &rows[..]);
        for (size, statement) in SIZES.into_iter().zip(&self.0) {
            while let Some((some, rest)) = left.split_at_checked(size) {
                let mut arguments = SqliteArguments::default();
                arguments.reserve(size * COLUMNS + 1, 0);
                let bound = some
                    .iter()
                    .try_for_each(|event| bind(&mut arguments, event));
                bound.map_err(sqlx::Error::Encode)?;
                statements.push((Arc::clone(statement), arguments));
                left = rest;
            }
        }
        Ok(statements)
    }
}

/// Binds a row, in the order of [`WRITTEN`].
fn bind(arguments: &mut SqliteArguments, event: &AuditEvent) -> Result<(), BoxDynError> {
    let actor = event.actor();
    let address = |address: Option<IpAddr>| address.map(|address| address.to_string());
    arguments.add(event.id().as_uuid())?;
    arguments.add(actor.id())?;
    arguments.add(actor.kind().as_str())?;
    arguments.add(event.action())?;
    arguments.add(event.target().kind())?;
    arguments.add(event.target().id())?;
    arguments.add(columns::metadata_text(event))?;
    arguments.add(address(event.ip_address()))?;
    arguments.add(event.user_agent())?;
    arguments.add(event.created_at().timestamp_micros())?;
    arguments.add(event.outcome().as_str())?;
    arguments.add(event.reason())?;
    arguments.add(event.status())?;
    arguments.add(event.method())?;
    arguments.add(event.route())?;
    arguments.add(event.path())?;
    arguments.add(columns::duration_us(event))?;
    arguments.add(event.request_id())?;
    arguments.add(event.trace_id())?;
    arguments.add(event.tenant_id())?;
    arguments.add(actor.display_name())?;
    arguments.add(actor.method())?;
    arguments.add(actor.credential())?;
    arguments.add(actor.principal())?;
    arguments.add(address(event.peer_address()))?;
    arguments.add(event.service())?;
    arguments.add(columns::captured_text(event))
}

/// How many rows a statement may have, from the largest on. SQLite takes 32,766 parameters.
const SIZES: [usize; 5] = [500, 100, 20, 5, 1];

/// How many columns are written.
const COLUMNS: usize = 27;

#[derive(Debug, thiserror::Error)]
#[error("there is no such table")]
struct NoTable;

/// SQLite names the columns of VALUES by their number, in the order of
/// [`WRITTEN`](crate::columns::WRITTEN).
///
/// What really happened takes the place of a row that was given up, too.
pub(super) const WHERE_PENDING: &str = ") AS new WHERE was.id = new.column1 AND new.column11 NOT IN ('pending', 'unknown') \
     AND (was.outcome = 'pending' OR (was.outcome = 'unknown' AND was.reason = 'never_completed'))";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_parameter_has_a_number_that_sqlite_would_have_to_look_for() {
        for statement in &OverRows::new("INSERT INTO t", "", "SELECT 1").0 {
            let after = statement.split('?').skip(1);
            let is_plain = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
            assert!(after.into_iter().all(is_plain), "{statement:.200}");
        }
    }
}
