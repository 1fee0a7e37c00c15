//! Makes the tables.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use tower_audit_core::StoreError;

use super::{PgTrails, error::store_error};

impl PgTrails {
    /// Makes the tables, or brings them up to date.
    ///
    /// Safe to call from every replica at once: the others wait for the first. All of it happens in one transaction, so dropping the future or a
    /// failure leaves the database as it was.
    ///
    /// # Errors
    ///
    /// Returns what the database refused.
    pub async fn migrate(&self) -> Result<(), StoreError> {
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
        let migrated = migrator().run_direct(None, &mut *tx, false).await;
        migrated.map_err(failed)?;
        let settings = "INSERT INTO control_plane.ai_trails_settings (zone) VALUES ($1) ON CONFLICT DO NOTHING";
        let settings = sqlx::query(settings).bind(self.zone.name());
        settings.execute(&mut *tx).await.map_err(store_error)?;
        tx.commit().await.map_err(store_error)
    }
}

fn migrator() -> Migrator {
    let migrations = SOURCES.iter().map(|(version, description, sql)| {
        Migration::new(
            *version,
            Cow::Borrowed(*description),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name("control_plane.ai_trails_migrations");
    // Replicas of the version before go on while a new one is rolled out, and may restart.
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            store_error(error)
        }
        other => StoreError::NotReady {
            hint: "a migration of the trails was changed after it was run",
            source: other.into(),
        },
    }
}

const SOURCES: &[(i64, &str, &str)] = &[(
    1,
    "trails",
    include_str!("../../migrations/postgres/0001_trails.sql"),
)];

/// The key of the advisory lock: "tower-ai" in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"tower-ai");
