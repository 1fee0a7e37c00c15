//! What an error of the database means.

use tower_audit_core::StoreError;

/// Turns an error into one that says whether to try again. See "Result and Error Codes" of the SQLite manual: extended codes carry the primary
/// one in their lowest byte.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    let (code, is_missing) = match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse::<u32>().ok());
            // SQLITE_ERROR says a missing table only in words.
            let is_missing = database.message().starts_with("no such table");
            (code.unwrap_or(0) & 0xFF, is_missing)
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            return StoreError::Unreadable(error.into());
        }
        sqlx::Error::Encode(_) => return StoreError::Rejected(error.into()),
        // There are no settings.
        sqlx::Error::RowNotFound => (1, true),
        _ => (0, false),
    };
    let hint = match code {
        1 if is_missing => {
            "the tables of the trails are missing: run `tower-audit ai migrate`, or `SqliteTrails::migrate`"
        }
        // SQLITE_PERM, SQLITE_READONLY
        3 | 8 => "the database file is read-only: let this user write to it and to its folder",
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
        18..=20 => return StoreError::Rejected(error.into()),
        _ => return StoreError::Unavailable(error.into()),
    };
    StoreError::NotReady {
        hint,
        source: error.into(),
    }
}
