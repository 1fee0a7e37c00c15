//! Writes a batch as rows of VALUES, in one transaction.

use sqlx::{QueryBuilder, Sqlite, query_builder::Separated};
use tower_audit_core::{AuditEvent, EventWriter, StoreError};

use super::SqliteStore;
use crate::error::MIGRATE_HINT;

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
}

impl SqliteStore {
    async fn insert(&self, batch: &[AuditEvent]) -> sqlx::Result<()> {
        // IMMEDIATE takes the write lock at once: a transaction that has to wait for it later fails
        // without regard to the busy timeout.
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for rows in batch.chunks(MAX_ROWS) {
            let mut insert = QueryBuilder::<Sqlite>::new(&self.sql.insert);
            insert.push_values(rows, push);
            insert.push(" ON CONFLICT DO NOTHING");
            // Not cached: there would be one statement a batch size.
            insert.build().persistent(false).execute(&mut *tx).await?;
        }
        tx.commit().await
    }
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
        .push_bind(event.service());
}

#[derive(Debug, thiserror::Error)]
#[error("there is no such table")]
struct NoTable;

/// SQLite takes 32,766 parameters a statement, and a row binds 26.
const MAX_ROWS: usize = 1_000;
