//! What an error of the database means.

use tower_audit_core::StoreError;

/// Turns an error into one that says whether to try again. What nobody foresaw is tried again: a change that waits can still be written.
///
/// See the appendix "PostgreSQL Error Codes" of its manual.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(database) => database.code().unwrap_or_default(),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            return StoreError::Unreadable(error.into());
        }
        sqlx::Error::Encode(_) => return StoreError::Rejected(error.into()),
        // There are no settings.
        sqlx::Error::RowNotFound => "42P01".into(),
        _ => return StoreError::Unavailable(error.into()),
    };
    let hint = match code.as_ref() {
        // undefined_table, invalid_schema_name, undefined_column
        "42P01" | "3F000" | "42703" => {
            "the tables of the trails are missing or too old: run `tower-audit ai migrate`, or `PgTrails::migrate`"
        }
        // insufficient_privilege
        "42501" => {
            "the database user lacks a privilege on the tables of the trails: grant it USAGE on the schema control_plane, and \
             SELECT, INSERT, UPDATE and DELETE on its tables ai_trails, ai_trails_tallies, ai_trails_costs and ai_trails_settings"
        }
        // read_only_sql_transaction
        "25006" => "the database is read-only: connect to the primary",
        code => {
            let is_of_the_data = matches!(code.get(..2), Some("22" | "23" | "44" | "54"));
            return if is_of_the_data {
                StoreError::Rejected(error.into())
            } else {
                StoreError::Unavailable(error.into())
            };
        }
    };
    StoreError::NotReady {
        hint,
        source: error.into(),
    }
}
