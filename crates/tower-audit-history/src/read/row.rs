//! A change as the table has it.

use sqlx::{Row as _, postgres::PgRow, types::Json};
use tower_audit_core::{
    Actor, ActorKind, EventId,
    changes::{Columns, RowChange, TableName},
};
use uuid::Uuid;

use super::exact::Exact;
use crate::HistoryError;

/// Reads a row of the [columns](COLUMNS).
pub(super) fn read(row: &PgRow) -> Result<RowChange, HistoryError> {
    let word = |column| row.try_get::<&str, _>(column).map_err(unreadable);
    let table = TableName::new(word("table_schema")?, word("table_name")?);
    let operation = word("operation")?.parse().map_err(unreadable)?;
    // Whoever is connected may claim anything: one wrong word must not hide all others.
    let kind = word("actor_type")?.parse().unwrap_or(ActorKind::Anonymous);
    let actor = Actor::new(kind, word("actor_id")?);
    let id = row.try_get("id").map_err(unreadable)?;
    let at = row.try_get("at").map_err(unreadable)?;
    let mut change = RowChange::new(id, at, table, operation, actor);
    // That of a TRUNCATE is empty, so that it is found.
    change.key = columns(row, "key")?.filter(|key| !key.is_empty());
    change.old_key = columns(row, "old_key")?;
    change.old = columns(row, "old")?;
    change.new = columns(row, "new")?;
    change.request_id = row.try_get("request_id").map_err(unreadable)?;
    let event: Option<Uuid> = row.try_get("audit_id").map_err(unreadable)?;
    change.event_id = event.map(EventId::from_uuid);
    change.tenant_id = row.try_get("tenant_id").map_err(unreadable)?;
    change.transaction_id = row.try_get("transaction_id").map_err(unreadable)?;
    change.database_user = row.try_get("database_user").map_err(unreadable)?;
    change.database_role = row.try_get("database_role").map_err(unreadable)?;
    Ok(change)
}

fn columns(row: &PgRow, column: &str) -> Result<Option<Columns>, HistoryError> {
    let columns: Option<Json<Exact>> = row.try_get(column).map_err(unreadable)?;
    Ok(columns.map(|Json(Exact(columns))| columns))
}

pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> HistoryError {
    HistoryError::Unreadable(Box::new(error))
}

/// What [`read`] reads.
pub(super) const COLUMNS: &str = "id, at, table_schema, table_name, operation, key, old_key, old, new, actor_type, actor_id, \
     request_id, audit_id, tenant_id, transaction_id, database_user, database_role";
