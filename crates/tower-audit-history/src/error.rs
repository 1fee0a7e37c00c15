//! What can be in the way.

use tower_audit_core::{StoreError, changes::TableName};

/// Why something about the history could not be done.
///
/// `Display` describes this level only; walk [`source`](std::error::Error::source) for the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The database refused or could not be reached.
    #[error("the database refused, or could not be reached")]
    Database(#[source] sqlx::Error),
    /// A migration that was run is not the one of the same number in this version of the library.
    #[error("migration {0} of the history was changed after it was run")]
    Changed(i64),
    /// The history was not made yet.
    #[error(
        "there is no history in this database: run `History::migrate` or `tower-audit history migrate` first"
    )]
    NotMigrated,
    /// There is no such table.
    #[error("there is no table {0}: names are written as in the catalog, with their schema")]
    NoTable(TableName),
    /// What has this name has no rows of its own that triggers could see.
    #[error("{table} is {what}: only tables, with or without partitions, can be tracked")]
    NoOrdinaryTable {
        /// Its name.
        table: TableName,
        /// What it is.
        what: &'static str,
    },
    /// The table has no such columns.
    #[error("{table} has no column {}: it has {}", .missing.join(", "), .there.join(", "))]
    NoColumn {
        /// The table.
        table: TableName,
        /// The columns that are missing.
        missing: Vec<String>,
        /// The columns that are there.
        there: Vec<String>,
    },
    /// Columns of the key cannot be ignored.
    #[error("{table} cannot be tracked without its key: do not ignore {}", .columns.join(", "))]
    IgnoredKey {
        /// The table.
        table: TableName,
        /// The columns.
        columns: Vec<String>,
    },
    /// Columns are to be hashed, but there is no key.
    #[error("hashed columns need a key: give one to the builder (`HistoryBuilder::mask_key`)")]
    NoMaskKey,
    /// There is another key of this id.
    #[error("there is another key with the id {0:?}: give a new key a new id")]
    OtherMaskKey(String),
    /// The table belongs to the history.
    #[error(
        "{0} belongs to the history itself: what it records of its own records would have no end"
    )]
    OwnTable(TableName),
    /// The table is a partition of one that is tracked.
    #[error("{table} is a partition of {of}, and tracked with it: there is nothing to do")]
    TrackedWith {
        /// The partition.
        table: TableName,
        /// The table that is tracked.
        of: TableName,
    },
    /// The table is a partition of one that is not tracked, and its triggers are to be those for statements.
    #[error(
        "{table} is a part of {of}, and statements that name that one fire no triggers for statements of its parts: take triggers for rows"
    )]
    StatementsOfPartition {
        /// The partition, or the table that inherits.
        table: TableName,
        /// The table above.
        of: TableName,
    },
    /// A partition of the table is tracked by itself.
    #[error("{partition}, a partition of {table}, is tracked by itself: untrack it first")]
    TrackedPartition {
        /// The table.
        table: TableName,
        /// Its partition.
        partition: TableName,
    },
    /// Triggers of the table are missing or disabled.
    #[error(
        "triggers of {0} are missing or disabled, so its changes are not recorded: track it again first"
    )]
    NotCovered(TableName),
    /// Another table had this name when it was tracked.
    #[error(
        "{by} was called {table} when it was tracked: track it under its new name first, or untrack {table}"
    )]
    NameOfAnother {
        /// The name.
        table: TableName,
        /// What the other table is called now.
        by: TableName,
    },
    /// The columns are not those that the table had when it was tracked, so nobody knows which are masked.
    #[error(
        "columns of {0} were renamed, or mean something else, since it was tracked: track it again first"
    )]
    OtherColumns(TableName),
    /// The table is not tracked.
    #[error("{0} is not tracked")]
    NotTracked(TableName),
    /// The table has no key, so its rows cannot be told apart.
    #[error("the rows of {0} have no key by which to tell them apart: give one, `Track::key`")]
    NoKey(TableName),
    /// The key is masked, so nobody can ask for a row.
    #[error("the key of {0} is masked: the history does not know which row was which")]
    MaskedKey(TableName),
    /// The key does not name the columns of the table's key.
    #[error("the key of {table} is {}: name each of these columns, and no other", .columns.join(", "))]
    OtherKey {
        /// The table.
        table: TableName,
        /// The columns of its key.
        columns: Vec<String>,
    },
    /// More than one row may have the same key, or a key that is NULL.
    #[error(
        "more than one row of {0} may have the same key, or none: make the columns of its key NOT NULL, and unique"
    )]
    LooseKey(TableName),
    /// Whoever looks a row up by such a key would run checks that the owner of the type wrote.
    #[error(
        "the key column {column} of {table} is made of composite types or domains, whose checks would be run: rows cannot be looked up by it"
    )]
    KeyOfTypes {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// The values are none of the key's columns.
    #[error("this is no key of {table}: {why}")]
    NoSuchKey {
        /// The table.
        table: TableName,
        /// What the database says.
        why: String,
    },
    /// Somebody used the table for so long.
    #[error("somebody has used {0} without a pause: try again when the long transaction has ended")]
    Locked(TableName),
    /// There is no such change.
    #[error("there is no such change: its partition may be gone")]
    NoChange,
    /// The row is not as the change left it.
    #[error(
        "the row is not any more as the change left it: look at what was done since, and revert that first"
    )]
    Conflict,
    /// What was done cannot be taken back from what the history knows.
    #[error("this change cannot be reverted: {0}")]
    Irreversible(&'static str),
    /// A row of the history cannot be read.
    #[error("a row of the history cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for HistoryError {
    fn from(error: sqlx::Error) -> Self {
        match code(&error).as_deref() {
            // undefined_table, invalid_schema_name
            Some("42P01" | "3F000") => Self::NotMigrated,
            _ => Self::Database(error),
        }
    }
}

impl From<HistoryError> for StoreError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::NotMigrated => Self::NotReady {
                hint: "there is no history in this database: run `History::migrate`",
                source: Box::new(error),
            },
            HistoryError::Unreadable(source) => Self::Unreadable(source),
            HistoryError::Database(error) if code(&error).as_deref() == Some("42501") => {
                Self::NotReady {
                    hint: "the database user lacks SELECT on the history",
                    source: error.into(),
                }
            }
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

/// Returns the SQLSTATE.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}
