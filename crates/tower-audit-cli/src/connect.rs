//! The store behind a URL.

use std::{str::FromStr as _, time::Duration};

use anyhow::{Context as _, bail};
use sqlx::{
    ConnectOptions as _, Connection as _, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tower_audit_sqlx::{AnyStore, Indexes, PgStore, SqliteStore, partitions::Layout};

use crate::settings::Settings;

/// What only who makes a table says of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Making {
    pub(crate) layout: Layout,
    pub(crate) indexes: Indexes,
    /// Make the file of SQLite if it is not there.
    pub(crate) file: bool,
}

/// Connects to a table that is there.
pub(crate) async fn store(settings: &Settings) -> anyhow::Result<AnyStore> {
    store_to_make(settings, Making::default()).await
}

/// Connects to a table that may have to be made.
pub(crate) async fn store_to_make(settings: &Settings, making: Making) -> anyhow::Result<AnyStore> {
    match scheme(settings) {
        "postgres" | "postgresql" => Ok(postgres(settings, making).await?.into()),
        "sqlite" => Ok(sqlite(settings, making).await?.into()),
        _ => bail!(NEITHER),
    }
}

/// Connects to Postgres, for what only that can do.
pub(crate) async fn postgres_only(settings: &Settings, what: &str) -> anyhow::Result<PgStore> {
    match store(settings).await? {
        AnyStore::Postgres(store) => Ok(store),
        _ => bail!("{what} are for Postgres: SQLite has none"),
    }
}

/// Connects to Postgres, for what has tables of its own there.
pub(crate) async fn postgres_pool(settings: &Settings, what: &str) -> anyhow::Result<PgPool> {
    match scheme(settings) {
        "postgres" | "postgresql" => pool(settings).await,
        "sqlite" => bail!(
            "{what} is for Postgres: give the database that the tables are in, --database postgres://..."
        ),
        _ => bail!(NEITHER),
    }
}

/// A pool of whichever database it is.
pub(crate) enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// Connects to a database for what has tables of its own there; makes the file of SQLite if it is not there and may be made.
pub(crate) async fn any_pool(settings: &Settings, may_make: bool) -> anyhow::Result<Pool> {
    match scheme(settings) {
        "postgres" | "postgresql" => Ok(Pool::Postgres(pool(settings).await?)),
        "sqlite" => Ok(Pool::Sqlite(sqlite_pool(settings, may_make).await?)),
        _ => bail!(NEITHER),
    }
}

fn scheme(settings: &Settings) -> &str {
    settings.database.split(':').next().unwrap_or("")
}

async fn pool(settings: &Settings) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(&settings.database)
        .ok()
        .context("the URL of the database cannot be read: postgres://user:password@host:5432/name")?
        .application_name("tower-audit");
    // A pool tries for as long as it may wait: why it cannot, a single connection says at once.
    let once = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
    let connection = once
        .context("the database does not answer")?
        .context("the database cannot be reached")?;
    let _ = connection.close().await;
    PgPoolOptions::new()
        .max_connections(3)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_with(options)
        .await
        .context("the database cannot be reached")
}

async fn postgres(settings: &Settings, making: Making) -> anyhow::Result<PgStore> {
    let mut store = PgStore::builder(pool(settings).await?)
        .layout(making.layout)
        .indexes(making.indexes);
    if let Some(schema) = &settings.schema {
        store = store.schema(schema);
    }
    if let Some(table) = &settings.table {
        store = store.table(table);
    }
    Ok(store.build()?)
}

/// Opens a file of SQLite; makes it if it is not there and may be made.
async fn sqlite_pool(settings: &Settings, may_make: bool) -> anyhow::Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str(&settings.database)
        .ok()
        .context("the URL of the database cannot be read: sqlite:///path/audit.db")?
        .create_if_missing(may_make)
        .busy_timeout(CONNECT_TIMEOUT);
    let options = if may_make {
        options.journal_mode(SqliteJournalMode::Wal)
    } else {
        options
    };
    SqlitePoolOptions::new()
        .max_connections(3)
        .connect_with(options)
        .await
        .with_context(|| {
            let path = path_of(&settings.database);
            format!("{path} cannot be opened: see that it is there (`tower-audit migrate` makes it) and may be read and written")
        })
}

async fn sqlite(settings: &Settings, making: Making) -> anyhow::Result<SqliteStore> {
    if matches!(making.layout, Layout::Partitioned(_)) {
        bail!("partitions are for Postgres: SQLite has none");
    }
    let pool = sqlite_pool(settings, making.file).await?;
    let mut store = SqliteStore::builder(pool).indexes(making.indexes);
    if let Some(table) = &settings.table {
        store = store.table(table);
    }
    Ok(store.build()?)
}

/// Returns the path in a URL of SQLite.
pub(crate) fn path_of(url: &str) -> &str {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    path.split('?').next().unwrap_or_default()
}

/// The rest of the URL may be a password.
const NEITHER: &str = "the database is none of postgres://... and sqlite://...";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
