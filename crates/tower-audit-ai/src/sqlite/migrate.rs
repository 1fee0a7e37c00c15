//! Makes the tables.

use chrono_tz::Tz;
use tower_audit_core::StoreError;

use super::{SqliteTrails, append, error::store_error};
use crate::sql::{migration_error, migrator};

impl SqliteTrails {
    /// Makes the tables, or brings them up to date, in one transaction. Returns whose days are counted, which are those of [`zone`](Self::zone) only
    /// where the tables were made with it.
    ///
    /// # Errors
    ///
    /// Returns what the database refused.
    pub async fn migrate(&self) -> Result<Tz, StoreError> {
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await;
        let mut tx = begun.map_err(store_error)?;
        let migrated = migrator("ai_trails_migrations", SOURCES)
            .run_direct(None, &mut *tx, false)
            .await;
        migrated.map_err(|error| migration_error(error, store_error))?;
        let settings =
            "INSERT INTO ai_trails_settings (is_only, zone) VALUES (1, ?1) ON CONFLICT DO NOTHING";
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
    include_str!("../../migrations/sqlite/0001_trails.sql"),
)];
