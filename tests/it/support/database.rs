//! A database of one's own for each test.

use std::{future::Future, net::SocketAddr, str::FromStr};

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tempfile::TempDir;

/// An empty Postgres database, dropped with this.
pub(crate) struct Postgres {
    pub(crate) pool: PgPool,
    pub(crate) options: PgConnectOptions,
    pub(crate) url: String,
    name: String,
}

impl Postgres {
    pub(crate) async fn fresh() -> Self {
        Self::fresh_with("").await
    }

    /// Returns an empty database that was created with these options.
    pub(crate) async fn fresh_with(options: &str) -> Self {
        let created_with = options;
        let server = server_url();
        let name = format!("tower_audit_test_{}", uuid::Uuid::now_v7().simple());
        let options = PgConnectOptions::from_str(&server)
            .expect("TOWER_AUDIT_TEST_POSTGRES is a postgres:// URL");
        let mut connection = PgConnection::connect_with(&options)
            .await
            .expect("the test Postgres is reachable");
        // Nobody is connected to template0, so no two tests get in each other's way.
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 {created_with}");
        connection
            .execute(AssertSqlSafe(create))
            .await
            .expect("the test user may create databases");
        let options = options.database(&name);
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .connect_with(options.clone())
            .await
            .unwrap();
        let (base, query) = server
            .split_once('?')
            .map_or((server.as_str(), None), |(base, query)| (base, Some(query)));
        let base = base.rsplit_once('/').expect("the URL names a database").0;
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Self {
            pool,
            options,
            url: format!("{base}/{name}{query}"),
            name,
        }
    }

    /// Returns an empty database with the audit table in it.
    pub(crate) async fn migrated() -> Self {
        let this = Self::fresh().await;
        tower_audit::migrate(&this.pool).await.unwrap();
        this
    }

    /// Returns where the server listens.
    pub(crate) async fn address(&self) -> SocketAddr {
        let server = (self.options.get_host(), self.options.get_port());
        let mut found = tokio::net::lookup_host(server).await.unwrap();
        found.next().expect("the test Postgres has an address")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let drop_it = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let run = move || {
            block_on(async move {
                let mut connection = PgConnection::connect(&server_url()).await?;
                connection.execute(AssertSqlSafe(drop_it)).await.map(drop)
            })
        };
        // On a thread of its own: the runtime of the test cannot wait inside of a drop. Best effort:
        // a database that stays behind makes no other test fail.
        let _ = std::thread::spawn(run).join();
    }
}

/// An empty SQLite database in a file, deleted with this.
pub(crate) struct Sqlite {
    pub(crate) pool: SqlitePool,
    pub(crate) url: String,
    _folder: TempDir,
}

impl Sqlite {
    pub(crate) async fn fresh() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("audit.db").display());
        let options = SqliteConnectOptions::from_str(&url)
            .unwrap()
            .create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new()
            .max_connections(5)
            .connect_with(options)
            .await
            .unwrap();
        Self {
            pool,
            url,
            _folder: folder,
        }
    }

    /// Returns an empty database with the audit table in it.
    pub(crate) async fn migrated() -> Self {
        let this = Self::fresh().await;
        tower_audit::migrate(&this.pool).await.unwrap();
        this
    }
}

fn server_url() -> String {
    std::env::var("TOWER_AUDIT_TEST_POSTGRES").expect(
        "the tests need a Postgres: run `cargo xtask test`, or set TOWER_AUDIT_TEST_POSTGRES to what \
         `cargo xtask postgres` prints",
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
