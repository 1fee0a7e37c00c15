//! The table that they delete from, what fills it, and the triggers that note who does what.

use std::{
    str::FromStr as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use chrono::{TimeDelta, Utc};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::watch;
use tower_audit::{Actor, AuditEvent, EventWriter as _, PgStore, Target};

use super::{
    pause,
    seen::{Deletion, Take},
};

/// The table, and what can be asked of it; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    pool: PgPool,
    store: PgStore,
}

/// How many rows there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) old: i64,
    pub(super) young: i64,
}

impl Trail {
    /// Makes the table and the triggers, and writes the rows that are too young to go.
    pub(super) async fn make(url: &str) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name(OURS);
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .context("could not reach the database")?;
        tower_audit::migrate(&pool).await?;
        sqlx::raw_sql(TRIGGERS)
            .execute(&pool)
            .await
            .context("could not make the triggers")?;
        let store = PgStore::new(pool.clone());
        let young: Vec<_> = (0..YOUNG).map(young).collect();
        store.append(&young).await?;
        Ok(Self { pool, store })
    }

    /// Returns the pool, whose connections are no contender's.
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Writes the first old rows; returns how many.
    pub(super) async fn fill(&self) -> anyhow::Result<i64> {
        let mut fed = 0;
        while fed < BACKLOG {
            fed += self.write_old(fed).await?;
        }
        Ok(fed)
    }

    /// Goes on writing old rows, so that there is always something to delete, until it is told to stop; returns how many
    /// there were in all.
    pub(super) async fn feed(
        self,
        mut fed: i64,
        stopped: watch::Receiver<bool>,
    ) -> anyhow::Result<i64> {
        while !*stopped.borrow() {
            if fed - self.deleted().await? < BACKLOG {
                fed += self.write_old(fed).await?;
            } else {
                pause(Duration::from_millis(20)).await;
            }
        }
        Ok(fed)
    }

    /// Writes some old rows; returns how many.
    async fn write_old(&self, first: i64) -> anyhow::Result<i64> {
        let rows: Vec<_> = (first..first + STEP).map(old).collect();
        self.store
            .append(&rows)
            .await
            .context("could not write old rows")?;
        Ok(STEP)
    }

    /// Returns how many rows were deleted so far.
    async fn deleted(&self) -> anyhow::Result<i64> {
        let deleted = "SELECT coalesce(sum(deleted), 0)::int8 FROM race_log";
        Ok(sqlx::query_scalar(deleted).fetch_one(&self.pool).await?)
    }

    /// Returns the process that took the lease last.
    pub(super) async fn last_to_take(&self) -> anyhow::Result<Option<String>> {
        let last = "SELECT child FROM race_takes ORDER BY token DESC LIMIT 1";
        Ok(sqlx::query_scalar(last).fetch_optional(&self.pool).await?)
    }

    /// Returns how many contenders have had the lease.
    pub(super) async fn contenders(&self) -> anyhow::Result<i64> {
        let contenders = "SELECT count(DISTINCT split_part(child, '.', 1)) FROM race_takes";
        Ok(sqlx::query_scalar(contenders).fetch_one(&self.pool).await?)
    }

    /// Returns whether somebody waits for a transaction whose process does nothing.
    pub(super) async fn is_held_up(&self) -> anyhow::Result<bool> {
        Ok(sqlx::query_scalar(HELD_UP).fetch_one(&self.pool).await?)
    }

    /// Waits until nobody else is connected: a statement of one that was killed ends by itself.
    pub(super) async fn until_alone(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let others: i64 = sqlx::query_scalar(OTHERS)
                .bind(OURS)
                .fetch_one(&self.pool)
                .await?;
            if others == 0 {
                return Ok(());
            }
            ensure!(
                started.elapsed() < Duration::from_secs(30),
                "{others} connections of processes that are gone do not end"
            );
            pause(Duration::from_millis(10)).await;
        }
    }

    /// Returns how many rows are left.
    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        let (old, young): (i64, i64) = sqlx::query_as(COUNTS).fetch_one(&self.pool).await?;
        Ok(Counts { old, young })
    }

    /// Returns who has taken the lease, in the order of time.
    pub(super) async fn takes(&self) -> anyhow::Result<Vec<Take>> {
        Ok(sqlx::query_as(TAKES).fetch_all(&self.pool).await?)
    }

    /// Returns what was deleted, in the order of time.
    pub(super) async fn deletions(&self) -> anyhow::Result<Vec<Deletion>> {
        Ok(sqlx::query_as(DELETIONS).fetch_all(&self.pool).await?)
    }
}

/// Returns a row that the policy keeps: some are older than the floor.
fn young(number: i64) -> AuditEvent {
    let minutes = number * 59 * 24 * 60 / YOUNG;
    event("young", number, TimeDelta::minutes(minutes))
}

/// Returns a row that is due. A row that is written later may well be older.
fn old(number: i64) -> AuditEvent {
    let seconds = number * 7_919 % (39 * 86_400);
    event(
        "old",
        number,
        TimeDelta::days(61) + TimeDelta::seconds(seconds),
    )
}

fn event(kind: &str, number: i64, age: TimeDelta) -> AuditEvent {
    let target = Target::new(kind, number);
    let event = AuditEvent::builder(Actor::user("feeder"), "thing.update", target);
    event.created_at(Utc::now() - age).build()
}

/// How many rows there are that must stay.
pub(super) const YOUNG: i64 = 1_000;

/// How many rows wait to be deleted, more or less.
const BACKLOG: i64 = 40_000;

/// How many rows are written at once.
const STEP: i64 = 4_000;

/// What our own connections are called.
const OURS: &str = "lease-race";

/// Each connection of a contender says in `race.child` whose it is. What these note is gone if their transaction is.
const TRIGGERS: &str = "
CREATE TABLE public.race_log (
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    pid int NOT NULL DEFAULT pg_backend_pid(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    child text NOT NULL DEFAULT coalesce(current_setting('race.child', true), ''),
    token bigint NOT NULL,
    deleted bigint NOT NULL
);
CREATE FUNCTION public.race_deleted() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    INSERT INTO public.race_log (token, deleted)
        SELECT token, (SELECT count(*) FROM gone) FROM control_plane.audit_logs_retention;
    RETURN NULL;
END
$function$;
CREATE TRIGGER race_deleted AFTER DELETE ON control_plane.audit_logs
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.race_deleted();

CREATE TABLE public.race_takes (
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    child text NOT NULL DEFAULT coalesce(current_setting('race.child', true), ''),
    token bigint NOT NULL,
    holder text NOT NULL,
    lease_before timestamptz NOT NULL
);
CREATE FUNCTION public.race_taken() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    INSERT INTO public.race_takes (token, holder, lease_before)
        VALUES (NEW.token, coalesce(NEW.holder, ''), OLD.leased_until);
    RETURN NULL;
END
$function$;
CREATE TRIGGER race_taken AFTER UPDATE ON control_plane.audit_logs_retention
    FOR EACH ROW WHEN (NEW.token IS DISTINCT FROM OLD.token) EXECUTE FUNCTION public.race_taken();
";

const TAKES: &str =
    "SELECT at, child, token, holder, lease_before FROM race_takes ORDER BY at, token";

const DELETIONS: &str =
    "SELECT at, pid, xid::text AS xid, child, token, deleted FROM race_log ORDER BY at, token";

const COUNTS: &str = "SELECT count(*) FILTER (WHERE target_type = 'old'), count(*) FILTER (WHERE target_type = 'young')
    FROM control_plane.audit_logs";

/// One that is only slow does the next thing within a second.
const HELD_UP: &str = "SELECT EXISTS (
    SELECT FROM pg_stat_activity AS asleep
    WHERE asleep.datname = current_database()
        AND (asleep.state = 'idle in transaction' OR asleep.wait_event = 'ClientWrite')
        AND asleep.state_change < clock_timestamp() - interval '1 second'
        AND EXISTS (
            SELECT FROM pg_stat_activity AS waiting WHERE asleep.pid = ANY (pg_blocking_pids(waiting.pid))
        )
)";

const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> $1";
