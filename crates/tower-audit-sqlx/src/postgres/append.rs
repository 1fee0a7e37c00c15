//! Writes a batch as arrays: one statement, one round trip.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Postgres, query::Query};
use tower_audit_core::{AuditEvent, EventWriter, Outcome, StoreError, store::StoreStatus};
use uuid::Uuid;

use super::{
    PgStore,
    error::{PRIVILEGE_HINT, store_error},
    partitions::{make_for, missing_room, without_room},
};
use crate::{
    pool::pool_status,
    record_in::RecordIn,
    restored::{Dropped, Restored},
};

impl EventWriter for PgStore {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
        if batch
            .iter()
            .any(|event| event.outcome() == Outcome::Pending)
        {
            self.may_complete().await?;
        }
        loop {
            match self.write(batch).await {
                Ok(()) => return Ok(()),
                Err(error) => self.make_room_for(batch, error).await?,
            }
        }
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        let asked = Instant::now();
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        let (wait, asked) = (asked.elapsed(), Instant::now());
        let (may_insert, room_until): (bool, Option<DateTime<Utc>>) =
            sqlx::query_as(AssertSqlSafe(self.sql.check.clone()))
                .fetch_one(&mut *connection)
                .await
                .map_err(store_error)?;
        if may_insert {
            let pool = pool_status(&self.pool, wait);
            return Ok(StoreStatus::new(asked.elapsed(), Some(pool)).room_until(room_until));
        }
        Err(StoreError::NotReady {
            hint: PRIVILEGE_HINT,
            source: Box::new(MayNotInsert),
        })
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let reap = sqlx::query(AssertSqlSafe(self.sql.reap.clone())).bind(created_before);
        let done = reap.execute(&self.pool).await.map_err(store_error)?;
        Ok(done.rows_affected())
    }
}

impl PgStore {
    /// Writes events that come from elsewhere, as an export or another table, with the time at which they were recorded there. What
    /// is there stays as it is, but for a pending row that gets its end. Waits for the database.
    ///
    /// It takes a user who may insert into every column, and read: the [writer's role](super::Roles) may not say when an event
    /// was recorded. All of a batch is written, or none of it; dropping the future leaves one of both.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] as [`EventWriter::append`] does, and [`StoreError::Rejected`] if a rule or a trigger of the table drops
    /// events without a word.
    pub async fn restore(&self, batch: &[AuditEvent]) -> Result<Restored, StoreError> {
        loop {
            match self.try_restore(batch).await {
                Ok(restored) => return restored,
                Err(error) => self.make_room_for(batch, error).await?,
            }
        }
    }

    async fn try_restore(
        &self,
        batch: &[AuditEvent],
    ) -> sqlx::Result<Result<Restored, StoreError>> {
        let recorded: Vec<_> = batch.iter().map(AuditEvent::recorded_at).collect();
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql.restore)));
        let restore = Columns::of(batch.iter()).bind(query).bind(recorded);
        let mut tx = self.pool.begin().await?;
        let new = restore.execute(&mut *tx).await?.rows_affected();
        let mut restored = Restored { new, completed: 0 };
        if new < batch.len() as u64 {
            let ended = batch.iter();
            let ended = ended.filter(|event| event.outcome() != Outcome::Pending);
            let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql.complete)));
            let complete = Columns::of(ended).bind(query);
            restored.completed = complete.execute(&mut *tx).await?.rows_affected();
            let missing = self.missing(&mut tx, batch).await?;
            if missing > 0 {
                tx.rollback().await?;
                return Ok(Err(StoreError::Rejected(Box::new(Dropped(missing)))));
            }
        }
        tx.commit().await?;
        Ok(Ok(restored))
    }

    /// Returns how many of these events are not there.
    async fn missing(
        &self,
        connection: &mut PgConnection,
        batch: &[AuditEvent],
    ) -> sqlx::Result<u64> {
        let ids: Vec<Uuid> = batch.iter().map(|event| event.id().as_uuid()).collect();
        let name = &self.sql.name;
        let missing = format!(
            "SELECT count(*) FROM unnest($1::uuid[]) AS wanted (id) WHERE NOT EXISTS (SELECT FROM {name} AS t WHERE t.id = wanted.id)"
        );
        let missing: i64 = sqlx::query_scalar(AssertSqlSafe(missing))
            .bind(ids)
            .fetch_one(connection)
            .await?;
        Ok(u64::try_from(missing).unwrap_or(0))
    }

    /// Makes more room for a batch, if that is why it failed: each time there is more, until there is enough.
    async fn make_room_for(
        &self,
        batch: &[AuditEvent],
        error: sqlx::Error,
    ) -> Result<(), StoreError> {
        let Some(missing) = missing_room(&error, self) else {
            return Err(store_error(error));
        };
        if matches!(make_for(self, batch).await, Ok(true)) {
            Ok(())
        } else {
            Err(without_room(batch, missing, error))
        }
    }

    /// Refuses a pending event that could never be completed: it must not hold up the others.
    async fn may_complete(&self) -> Result<(), StoreError> {
        if self.sql.has_completed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let may: bool = sqlx::query_scalar(AssertSqlSafe(Arc::clone(&self.sql.may_complete)))
            .fetch_one(&self.pool)
            .await
            .map_err(store_error)?;
        if !may {
            return Err(StoreError::Rejected(Box::new(MayNotComplete)));
        }
        self.sql.has_completed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the batch once.
    async fn write(&self, batch: &[AuditEvent]) -> sqlx::Result<()> {
        if batch.iter().any(AuditEvent::is_completion) {
            return self.append_and_complete(batch).await;
        }
        // Rows are there already only after a try of which nobody knows how it ended. To look for them beforehand, as
        // ON CONFLICT does, costs every row.
        match insert(&self.pool, &self.sql.insert_new, batch.iter()).await {
            Err(error) if is_there(&error) => {
                insert(&self.pool, &self.sql.insert, batch.iter()).await
            }
            result => result,
        }
    }

    /// Inserts what is not there, and then completes what was pending. In this order: the insert waits
    /// for one of the same id that another connection is about to commit, and the update sees it.
    async fn append_and_complete(&self, batch: &[AuditEvent]) -> sqlx::Result<()> {
        let completions = batch.iter().filter(|event| event.is_completion());
        let mut tx = self.pool.begin().await?;
        insert(&mut *tx, &self.sql.insert, batch.iter()).await?;
        insert(&mut *tx, &self.sql.complete, completions).await?;
        tx.commit().await
    }
}

impl RecordIn<PgConnection> for PgStore {
    async fn record_in(
        &self,
        connection: &mut PgConnection,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        insert(connection, &self.sql.insert, std::iter::once(&event))
            .await
            .map_err(store_error)
    }
}

/// Returns whether a row of the same id is there.
fn is_there(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Runs a statement that takes the columns of these events.
async fn insert<'a>(
    executor: impl PgExecutor<'_>,
    statement: &Arc<str>,
    events: impl Iterator<Item = &'a AuditEvent>,
) -> sqlx::Result<()> {
    // The text is made of constants and validated identifiers.
    let query = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
    Columns::of(events).bind(query).execute(executor).await?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("the database user may not insert")]
struct MayNotInsert;

#[derive(Debug, thiserror::Error)]
#[error("a pending event could not be completed: {PRIVILEGE_HINT}")]
struct MayNotComplete;

/// The batch, turned on its side. Every array has one element an event.
#[derive(Default)]
struct Columns<'a> {
    id: Vec<Uuid>,
    actor_id: Vec<&'a str>,
    actor_type: Vec<&'static str>,
    action: Vec<&'a str>,
    target_type: Vec<&'a str>,
    target_id: Vec<&'a str>,
    metadata: Vec<String>,
    ip_address: Vec<Option<IpAddr>>,
    user_agent: Vec<Option<&'a str>>,
    created_at: Vec<DateTime<Utc>>,
    outcome: Vec<&'static str>,
    reason: Vec<Option<&'a str>>,
    status: Vec<Option<i16>>,
    method: Vec<Option<&'a str>>,
    route: Vec<Option<&'a str>>,
    path: Vec<Option<&'a str>>,
    duration_us: Vec<Option<i64>>,
    request_id: Vec<Option<&'a str>>,
    trace_id: Vec<Option<&'a str>>,
    tenant_id: Vec<Option<&'a str>>,
    actor_name: Vec<Option<&'a str>>,
    auth_method: Vec<Option<&'a str>>,
    credential_id: Vec<Option<&'a str>>,
    on_behalf_of: Vec<Option<&'a str>>,
    peer_address: Vec<Option<IpAddr>>,
    service: Vec<Option<&'a str>>,
    captured: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(events: impl Iterator<Item = &'a AuditEvent>) -> Self {
        let mut columns = Self::default();
        for event in events {
            columns.push(event);
        }
        columns
    }

    fn push(&mut self, event: &'a AuditEvent) {
        let actor = event.actor();
        self.id.push(event.id().as_uuid());
        self.actor_id.push(actor.id());
        self.actor_type.push(actor.kind().as_str());
        self.action.push(event.action());
        self.target_type.push(event.target().kind());
        self.target_id.push(event.target().id());
        self.metadata.push(crate::columns::metadata_text(event));
        self.ip_address.push(event.ip_address());
        self.user_agent.push(event.user_agent());
        self.created_at.push(event.created_at());
        self.outcome.push(event.outcome().as_str());
        self.reason.push(event.reason());
        self.status
            .push(event.status().and_then(|status| i16::try_from(status).ok()));
        self.method.push(event.method());
        self.route.push(event.route());
        self.path.push(event.path());
        self.duration_us.push(crate::columns::duration_us(event));
        self.request_id.push(event.request_id());
        self.trace_id.push(event.trace_id());
        self.tenant_id.push(event.tenant_id());
        self.actor_name.push(actor.display_name());
        self.auth_method.push(actor.method());
        self.credential_id.push(actor.credential());
        self.on_behalf_of.push(actor.principal());
        self.peer_address.push(event.peer_address());
        self.service.push(event.service());
        self.captured.push(crate::columns::captured_text(event));
    }

    /// Binds in the order of [`WRITTEN`](crate::columns::WRITTEN).
    fn bind(
        self,
        insert: Query<'_, Postgres, sqlx::postgres::PgArguments>,
    ) -> Query<'_, Postgres, sqlx::postgres::PgArguments> {
        insert
            .bind(self.id)
            .bind(self.actor_id)
            .bind(self.actor_type)
            .bind(self.action)
            .bind(self.target_type)
            .bind(self.target_id)
            .bind(self.metadata)
            .bind(self.ip_address)
            .bind(self.user_agent)
            .bind(self.created_at)
            .bind(self.outcome)
            .bind(self.reason)
            .bind(self.status)
            .bind(self.method)
            .bind(self.route)
            .bind(self.path)
            .bind(self.duration_us)
            .bind(self.request_id)
            .bind(self.trace_id)
            .bind(self.tenant_id)
            .bind(self.actor_name)
            .bind(self.auth_method)
            .bind(self.credential_id)
            .bind(self.on_behalf_of)
            .bind(self.peer_address)
            .bind(self.service)
            .bind(self.captured)
    }
}
