//! SQLite or Postgres, by the URL.

use std::{str::FromStr, time::Duration};

use anyhow::{Context as _, bail};
use sqlx::{
    PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tokio::task::JoinHandle;
use tower_audit::{Auditor, AuditorBuilder, MigrateError, PgStore, SqliteStore};
use tower_audit_web::{AuditWeb, Authorizer};

/// The database that the URL names.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite { pool: SqlitePool, file: String },
    Postgres(PgPool),
}

impl Database {
    /// Opens the database, without waiting for it: a service whose audit database is down should
    /// start all the same.
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            let options =
                SqliteConnectOptions::from_str(url).context("DATABASE_URL is no SQLite URL")?;
            let options = options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal);
            let file = options.get_filename().display().to_string();
            return Ok(Self::Sqlite {
                pool: SqlitePoolOptions::new().connect_lazy_with(options),
                file,
            });
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options =
                PgConnectOptions::from_str(url).context("DATABASE_URL is no Postgres URL")?;
            let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(3));
            return Ok(Self::Postgres(pool.connect_lazy_with(options)));
        }
        bail!("DATABASE_URL must begin with sqlite: or postgres:");
    }

    /// Makes the table; if the database is down, goes on trying while the service runs.
    pub(crate) async fn migrate_in_background(&self) -> JoinHandle<()> {
        let first = self.migrate().await;
        let database = self.clone();
        tokio::spawn(async move {
            let (mut result, mut wait) = (first, Duration::from_secs(2));
            while let Err(error) = result {
                tracing::warn!(
                    "{:#}: events wait in memory, trying again in {wait:?}",
                    anyhow::Error::from(error)
                );
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(60));
                result = database.migrate().await;
            }
        })
    }

    async fn migrate(&self) -> Result<(), MigrateError> {
        match self {
            Self::Sqlite { pool, .. } => tower_audit::migrate(pool).await,
            Self::Postgres(pool) => tower_audit::migrate(pool).await,
        }
    }

    /// Starts the writer.
    pub(crate) fn start(&self, auditor: AuditorBuilder) -> Auditor {
        match self {
            Self::Sqlite { pool, .. } => auditor.start(SqliteStore::new(pool.clone())),
            Self::Postgres(pool) => auditor.start(PgStore::new(pool.clone())),
        }
    }

    /// Returns the trail to look at, for whom the authorizer lets in.
    pub(crate) fn web(&self, authorizer: impl Authorizer, auditor: &Auditor) -> AuditWeb {
        match self {
            Self::Sqlite { pool, .. } => {
                AuditWeb::new(SqliteStore::new(pool.clone()), authorizer, auditor)
            }
            Self::Postgres(pool) => AuditWeb::new(PgStore::new(pool.clone()), authorizer, auditor),
        }
    }

    pub(crate) fn how_to_look(&self) -> String {
        match self {
            Self::Sqlite { file, .. } => {
                format!("sqlite3 -box '{file}' 'SELECT * FROM audit_logs_text'")
            }
            Self::Postgres(_) => {
                "psql \"$DATABASE_URL\" -xc 'SELECT * FROM control_plane.audit_logs'".to_owned()
            }
        }
    }
}
