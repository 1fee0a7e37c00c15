//! Keeps and reads the audit trail of [tower-audit](https://docs.rs/tower-audit) in Postgres or
//! SQLite.
//!
//! - [`PgStore`] (feature `postgres`) and [`SqliteStore`] (feature `sqlite`) write and read.
//! - [`retention`] deletes what is old; `partitions`, in Postgres, make that quick.
//! - [`migrate`] makes the table; [`migration_status`] says which migrations are there, and [`drift`](drift()) what somebody changed.
//! - [`doctor`] looks for what is wrong, and says what to do.
//!
//! Both answer every question of an [`EventReader`](tower_audit_core::EventReader). `explain_page` of either shows what a page
//! asks of the database, and the plans.
//!
//! # Guarantees
//!
//! - A row exists once, however often its batch is written.
//! - The table refuses UPDATE, DELETE and TRUNCATE, but for the one move from `pending` to a final
//!   outcome, also when it has become `unknown` in between because nobody completed it in time.
//! - No question takes long because the table is: a page looks at a bounded number of rows, and says where it stopped.
//! - [`migrate`] may be called by every replica at once, keeps its books in
//!   `_tower_audit_migrations`, apart from the app's own migrations, and leaves no lock behind when
//!   it fails.
//!
//! # Example
//!
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlite"), doc = "```text")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use sqlx::sqlite::SqlitePoolOptions;
//! use tower_audit_core::{Actor, AuditEvent, EventReader, EventWriter, Seek, Target};
//! use tower_audit_sqlx::SqliteStore;
//!
//! // One connection: each connection to `:memory:` has a database of its own.
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! tower_audit_sqlx::migrate(&pool).await?;
//!
//! let store = SqliteStore::new(pool);
//! let event = AuditEvent::builder(Actor::user("alice"), "project.delete", Target::new("project", 7));
//! store.append(&[event.build()]).await?;
//! let page = store.page(&"target:7".parse()?, Seek::Newest, Default::default()).await?;
//! assert_eq!(page.events[0].actor().id(), "alice");
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # What it does not do
//!
//! It opens no connections of its own: it takes at most as many from the pool as batches are in
//! flight (two by default), so a pool needs room for them.

#![cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(
        dead_code,
        unused_imports,
        reason = "without a database nothing uses the shared parts"
    )
)]

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod any;
mod columns;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod doctor;
mod error;
mod migrate;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod record_in;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod restored;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod retention;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use any::AnyStore;
pub use migrate::{
    Drift, Migrate, MigrateError, MigrationStatus, drift, migrate, migration_sql, migration_status,
};
#[cfg(feature = "postgres")]
pub use postgres::{PgStore, PgStoreBuilder, Roles, partitions};
pub use record_in::RecordIn;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use restored::Restored;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, SqliteStoreBuilder};
pub use table::{IdentifierError, Indexes};
