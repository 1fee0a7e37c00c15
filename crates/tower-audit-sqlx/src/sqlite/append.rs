//! Writes a batch as rows of VALUES, in one transaction.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated};
use tower_audit_core::{AuditEvent, EventWriter, StoreError};

use super::{SqliteStore, error::meaning};
use crate::{
    error::{MIGRATE_HINT, store_error},
    record_in::RecordIn,
};

impl EventWriter for SqliteStore {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
        match self.insert(batch).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn check(&self) -> Result<(), StoreError> {
        match self.has_table().await {
            Ok(true) => Ok(()),
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
        // IMMEDIATE takes the write lock at once: a transaction that has to wait for it later fails
        // without regard to the busy timeout.
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let completions: Vec<&AuditEvent> =
            batch.iter().filter(|event| event.is_completion()).collect();
        for rows in batch.chunks(MAX_ROWS) {
            insert(&mut tx, &self.sql.insert, rows).await?;
        }
        for rows in completions.chunks(MAX_ROWS) {
            let mut complete = QueryBuilder::<Sqlite>::new(&self.sql.complete);
            complete.push_values(rows.iter().copied(), push);
            complete.push(WHERE_PENDING);
            complete.build().persistent(false).execute(&mut *tx).await?;
        }
        tx.commit().await
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
        insert(connection, &self.sql.insert, std::slice::from_ref(&event))
            .await
            .map_err(|error| store_error(error, |code| meaning(code, false)))
    }
}

/// Inserts what is not there yet.
async fn insert(
    connection: &mut SqliteConnection,
    statement: &str,
    rows: &[AuditEvent],
) -> sqlx::Result<()> {
    let mut insert = QueryBuilder::<Sqlite>::new(statement);
    insert.push_values(rows, push);
    insert.push(" ON CONFLICT DO NOTHING");
    // Not cached: there would be one statement a batch size.
    insert.build().persistent(false).execute(connection).await?;
    Ok(())
}

/// Binds in the order of [`WRITTEN`](crate::columns::WRITTEN).
fn push(mut row: Separated<'_, Sqlite, &'static str>, event: &AuditEvent) {
    let actor = event.actor();
    row.push_bind(event.id().as_uuid())
        .push_bind(actor.id())
        .push_bind(actor.kind().as_str())
        .push_bind(event.action())
        .push_bind(event.target().kind())
        .push_bind(event.target().id())
        .push_bind(crate::columns::metadata_text(event))
        .push_bind(event.ip_address().map(|address| address.to_string()))
        .push_bind(event.user_agent())
        .push_bind(event.created_at().timestamp_micros())
        .push_bind(event.outcome().as_str())
        .push_bind(event.reason())
        .push_bind(event.status())
        .push_bind(event.method())
        .push_bind(event.route())
        .push_bind(event.path())
        .push_bind(crate::columns::duration_us(event))
        .push_bind(event.request_id())
        .push_bind(event.trace_id())
        .push_bind(event.tenant_id())
        .push_bind(actor.display_name())
        .push_bind(actor.method())
        .push_bind(actor.credential())
        .push_bind(actor.principal())
        .push_bind(event.peer_address().map(|address| address.to_string()))
        .push_bind(event.service())
        .push_bind(crate::columns::captured_text(event));
}

#[derive(Debug, thiserror::Error)]
#[error("there is no such table")]
struct NoTable;

/// SQLite names the columns of VALUES by their number, in the order of
/// [`WRITTEN`](crate::columns::WRITTEN).
///
/// What really happened takes the place of a row that was given up, too.
const WHERE_PENDING: &str = ") AS new WHERE was.id = new.column1 AND new.column11 NOT IN ('pending', 'unknown') \
     AND (was.outcome = 'pending' OR (was.outcome = 'unknown' AND was.reason = 'never_completed'))";

/// SQLite takes 32,766 parameters a statement, and a row binds 27.
const MAX_ROWS: usize = 1_000;
