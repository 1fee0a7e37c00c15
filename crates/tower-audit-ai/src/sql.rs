//! What both databases have in common: how rows are read, and how the tables are made.

use std::borrow::Cow;

use sqlx::{
    ColumnIndex, Decode, Row, SqlSafeStr as _, Type,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    types::Json,
};
use tower_audit_core::StoreError;

use crate::{MessageId, Tally, Trail, record::State, tally::COUNTS};

/// Returns the error for a row that cannot be read.
pub(crate) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// Reads the message id of a row.
pub(crate) fn message_id<'r, R>(row: &'r R) -> sqlx::Result<MessageId>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    let id: &str = row.try_get("message_id")?;
    id.parse().map_err(unreadable)
}

/// Reads a message id, and what was said of that call.
pub(crate) fn said<'r, R>(row: &'r R) -> sqlx::Result<(MessageId, State)>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    Json<State>: Decode<'r, R::Database> + Type<R::Database>,
{
    let Json(state) = row.try_get("state")?;
    Ok((message_id(row)?, state))
}

/// Reads the trails of which the begin has arrived.
pub(crate) fn trails<'r, R>(rows: impl IntoIterator<Item = &'r R>) -> sqlx::Result<Vec<Trail>>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    Json<State>: Decode<'r, R::Database> + Type<R::Database>,
{
    let trail = |row| said(row).map(|(id, state)| state.trail(&id));
    let trails = rows.into_iter().map(trail);
    trails.filter_map(Result::transpose).collect()
}

/// Reads what was counted; the costs are elsewhere.
pub(crate) fn counts<'r, R>(row: &'r R) -> sqlx::Result<Tally>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut tally = Tally::default();
    for (column, count) in COUNTS.into_iter().zip(tally.counts_mut()) {
        *count = row.try_get(column)?;
    }
    Ok(tally)
}

/// Returns what runs these migrations, of which this table says which were run.
pub(crate) fn migrator(
    table: &'static str,
    sources: &[(i64, &'static str, &'static str)],
) -> Migrator {
    let migrations = sources.iter().map(|(version, description, sql)| {
        Migration::new(
            *version,
            Cow::Borrowed(*description),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(table);
    // Those of the version before go on while a new one is rolled out, and may restart.
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

/// Turns an error of migrations into one that says what to do.
pub(crate) fn migration_error(
    error: MigrateError,
    store_error: fn(sqlx::Error) -> StoreError,
) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            store_error(error)
        }
        other => StoreError::NotReady {
            hint: "a migration of the trails was changed after it was run",
            source: other.into(),
        },
    }
}
