//! Something that is done to a trail while a writer goes on.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tower_audit::{AnyStore, EventWriter, PgStore, SqliteStore};

use super::{
    locks::{Locks, Watch},
    writer::{Appends, Writer},
};

/// A trail that is measured.
pub(super) trait Trail: EventWriter + Clone + Into<AnyStore> {
    /// Counts the rows from before this moment, and the others.
    async fn counted(&self, before: DateTime<Utc>) -> anyhow::Result<Counted>;

    /// Starts to look at the locks of the table, where there are some.
    async fn watch(&self) -> anyhow::Result<Option<Watch>>;
}

impl Trail for PgStore {
    async fn counted(&self, before: DateTime<Utc>) -> anyhow::Result<Counted> {
        let counted: (i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE created_at < $1), count(*) FILTER (WHERE created_at >= $1) \
             FROM control_plane.audit_logs",
        )
        .bind(before)
        .fetch_one(self.pool())
        .await?;
        Counted::of(counted)
    }

    async fn watch(&self) -> anyhow::Result<Option<Watch>> {
        Watch::start(self.pool()).await.map(Some)
    }
}

impl Trail for SqliteStore {
    async fn counted(&self, before: DateTime<Utc>) -> anyhow::Result<Counted> {
        let counted: (i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE created_at < ?1), count(*) FILTER (WHERE created_at >= ?1) \
             FROM audit_logs",
        )
        .bind(before.timestamp_micros())
        .fetch_one(self.pool())
        .await?;
        Counted::of(counted)
    }

    async fn watch(&self) -> anyhow::Result<Option<Watch>> {
        // The one lock is that of the file, and whoever waits for it is a writer: the appends say how long.
        Ok(None)
    }
}

/// How many rows there are from before a moment, and how many others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) older: u64,
    pub(super) newer: u64,
}

impl Counted {
    fn of((older, newer): (i64, i64)) -> anyhow::Result<Self> {
        Ok(Self {
            older: older.try_into()?,
            newer: newer.try_into()?,
        })
    }
}

/// How long something took, and what it did to others.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) took: Duration,
    pub(super) appends: Appends,
    pub(super) locks: Option<Locks>,
}

impl Load {
    /// Does some work while a writer goes on.
    pub(super) async fn during<T, D, E>(
        trail: &T,
        work: impl Future<Output = Result<D, E>>,
    ) -> anyhow::Result<(D, Self)>
    where
        T: Trail,
        E: std::error::Error + Send + Sync + 'static,
    {
        let watch = trail.watch().await?;
        let writer = Writer::start(trail.clone());
        let started = Instant::now();
        let done = work.await?;
        let took = started.elapsed();
        let appends = writer.stop().await?;
        let locks = match watch {
            Some(watch) => Some(watch.stop().await?),
            None => None,
        };
        let load = Self {
            took,
            appends,
            locks,
        };
        Ok((done, load))
    }
}
