//! A throw-away Postgres with some databases.

use std::str::FromStr as _;

use anyhow::Context as _;
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use xtask::postgres::{Cluster, Commits};

/// A throw-away Postgres, gone when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    /// In a database that nobody measures.
    admin: PgPool,
    cluster: Cluster,
}

impl Server {
    /// Starts it.
    pub(super) async fn start() -> anyhow::Result<Self> {
        // Not even the disk is waited for, which would hide what the rest costs.
        let cluster = Cluster::start(Commits::AreFast)?;
        let admin = PgPool::connect(&cluster.url()).await?;
        Ok(Self { admin, cluster })
    }

    /// Makes a database, and connects to it. Nobody may be connected to the template.
    pub(super) async fn create(&self, name: &str, template: &str) -> anyhow::Result<PgPool> {
        let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int4")
            .fetch_one(&self.admin)
            .await?;
        // By default newer versions write each page into the log, too, which is for small templates.
        let strategy = if version < 150_000 {
            ""
        } else {
            "STRATEGY file_copy"
        };
        self.run(format!(
            "CREATE DATABASE {name} TEMPLATE {template} {strategy}"
        ))
        .await?;
        self.connect(name).await
    }

    /// Connects to a database.
    pub(super) async fn connect(&self, name: &str) -> anyhow::Result<PgPool> {
        let options = PgConnectOptions::from_str(&self.cluster.url())?.database(name);
        let pool = PgPoolOptions::new().max_connections(5);
        let pool = pool.connect_with(options).await;
        pool.with_context(|| format!("could not connect to the database {name}"))
    }

    /// Drops a database, and its files with it.
    pub(super) async fn remove(&self, name: &str, pool: &PgPool) -> anyhow::Result<()> {
        pool.close().await;
        self.run(format!("DROP DATABASE {name} WITH (FORCE)")).await
    }

    async fn run(&self, statement: String) -> anyhow::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&self.admin)
            .await?;
        Ok(())
    }
}
