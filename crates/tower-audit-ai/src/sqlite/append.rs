//! Writes changes, gives trails up, and deletes them. SQLite has one writer at a time: nothing happens in between.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection, SqlitePool, types::Json};

use crate::{
    MessageId, Tally, TrailChange,
    kept::{Kept, around, is_too_late, is_whole},
    record::{State, given_up},
    sql::{said, trails, unreadable},
    tally::{Delta, TallyKey, note},
};

/// Writes a batch in one transaction: what was said of each trail is joined with what is there, and what that changes is added up.
pub(super) async fn append(pool: &SqlitePool, batch: &[TrailChange]) -> sqlx::Result<()> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    write(&mut tx, batch).await?;
    tx.commit().await
}

async fn write(connection: &mut SqliteConnection, batch: &[TrailChange]) -> sqlx::Result<()> {
    let (zone, too_late) = settings(connection).await?;
    let ids: Vec<&MessageId> = batch.iter().map(TrailChange::message_id).collect();
    let before = there(connection, &ids).await?;
    let mut states = before.clone();
    for change in batch {
        let state = states.entry(change.message_id().clone()).or_default();
        state.apply(change);
    }
    let (mut deltas, mut gone) = (BTreeMap::new(), Vec::new());
    states.retain(|id, after| {
        let before = before.get(id);
        let trail_before = before.and_then(|state| state.trail(id));
        if trail_before.is_none() && is_too_late(after, too_late) {
            gone.push(id.clone());
            return false;
        }
        let trail_after = after.trail(id);
        note(
            &mut deltas,
            trail_before.as_ref(),
            trail_after.as_ref(),
            zone,
        );
        before != Some(after)
    });
    let kept = states.iter();
    let kept: Vec<Kept<'_>> = kept.map(|(id, state)| Kept::new(id, state, zone)).collect();
    for (statement, rows) in [
        (UPSERT, serde_json::to_string(&kept)),
        (FORGET, serde_json::to_string(&gone)),
    ] {
        let rows = rows.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        sqlx::query(statement)
            .bind(rows)
            .execute(&mut *connection)
            .await?;
    }
    add_up(connection, deltas).await
}

/// Counts the trails of each day again of which all are there.
pub(super) async fn recount(pool: &SqlitePool) -> sqlx::Result<u64> {
    let days: Vec<NaiveDate> = sqlx::query_scalar(DAYS).fetch_all(pool).await?;
    let mut counted = 0;
    for day in days {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        let (zone, too_late) = settings(&mut tx).await?;
        if !is_whole(day, zone, too_late) {
            continue;
        }
        let forget = sqlx::query("DELETE FROM ai_trails_tallies WHERE day = ?1").bind(day);
        forget.execute(&mut *tx).await?;
        let deltas = count(&mut tx, day, zone).await?;
        add_up(&mut tx, deltas).await?;
        tx.commit().await?;
        counted += 1;
    }
    Ok(counted)
}

/// Returns what the trails of a day add up to.
async fn count(
    connection: &mut SqliteConnection,
    day: NaiveDate,
    zone: Tz,
) -> sqlx::Result<BTreeMap<TallyKey, Delta>> {
    let (from, until) = around(day);
    let of_day = sqlx::query(OF_DAY)
        .bind(day)
        .bind(from.timestamp_micros())
        .bind(until.timestamp_micros());
    let mut deltas = BTreeMap::new();
    let mut rows = of_day.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let (id, state) = said(&row)?;
        note(&mut deltas, None, state.trail(&id).as_ref(), zone);
    }
    Ok(deltas)
}

/// Returns whose days are counted, and before when no trail is taken.
pub(super) async fn settings(
    connection: &mut SqliteConnection,
) -> sqlx::Result<(Tz, DateTime<Utc>)> {
    let settings = "SELECT zone, too_late_micros FROM ai_trails_settings";
    let settings = sqlx::query(settings).fetch_one(connection).await?;
    let zone: &str = settings.try_get("zone")?;
    let too_late = DateTime::from_timestamp_micros(settings.try_get("too_late_micros")?);
    let too_late = too_late.unwrap_or(DateTime::<Utc>::MIN_UTC);
    Ok((zone.parse().map_err(unreadable)?, too_late))
}

/// Returns what is known of these trails.
async fn there(
    connection: &mut SqliteConnection,
    ids: &[&MessageId],
) -> sqlx::Result<BTreeMap<MessageId, State>> {
    let there = "SELECT message_id, state FROM ai_trails WHERE message_id IN (SELECT value FROM json_each(?1))";
    let rows = sqlx::query(there)
        .bind(Json(ids))
        .fetch_all(connection)
        .await?;
    rows.iter().map(said).collect()
}

/// A row of tallies.
#[derive(Serialize)]
struct Sum<'a> {
    project_id: &'a str,
    day: NaiveDate,
    model: &'a str,
    #[serde(flatten)]
    tally: Tally,
    slowest_micros: i64,
}

/// Adds what the batch changes to what there was.
async fn add_up(
    connection: &mut SqliteConnection,
    mut deltas: BTreeMap<TallyKey, Delta>,
) -> sqlx::Result<()> {
    deltas.retain(|_, delta| !delta.is_zero());
    let mut sums = Vec::new();
    for (key, more) in &deltas {
        let there = sqlx::query(TALLY)
            .bind(&key.project_id)
            .bind(key.day)
            .bind(&key.model);
        let there = there.fetch_optional(&mut *connection).await?;
        let (mut tally, mut slowest_micros) = match &there {
            Some(row) => (super::read::tally(row)?, row.try_get("slowest_micros")?),
            None => (Tally::default(), 0),
        };
        tally += &more.tally;
        slowest_micros = more.slowest_micros.max(slowest_micros);
        sums.push(Sum {
            project_id: &key.project_id,
            day: key.day,
            model: &key.model,
            tally,
            slowest_micros,
        });
    }
    sqlx::query(SUMS)
        .bind(Json(sums))
        .execute(connection)
        .await?;
    Ok(())
}

/// Gives up calls that nobody has ended; returns how many.
pub(super) async fn reap(pool: &SqlitePool, created_before: DateTime<Utc>) -> sqlx::Result<u64> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let pending = "SELECT message_id, state FROM ai_trails WHERE status = 'pending' AND started_micros < ?1 \
         ORDER BY started_micros LIMIT ?2";
    let rows = sqlx::query(pending)
        .bind(created_before.timestamp_micros())
        .bind(AT_ONCE)
        .fetch_all(&mut *tx)
        .await?;
    let changes: Vec<TrailChange> = trails(&rows)?.iter().map(given_up).collect();
    write(&mut tx, &changes).await?;
    tx.commit().await?;
    Ok(u64::try_from(changes.len()).unwrap_or(u64::MAX))
}

/// Deletes what is old, but for calls on their way; returns how many trails.
pub(super) async fn cleanup(pool: &SqlitePool, older_than: DateTime<Utc>) -> sqlx::Result<u64> {
    let cutoff = older_than.timestamp_micros();
    let from_now = "UPDATE ai_trails_settings SET too_late_micros = max(too_late_micros, ?1)";
    let from_now = sqlx::query(from_now).bind(cutoff).execute(pool).await?;
    if from_now.rows_affected() == 0 {
        return Err(sqlx::Error::RowNotFound);
    }
    let mut deleted = 0;
    loop {
        let batch: Vec<bool> = sqlx::query_scalar(DELETE)
            .bind(cutoff)
            .bind(AT_ONCE)
            .fetch_all(pool)
            .await?;
        if batch.is_empty() {
            return Ok(deleted);
        }
        let trails = batch.iter().filter(|is_trail| **is_trail).count();
        deleted += u64::try_from(trails).unwrap_or(u64::MAX);
    }
}

/// The days of all trails, and those that have sums.
const DAYS: &str = "SELECT DISTINCT day FROM ai_trails WHERE day IS NOT NULL UNION SELECT day FROM ai_trails_tallies";

const OF_DAY: &str = "SELECT message_id, state FROM ai_trails WHERE day = ?1 AND age_micros >= ?2 AND age_micros < ?3";

const FORGET: &str = "DELETE FROM ai_trails WHERE message_id IN (SELECT value FROM json_each(?1))";

/// The WHERE is for the parser, which would take the conflict for a join.
const UPSERT: &str = "\
INSERT INTO ai_trails (message_id, state, project_id, status, started_micros, ended_micros, day, latency_micros, computed_currency, computed_cost, age_micros)
SELECT value ->> 'message_id', value -> 'state', value ->> 'project_id', value ->> 'status', value ->> 'started_micros', value ->> 'ended_micros', value ->> 'day',
    value ->> 'latency_micros', value ->> 'computed_currency', value ->> 'computed_cost', value ->> 'age_micros'
FROM json_each(?1) WHERE true
ON CONFLICT (message_id) DO UPDATE SET state = excluded.state, project_id = excluded.project_id, status = excluded.status, started_micros = excluded.started_micros,
    ended_micros = excluded.ended_micros, day = excluded.day, latency_micros = excluded.latency_micros,
    computed_currency = excluded.computed_currency, computed_cost = excluded.computed_cost, age_micros = excluded.age_micros";

const TALLY: &str =
    "SELECT * FROM ai_trails_tallies WHERE project_id = ?1 AND day = ?2 AND model = ?3";

const SUMS: &str = "\
INSERT OR REPLACE INTO ai_trails_tallies (project_id, day, model, calls, completed, failed, unknown, prompt_tokens, completion_tokens,
    total_tokens, cached_tokens, reasoning_tokens, ended, latency_micros, slowest_micros, costs)
SELECT value ->> 'project_id', value ->> 'day', value ->> 'model', value ->> 'calls', value ->> 'completed', value ->> 'failed',
    value ->> 'unknown', value ->> 'prompt_tokens', value ->> 'completion_tokens', value ->> 'total_tokens', value ->> 'cached_tokens',
    value ->> 'reasoning_tokens', value ->> 'ended', value ->> 'latency_micros', value ->> 'slowest_micros', value -> 'costs'
FROM json_each(?1)";

const DELETE: &str = "\
DELETE FROM ai_trails WHERE message_id IN (
    SELECT message_id FROM ai_trails WHERE age_micros < ?1 AND status IS NOT 'pending' ORDER BY age_micros LIMIT ?2)
RETURNING project_id IS NOT NULL";

/// How many rows a transaction has: nobody waits for long.
const AT_ONCE: i64 = 1_000;
