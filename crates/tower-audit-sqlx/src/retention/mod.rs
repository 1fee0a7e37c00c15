//! Deletes what is old, as a [`RetentionPolicy`] says, and never what a [`Hold`] names.
//!
//! [`Retention::run`] does it once, [`Retention::dry_run`] says what it would do, and [`Retention::start`] does it daily, from one
//! replica at a time. [`Holds`] places and releases holds.
//!
//! # Guarantees
//!
//! - A row goes only if the [policy](RetentionPolicy::is_due) says so at the moment of the statement that deletes it; the database itself
//!   refuses to delete whatever is younger than the shortest time of the policy, and than the [`floor`].
//! - A hold that was placed holds: no row that passes it is deleted after [`Holds::place`] has returned.
//! - One runs at a time. Who was away for too long finds out before the next row goes: each transaction that deletes
//!   checks the lease, and has it for as long.
//! - A process that is frozen in the middle of a transaction keeps the others waiting for five seconds at most in Postgres, which
//!   then gives that transaction up. SQLite waits for as long as there is that process.
//! - Rows are deleted in batches of [a bounded size](RetentionBuilder::batch), for [a bounded time](RetentionBuilder::budget);
//!   writers are not held up in Postgres, and for the time of a batch in SQLite. Partitions of which every row is due are
//!   dropped as a whole, if the user of the pool is the owner of the table or a member of that role.
//! - Each run is an event of the trail itself, `audit.log.prune`: pending before the first row goes, and in the end with what was done. One
//!   that was killed stays pending.
//! - Ages are counted from the clock of the database.
//!
//! # Example
//!
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlite"), doc = "```text")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use sqlx::sqlite::SqlitePoolOptions;
//! use tower_audit_core::retention::{Keep, RetentionPolicy};
//! use tower_audit_sqlx::{SqliteStore, retention::{Holds, Retention}};
//!
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! tower_audit_sqlx::migrate(&pool).await?;
//! let store = SqliteStore::new(pool);
//!
//! let policy = RetentionPolicy::builder().rule("action:session.*", Keep::days(90)).build()?;
//! let retention = Retention::builder(policy).build(store.clone());
//! Holds::new(store).place("case-114", "actor:alice".parse()?, "subpoena of 2026-11-02").await?;
//!
//! let would = retention.dry_run().await?;
//! assert_eq!(would.deleted, 0);
//! let report = retention.run().await?;
//! assert!(report.is_complete);
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # What it does not do
//!
//! It gives no disk space back to the system by itself: Postgres and SQLite use that of deleted rows again. A dropped partition gives it
//! back at once.

mod database;
mod due;
mod error;
mod event;
mod floor;
mod holds;
mod lease;
mod rows;
mod run;
mod schedule;
mod settings;
mod walk;

#[cfg(feature = "postgres")]
pub(crate) use self::holds::holds;
pub(crate) use self::{
    database::{Database, Dropped, Run},
    due::Due,
    lease::Lease,
};
pub use self::{
    error::RetentionError,
    floor::{floor, set_floor},
    holds::Holds,
    schedule::{RetentionTask, Schedule, ScheduleError},
    settings::{Retention, RetentionBuilder},
};
#[cfg(doc)]
use tower_audit_core::retention::{Hold, RetentionPolicy};
