//! What a database does for the retention.

use std::future::Future;

use chrono::{DateTime, Utc};
use tower_audit_core::{
    AuditEvent, EventReader, EventWriter, StoreError, retention::RetentionPolicy,
};

use super::{Lease, RetentionError};
use crate::{
    columns::StoredHold,
    query::{Edge, Source, Sql},
};

/// What a database does for the retention. All of it happens in transactions of one kind: they write, and in SQLite
/// nobody else does meanwhile.
pub(crate) trait Database: EventWriter + EventReader {
    /// How conditions are written.
    type Dialect: Source;

    /// A transaction.
    type Tx: Send;

    /// The moment of the clock, in microseconds.
    const NOW_US: &'static str;

    /// How many rows a batch has, unless it is set.
    const BATCH: u32;

    /// Returns the name of the table, and of the one with this after its name, both quoted.
    fn table_and(&self, suffix: &str) -> (String, String);

    /// Returns a column of time, in microseconds.
    fn micros(column: &str) -> String;

    /// Returns a column of a span of time, in microseconds.
    fn span(column: &str) -> String;

    /// Appends a span of time.
    fn push_span(&self, sql: &mut Sql, seconds: u32);

    /// Begins a transaction.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Lets rows from before this moment be deleted in this transaction, and no others.
    fn delete_before(
        &self,
        tx: &mut Self::Tx,
        time: DateTime<Utc>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Commits.
    fn commit(&self, tx: Self::Tx) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Runs a statement of which the rows are numbers.
    fn numbers(
        &self,
        tx: &mut Self::Tx,
        sql: Sql,
    ) -> impl Future<Output = Result<Vec<Vec<Option<i64>>>, StoreError>> + Send;

    /// Runs a statement that selects one text.
    fn text(
        &self,
        tx: &mut Self::Tx,
        sql: Sql,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;

    /// Runs a statement that selects what an [`Edge`] is.
    fn edge(
        &self,
        tx: &mut Self::Tx,
        sql: Sql,
    ) -> impl Future<Output = Result<Option<Edge>, StoreError>> + Send;

    /// Runs a statement that selects what a [`StoredHold`] is.
    fn holds(
        &self,
        tx: &mut Self::Tx,
        sql: Sql,
    ) -> impl Future<Output = Result<Vec<StoredHold>, StoreError>> + Send;

    /// Writes an event in this transaction.
    fn record(
        &self,
        tx: &mut Self::Tx,
        event: AuditEvent,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Sees to it that rows to come have a place.
    fn make_room(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Drops the partitions of which every row is due.
    fn drop_partitions(
        &self,
        run: &Run<'_>,
    ) -> impl Future<Output = Result<Vec<Dropped>, RetentionError>> + Send;
}

/// A run: whose it is, and what is due.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "only Postgres has partitions")
)]
pub(crate) struct Run<'a> {
    pub(crate) policy: &'a RetentionPolicy,
    /// The moment that ages are counted from.
    pub(crate) now: DateTime<Utc>,
    /// The moment before which rows may be due at all.
    pub(crate) cutoff: DateTime<Utc>,
    /// Without one nothing is deleted.
    pub(crate) lease: Option<&'a Lease>,
}

/// A partition that was dropped, or would be.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    pub(crate) name: String,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) rows: u64,
}
