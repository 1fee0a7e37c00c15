//! Trails in Postgres.

mod append;
mod cleanup;
mod error;
mod migrate;
mod read;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgPool;
use tower_audit_core::{EventId, EventWriter, PageSize, StoreError, store::StoreStatus};

use crate::{Analytics, Days, MessageId, Trail, TrailChange, TrailCursor, TrailPage, TrailStore};

/// Trails in Postgres, in `control_plane.ai_trails`. Cheap to clone.
///
/// ```no_run
/// use tower_audit_ai::{PgTrails, Trail, Trails};
///
/// # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let store = PgTrails::new(pool);
/// store.migrate().await?; // safe to call from every replica at once
/// let trails = Trails::new(store);
/// trails.begin(Trail::placeholder("msg_1", "project-7", "large-2026")?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PgTrails {
    pool: PgPool,
    zone: Tz,
}

impl PgTrails {
    /// Returns the trails of this database, whose days are those of UTC.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            zone: Tz::UTC,
        }
    }

    /// Sets whose days are counted, if [`migrate`](Self::migrate) makes the tables: those that are there keep theirs. Defaults to UTC.
    #[must_use]
    pub fn zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self
    }

    /// Returns the pool.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl EventWriter<TrailChange> for PgTrails {
    async fn append(&self, batch: &[TrailChange]) -> Result<(), StoreError> {
        append::append(&self.pool, batch)
            .await
            .map_err(error::store_error)
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        read::check(&self.pool).await.map_err(error::store_error)
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let reaped = cleanup::reap(&self.pool, created_before).await;
        reaped.map_err(error::store_error)
    }
}

impl TrailStore for PgTrails {
    async fn get(&self, message_id: &MessageId) -> Result<Option<Trail>, StoreError> {
        let found = read::get(&self.pool, message_id).await;
        found.map_err(error::store_error)
    }

    async fn list(
        &self,
        project_id: &str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Result<TrailPage, StoreError> {
        let page = read::list(&self.pool, project_id, older_than.as_ref(), size).await;
        page.map_err(error::store_error)
    }

    async fn of_event(&self, event_id: EventId, size: PageSize) -> Result<Vec<Trail>, StoreError> {
        let found = read::of_event(&self.pool, event_id, size).await;
        found.map_err(error::store_error)
    }

    async fn projects(
        &self,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<Vec<String>, StoreError> {
        let projects = read::projects(&self.pool, after, size).await;
        projects.map_err(error::store_error)
    }

    async fn analytics(&self, project_id: &str, days: Days) -> Result<Analytics, StoreError> {
        let analytics = read::analytics(&self.pool, project_id, days).await;
        analytics.map_err(error::store_error)
    }

    async fn recount(&self) -> Result<u64, StoreError> {
        let counted = append::recount(&self.pool).await;
        counted.map_err(error::store_error)
    }

    async fn cleanup(&self, older_than: DateTime<Utc>) -> Result<u64, StoreError> {
        let deleted = cleanup::cleanup(&self.pool, older_than).await;
        deleted.map_err(error::store_error)
    }
}
