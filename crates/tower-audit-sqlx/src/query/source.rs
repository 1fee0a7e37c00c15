//! What a database does for the questions.

use tower_audit_core::{
    AuditEvent, Cursor, StoreError,
    search::{Field, Match, Term},
    store::TailPosition,
};

use super::Sql;

/// What a database does for the questions: how it writes a condition, and how it answers a statement.
pub(crate) trait Source: Sync {
    /// The moment of a row, in microseconds.
    const CREATED_US: &'static str;

    /// What before a column keeps the database from using an index of it.
    const UNINDEXED: &'static str;

    /// An index of addresses finds those of a network, too.
    const FINDS_NETWORKS: bool;

    /// An index of a value is read up to a position. Where it is not, but to the end of the value, a window is the first
    /// so many rows instead: so it has to be of the same moment as its end.
    const ENDS_AT_POSITION: bool;

    /// How many rows are looked at for a page of which few pass, a window after the other.
    const WINDOWS: [i64; 2];

    /// How many rows are counted: in the order of time, and of one value, which lie apart, so that each is looked up.
    const COUNTED: [i64; 2];

    /// The name of the table, quoted.
    fn table(&self) -> &str;

    /// The columns of an event, in the shape that [`columns::event`](crate::columns::event) reads.
    fn columns(&self) -> &str;

    /// Appends the condition that the field of the term is this.
    fn condition(sql: &mut Sql, term: &Term, wanted: &Match);

    /// Appends, after other conditions, that the field is this, so that its index is used, which has such rows in the
    /// order of time.
    fn stream(sql: &mut Sql, field: Field, exact: &str);

    /// Appends what stands before the order of time, so that this index is used.
    fn stream_order(sql: &mut Sql, field: Field, is_forward: bool);

    /// Appends a column as text.
    fn as_text(sql: &mut Sql, field: Field);

    /// Returns which indexes there are that not every table has.
    fn extras(&self) -> impl Future<Output = Result<Extras, StoreError>> + Send;

    /// Returns the rows of a statement that selects [`columns`](Self::columns).
    fn events(&self, sql: Sql) -> impl Future<Output = Result<Vec<AuditEvent>, StoreError>> + Send;

    /// Returns the row of a statement that selects `amount`, `created_us` and `id`.
    fn edge(&self, sql: Sql) -> impl Future<Output = Result<Option<Edge>, StoreError>> + Send;

    /// Returns the rows of a statement that selects `label`, `number` and `amount`.
    fn groups(&self, sql: Sql) -> impl Future<Output = Result<Vec<Group>, StoreError>> + Send;

    /// Returns how many rows the statistics expect of a statement, if there are any.
    fn expected(&self, sql: Sql) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Counts the rows of a statement that selects one column, of an index that can be made to stop early only by
    /// guessing.
    fn guess(&self, sql: Sql, most: i64) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Returns what is visible now and, of what a position has not seen, at most so many rows: first those of the
    /// number of which a part was seen, or else the others, in the order of number and id.
    fn unseen(
        &self,
        position: Option<&TailPosition>,
        most: i64,
    ) -> impl Future<Output = Result<(TailPosition, Vec<(AuditEvent, u64)>), StoreError>> + Send;
}

/// Where a window ends: how many rows it has, and the position of the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) rows: i64,
    pub(crate) last: Cursor,
}

/// A group: its label, its number, and how many rows it has.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) label: Option<String>,
    pub(crate) number: Option<i64>,
    pub(crate) amount: i64,
}

/// Which indexes there are that not every table has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) request: bool,
    pub(crate) address: bool,
    pub(crate) metadata: bool,
}
