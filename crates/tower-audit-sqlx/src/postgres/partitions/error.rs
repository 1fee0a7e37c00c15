//! What can be in the way of partitions.

use std::time::Duration;

/// Why there are no partitions, or not the ones that were asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// The database refused or could not be reached.
    #[error("the partitions of the audit table could not be changed")]
    Database(#[source] sqlx::Error),
    /// There is no table.
    #[error("there is no audit table: run the migrations first (`tower_audit::migrate`)")]
    NoTable,
    /// The table has no partitions.
    #[error("the audit table has no partitions: convert it first (`PgStore::convert`)")]
    NotPartitioned,
    /// Something would go on to use the rows that are there, and not see those to come.
    #[error("{} would stay with the rows that are there: drop it, and make it again afterwards", .0.join(", "))]
    StaysBehind(Vec<String>),
    /// Somebody else is converting this table.
    #[error("somebody else is converting the audit table: wait until that is done")]
    Busy,
    /// Rows kept arriving of which the time lies more than a week ahead.
    #[error(
        "rows of a time far ahead keep arriving: look for `created:>now` in the audit table, and mend their clock"
    )]
    FarAhead,
    /// Somebody used the table for so long.
    #[error(
        "somebody has used the audit table for {0:?} without a pause: try again when the long transaction has ended"
    )]
    Locked(Duration),
}

impl From<sqlx::Error> for PartitionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
