//! Makes the tables.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use tower_audit_core::StoreError;

use super::{SqliteTrails, error::store_error};

impl SqliteTrails {
    /// Makes the tables, or brings them up to date, in one transaction.
    ///
    /// # Errors
    ///
    /// Returns what the database refused.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await;
        let mut tx = begun.map_err(store_error)?;
        let migrated = migrator().run_direct(None, &mut *tx, false).await;
        migrated.map_err(failed)?;
        let settings =
            "INSERT INTO ai_trails_settings (is_only, zone) VALUES (1, ?1) ON CONFLICT DO NOTHING";
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
    migrator.dangerous_set_table_name("ai_trails_migrations");
    // Those of the version before go on while a new one is rolled out, and may restart.
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
    include_str!("../../migrations/sqlite/0001_trails.sql"),
)];
