//! Partitions of the table by time: what is old is dropped as a whole, and the indexes that are written to stay small.
//!
//! [`Layout`] says how the first [`migrate`](crate::migrate) lays the table out; [`PgStore::convert`] makes partitions of a table
//! that is there, while the service goes on. Everything else is as before: the same statements, the same pages.
//!
//! # Guarantees
//!
//! - No row is lost or doubled by a conversion, and nobody waits for longer than the time it
//!   [waits for its lock](Conversion::lock_timeout), and some milliseconds.
//! - There is a partition for the next two months, or seven days, whenever [`migrate`](crate::migrate) or
//!   [`PgStore::create_partitions`] was run.
//! - A row that finds none gets one, if the user of the pool is the owner of the table or a member of that role. Otherwise the
//!   rows of now wait, with an error that says what to do, and those of another time are
//!   [rejected](tower_audit_core::StoreError::Rejected), so that they do not hold up the others; so are rows of more than
//!   a day ahead.
//! - Each partition refuses UPDATE, DELETE and TRUNCATE as the table does.
//!
//! # Example
//!
//! ```no_run
//! use tower_audit_sqlx::{
//!     PgStore, migrate,
//!     partitions::{Conversion, Layout, Period},
//! };
//!
//! # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let store = PgStore::builder(pool).layout(Layout::Partitioned(Period::Monthly)).build()?;
//! migrate(&store).await?;
//! // Does nothing if the table was made by the line above; else it was plain before.
//! store.convert(Conversion::to(Period::Monthly)).await?;
//! for partition in store.partitions().await? {
//!     println!("{}: about {} rows", partition.name, partition.rows);
//! }
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! A table with partitions has the time in its primary key: an event that is written twice with the same id and
//! *different* times is there twice. The events of this library keep their time.

// - `period`: which times there are, and which are missing: no database.
// - `catalog`: what there is.
// - `swap`: puts a table with partitions in the place of one without.
// - `convert`: prepares that while writers go on.
// - `forget`: drops what is old.
// - `room`: makes partitions for times to come, and for rows that find none.

mod catalog;
mod convert;
mod error;
mod forget;
mod names;
mod period;
mod room;
mod swap;

use chrono::{DateTime, Utc};

pub(crate) use self::room::after_migrations;
pub use self::{convert::Conversion, error::PartitionError, period::Period};
pub(super) use self::{
    forget::drop_due,
    room::{ahead_if_owner, make_for, missing_room, without_room},
};
use super::PgStore;

/// How the table keeps its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// One table.
    #[default]
    Plain,
    /// A partition for each period, by the time when the request arrived.
    Partitioned(Period),
}

/// A part of the table: the rows of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// The name, in the schema of the table.
    pub name: String,
    /// When its time begins, or `None` if it has all rows before [`until`](Self::until).
    pub from: Option<DateTime<Utc>>,
    /// When its time ends: this moment is the next one's. `None` if it has no end.
    pub until: Option<DateTime<Utc>>,
    /// Roughly how many rows it has, as of when the database counted last.
    pub rows: u64,
    /// How many bytes it takes, with its indexes.
    pub bytes: u64,
    /// It refuses to be truncated by itself.
    pub is_guarded: bool,
}

impl Partition {
    /// A partition of which nothing else is known.
    fn named(name: String, from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Self {
        Self {
            name,
            from,
            until,
            rows: 0,
            bytes: 0,
            is_guarded: true,
        }
    }
}

impl PgStore {
    /// Makes partitions of the table, while writers and readers go on. Does nothing if it has some already.
    ///
    /// The rows that are there stay where they are, and become the first partition: it has all rows up to the end of the
    /// period in a week from now. An index has to be made for that, which takes a while if there are many rows. The
    /// table itself is locked for milliseconds; for that moment this waits as [`Conversion`] says.
    ///
    /// Takes a connection of the pool, and opens another one. It needs a direct connection, none through a pooler in
    /// transaction mode, and a user who is the owner of the table or a member of that role.
    ///
    /// Dropping the future leaves the table as it is, with an index and a check that the next call makes use of, and that do
    /// not get in the way of writers.
    ///
    /// # Errors
    ///
    /// Returns [`PartitionError::StaysBehind`] if a view, a rule, a foreign key, another constraint or a publication depends on the
    /// table, [`PartitionError::Busy`] if somebody else is at it, [`PartitionError::Locked`] if a long transaction uses the
    /// table, [`PartitionError::NoTable`] if the migrations were not run, and [`PartitionError::Database`] otherwise.
    pub async fn convert(&self, conversion: Conversion) -> Result<(), PartitionError> {
        convert::run(self, conversion, Utc::now()).await
    }

    /// Makes the partitions of now and of the next two months, or seven days, where they are missing; returns how many were.
    /// [`migrate`](crate::migrate) does it too.
    ///
    /// Safe to call from every replica at once, while writers and readers go on. How long their time is, [`Layout`] says if
    /// it was set for this store, and else the newest partition.
    ///
    /// # Errors
    ///
    /// Returns [`PartitionError::NotPartitioned`] for a table without partitions, [`PartitionError::NoTable`] if there is
    /// none, and [`PartitionError::Database`] otherwise.
    pub async fn create_partitions(&self) -> Result<usize, PartitionError> {
        room::ahead(self, Utc::now()).await
    }

    /// Returns the partitions, the oldest first; none for a table without.
    ///
    /// # Errors
    ///
    /// Returns [`PartitionError::NoTable`] if there is no table, and [`PartitionError::Database`] otherwise.
    pub async fn partitions(&self) -> Result<Vec<Partition>, PartitionError> {
        let mut connection = self.pool().acquire().await?;
        let table = catalog::table(&mut connection, self).await?;
        let table = table.ok_or(PartitionError::NoTable)?;
        Ok(catalog::partitions(&mut connection, &table).await?)
    }

    /// Returns which times have a partition and which do not; `None` for a table without partitions.
    pub(crate) async fn room(&self, now: DateTime<Utc>) -> Result<Option<Room>, PartitionError> {
        let mut connection = self.pool().acquire().await?;
        let table = catalog::table(&mut connection, self).await?;
        let table = table.ok_or(PartitionError::NoTable)?;
        if !table.is_partitioned {
            return Ok(None);
        }
        let there = catalog::partitions(&mut connection, &table).await?;
        let there: Vec<_> = there.iter().map(|part| (part.from, part.until)).collect();
        let period = Period::of(&there).unwrap_or(Period::Monthly);
        let first = there.iter().filter_map(|(_, until)| *until).min();
        Ok(Some(Room {
            partitions: there.len(),
            until: there.iter().filter_map(|(_, until)| *until).max(),
            missing: period.missing_ahead(&there, now),
            holes: first.map_or_else(Vec::new, |first| {
                period.missing(&there, first, period.begin(now))
            }),
        }))
    }

    /// Returns the name that a partition has of which the time begins then, without its schema.
    pub(crate) fn partition_name(&self, from: DateTime<Utc>) -> String {
        let (_, table) = self.name();
        names::partition(table.as_str(), from)
    }
}

/// Which times have a partition and which do not.
pub(crate) struct Room {
    pub(crate) partitions: usize,
    /// When the last one ends.
    pub(crate) until: Option<DateTime<Utc>>,
    /// What is missing from now on.
    pub(crate) missing: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// What is missing between those that are there.
    pub(crate) holes: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}
