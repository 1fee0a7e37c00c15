//! A connection, and how long the server's side of it was busy.

use std::fs;

use anyhow::{Context as _, ensure};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::Database;

/// A connection, and the process of the server that serves it.
#[derive(Debug)]
pub(super) struct Backend {
    connection: PgConnection,
    /// The file in which the kernel says how long the process has run.
    schedstat: String,
}

impl Backend {
    /// Connects, on behalf of a request.
    pub(super) async fn connect(database: &Database) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(&database.cluster.url()).await?;
        let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        let mut backend = Self {
            connection,
            schedstat: format!("/proc/{process}/schedstat"),
        };
        backend.next_request().await?;
        Ok(backend)
    }

    /// Lets what follows be the work of another request.
    pub(super) async fn next_request(&mut self) -> anyhow::Result<()> {
        let context = sqlx::query(CONTEXT)
            .bind(Uuid::now_v7().to_string())
            .bind(Uuid::now_v7().to_string());
        context.execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Returns for how many nanoseconds the process had a processor.
    pub(super) fn busy_ns(&self) -> anyhow::Result<u64> {
        let path = &self.schedstat;
        let text = fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
        let busy = text.split_whitespace().next().unwrap_or_default();
        let busy: u64 = busy
            .parse()
            .with_context(|| format!("{path} does not begin with a number"))?;
        ensure!(
            busy > 0,
            "this kernel does not say how long a process has run"
        );
        Ok(busy)
    }
}

/// For the whole session: to begin a transaction with it is measured apart.
const CONTEXT: &str = "\
SELECT set_config('tower_audit.context', jsonb_build_object('actor_type', 'user', 'actor_id', 'user-7', 'tenant_id', 'tenant-7',
    'audit_id', $1::text, 'request_id', $2::text)::text, false)";
