//! What an error of sqlx means for a writer.

use tower_audit_core::StoreError;

/// What the code of a database error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Rejected,
    NotReady(&'static str),
    Unavailable,
}

/// Turns an error of sqlx into one that says whether to try again. What nobody foresaw is tried
/// again: a row that waits can still be written.
pub(crate) fn store_error(error: sqlx::Error, meaning: impl FnOnce(&str) -> Meaning) -> StoreError {
    let meaning = match &error {
        sqlx::Error::Database(database) => database
            .code()
            .map_or(Meaning::Unavailable, |code| meaning(&code)),
        sqlx::Error::Encode(_) => Meaning::Rejected,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            return StoreError::Unreadable(error.into());
        }
        _ => Meaning::Unavailable,
    };
    match meaning {
        Meaning::Rejected => StoreError::Rejected(error.into()),
        Meaning::NotReady(hint) => StoreError::NotReady {
            hint,
            source: error.into(),
        },
        Meaning::Unavailable => StoreError::Unavailable(error.into()),
    }
}

pub(crate) const MIGRATE_HINT: &str = "the audit table is missing or too old: run the migrations \
     (`tower_audit::migrate`)";
