//! Makes the tables.

use chrono_tz::Tz;
use tower_audit_core::StoreError;

use super::{PgTrails, append, error::store_error};
use crate::sql::{migration_error, migrator};

impl PgTrails {
    /// Makes the tables, or brings them up to date. Returns whose days are counted, which are those of [`zone`](Self::zone) only where the tables were
    /// made with it.
    ///
    /// Safe to call from every replica at once: the others wait for the first. All of it happens in one transaction, so dropping the future or a
    /// failure leaves the database as it was.
    ///
    /// # Errors
    ///
    /// Returns what the database refused.
    pub async fn migrate(&self) -> Result<Tz, StoreError> {
        let mut tx = self.pool.begin().await.map_err(store_error)?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
        lock.execute(&mut *tx).await.map_err(store_error)?;
        let exists =
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'control_plane')";
        let exists: bool = sqlx::query_scalar(exists)
            .fetch_one(&mut *tx)
            .await
            .map_err(store_error)?;
        if !exists {
            let schema = sqlx::query("CREATE SCHEMA control_plane");
            schema.execute(&mut *tx).await.map_err(store_error)?;
        }
        let migrated = migrator("control_plane.ai_trails_migrations", SOURCES)
            .run_direct(None, &mut *tx, false)
            .await;
        migrated.map_err(|error| migration_error(error, store_error))?;
        let settings = "INSERT INTO control_plane.ai_trails_settings (zone) VALUES ($1) ON CONFLICT DO NOTHING";
        let settings = sqlx::query(settings).bind(self.zone.name());
        settings.execute(&mut *tx).await.map_err(store_error)?;
        let (zone, _) = append::settings(&mut tx).await.map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(zone)
    }
}

const SOURCES: &[(i64, &str, &str)] = &[(
    1,
    "trails",
    include_str!("../../migrations/postgres/0001_trails.sql"),
)];

/// The key of the advisory lock: "tower-ai" in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"tower-ai");
