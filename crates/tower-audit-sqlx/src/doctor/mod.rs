//! Looks for what is wrong with a trail, and says what to do about it.
//!
//! # Guarantees
//!
//! - It changes nothing, and asks questions of a bounded size alone, however long the trail is.
//! - What could not be looked at is said, and does not pass for healthy.
//! - No finding has a password or anything of a row in it.
//!
//! # Example
//!
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlite"), doc = "```text")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use sqlx::sqlite::SqlitePoolOptions;
//! use tower_audit_sqlx::{SqliteStore, doctor::{Check, Doctor, Severity}};
//!
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! let doctor = Doctor::new(SqliteStore::new(pool.clone()));
//! let findings = doctor.examine().await;
//! let missing = findings.iter().find(|finding| finding.check == Check::Migrations);
//! assert_eq!(missing.unwrap().severity, Severity::Problem);
//!
//! tower_audit_sqlx::migrate(&pool).await?;
//! let findings = doctor.examine().await;
//! assert!(findings.iter().all(|finding| finding.severity != Severity::Problem));
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # What it does not do
//!
//! It does not read the rows: whether one was changed by the owner of the table, who can disable a trigger and enable it again, it
//! cannot tell.

mod common;
mod finding;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use self::finding::Findings;
pub use self::finding::{Check, Finding, Severity};
use crate::any::AnyStore;

/// Looks for what is wrong with a trail. See the [module docs](self).
#[derive(Clone, Debug)]
pub struct Doctor {
    store: AnyStore,
    #[cfg(feature = "postgres")]
    roles: crate::Roles,
}

impl Doctor {
    /// Returns one for the trail in this store.
    #[must_use]
    pub fn new(store: impl Into<AnyStore>) -> Self {
        Self {
            store: store.into(),
            #[cfg(feature = "postgres")]
            roles: crate::Roles::new(),
        }
    }

    /// Sets which roles are looked at, where they are there. Defaults to those of [`Roles::new`](crate::Roles::new).
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn roles(mut self, roles: crate::Roles) -> Self {
        self.roles = roles;
        self
    }

    /// Looks, and returns what was found, also what is well, in the order of [`Check`].
    ///
    /// There is no error: that the database cannot be reached is a finding. Dropping the future stops it.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        match &self.store {
            #[cfg(feature = "postgres")]
            AnyStore::Postgres(store) => {
                postgres::examine(store, &self.roles, &mut findings).await;
            }
            #[cfg(feature = "sqlite")]
            AnyStore::Sqlite(store) => sqlite::examine(store, &mut findings).await,
        }
        findings.into_sorted()
    }
}
