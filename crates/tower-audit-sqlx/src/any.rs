//! A store, whatever its database.

use chrono::{DateTime, Utc};
use tower_audit_core::{
    AuditEvent, EventId, EventReader, EventWriter, Filter, Page, PageSize, Seek, StoreError,
    search::Field,
    store::{Buckets, Count, Histogram, StoreStatus, Tail, TailPosition, Top},
};

use crate::Restored;
use crate::migrate::{Drift, Migrate, MigrateError, MigrationStatus};

/// A store of either database, for whoever learns at run time which one it is. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyStore {
    /// One in Postgres.
    #[cfg(feature = "postgres")]
    Postgres(crate::PgStore),
    /// One in SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(crate::SqliteStore),
}

/// Runs an expression with the store that it is.
macro_rules! with_store {
    ($any:expr, $store:ident => $do:expr) => {
        match $any {
            #[cfg(feature = "postgres")]
            $crate::any::AnyStore::Postgres($store) => $do,
            #[cfg(feature = "sqlite")]
            $crate::any::AnyStore::Sqlite($store) => $do,
        }
    };
}

pub(crate) use with_store;

#[cfg(feature = "postgres")]
impl From<crate::PgStore> for AnyStore {
    fn from(store: crate::PgStore) -> Self {
        Self::Postgres(store)
    }
}

#[cfg(feature = "sqlite")]
impl From<crate::SqliteStore> for AnyStore {
    fn from(store: crate::SqliteStore) -> Self {
        Self::Sqlite(store)
    }
}

impl AnyStore {
    /// Writes events that come from elsewhere, with the time at which they were recorded there. What is there stays as it is, but for a
    /// pending row that gets its end.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] as [`EventWriter::append`] does.
    pub async fn restore(&self, batch: &[AuditEvent]) -> Result<Restored, StoreError> {
        with_store!(self, store => store.restore(batch).await)
    }
}

impl EventWriter for AnyStore {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
        with_store!(self, store => store.append(batch).await)
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        with_store!(self, store => store.check().await)
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        with_store!(self, store => store.reap(created_before).await)
    }
}

impl EventReader for AnyStore {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        with_store!(self, store => store.get(id).await)
    }

    async fn page(&self, filter: &Filter, seek: Seek, size: PageSize) -> Result<Page, StoreError> {
        with_store!(self, store => store.page(filter, seek, size).await)
    }

    async fn histogram(&self, filter: &Filter, buckets: Buckets) -> Result<Histogram, StoreError> {
        with_store!(self, store => store.histogram(filter, buckets).await)
    }

    async fn top(&self, filter: &Filter, field: Field, size: PageSize) -> Result<Top, StoreError> {
        with_store!(self, store => store.top(filter, field, size).await)
    }

    async fn estimate(&self, filter: &Filter) -> Result<Count, StoreError> {
        with_store!(self, store => store.estimate(filter).await)
    }

    async fn tail(
        &self,
        position: Option<&TailPosition>,
        size: PageSize,
    ) -> Result<Tail, StoreError> {
        with_store!(self, store => store.tail(position, size).await)
    }
}

impl Migrate for AnyStore {
    async fn migrate(&self) -> Result<(), MigrateError> {
        with_store!(self, store => store.migrate().await)
    }

    async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrateError> {
        with_store!(self, store => store.migration_status().await)
    }

    async fn migration_sql(&self) -> Result<String, MigrateError> {
        with_store!(self, store => store.migration_sql().await)
    }

    async fn drift(&self) -> Result<Vec<Drift>, MigrateError> {
        with_store!(self, store => store.drift().await)
    }
}
