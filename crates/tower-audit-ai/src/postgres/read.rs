//! Reads trails, and what they add up to.

use std::{collections::BTreeMap, time::Instant};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use sqlx::{PgPool, Row as _, postgres::PgRow, types::Json};
use tower_audit_core::{PageSize, store::StoreStatus};

use crate::{
    Analytics, Currency, Days, MessageId, Tally, Trail, TrailCursor, TrailPage, record::State,
    store::NAMED, tally::COUNTS,
};

pub(super) async fn check(pool: &PgPool) -> sqlx::Result<StoreStatus> {
    let mut connection = pool.acquire().await?;
    let begun = Instant::now();
    let ready = "SELECT 1 FROM control_plane.ai_trails_settings AS s LEFT JOIN control_plane.ai_trails AS t ON false";
    sqlx::query(ready).fetch_one(&mut *connection).await?;
    Ok(StoreStatus::new(begun.elapsed(), None))
}

pub(super) async fn get(pool: &PgPool, message_id: &MessageId) -> sqlx::Result<Option<Trail>> {
    let found =
        sqlx::query("SELECT message_id, state FROM control_plane.ai_trails WHERE message_id = $1");
    let found = found.bind(message_id.as_str()).fetch_optional(pool).await?;
    Ok(found.as_ref().map(trail).transpose()?.flatten())
}

pub(super) async fn list(
    pool: &PgPool,
    project_id: &str,
    older_than: Option<&TrailCursor>,
    size: PageSize,
) -> sqlx::Result<TrailPage> {
    let limit = i64::from(size.events()) + 1;
    let rows = match older_than {
        None => sqlx::query(NEWEST).bind(project_id).bind(limit),
        Some(cursor) => sqlx::query(OLDER)
            .bind(project_id)
            .bind(limit)
            .bind(cursor.started_at())
            .bind(cursor.message_id().as_str()),
    };
    Ok(TrailPage::cut(trails(&rows.fetch_all(pool).await?)?, size))
}

pub(super) async fn projects(
    pool: &PgPool,
    after: Option<&str>,
    size: PageSize,
) -> sqlx::Result<Vec<String>> {
    let projects = match after {
        None => sqlx::query_scalar(PROJECTS).bind(i64::from(size.events())),
        Some(after) => sqlx::query_scalar(PROJECTS_AFTER)
            .bind(i64::from(size.events()))
            .bind(after),
    };
    projects.fetch_all(pool).await
}

pub(super) async fn analytics(
    pool: &PgPool,
    project_id: &str,
    days: Days,
) -> sqlx::Result<Analytics> {
    let mut analytics = Analytics::default();
    let (mut by_day, mut by_model) = (BTreeMap::new(), BTreeMap::new());
    let (first, last) = days.within();
    let mut tx = pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let of = |sql| sqlx::query(sql).bind(project_id).bind(first).bind(last);
    let mut rows = of(TALLIES).fetch_all(&mut *tx).await?;
    rows.extend(of(COSTS).fetch_all(&mut *tx).await?);
    for row in &rows {
        let tally = tally(row)?;
        let (day, model): (NaiveDate, String) = (row.try_get("day")?, row.try_get("model")?);
        analytics.total += &tally;
        *by_day.entry(day).or_insert_with(Tally::default) += &tally;
        *by_model.entry(model).or_insert_with(Tally::default) += &tally;
    }
    analytics.by_day = by_day.into_iter().collect();
    analytics.by_model = by_model.into_iter().collect();
    let named = i64::try_from(NAMED).unwrap_or(i64::MAX);
    analytics.recent = trails(&of(RECENT).bind(named).fetch_all(&mut *tx).await?)?;
    analytics.slowest = trails(&of(SLOWEST).bind(named).fetch_all(&mut *tx).await?)?;
    tx.rollback().await?;
    Ok(analytics)
}

/// Reads a row of tallies, or one of costs, which has none of the other's columns.
fn tally(row: &PgRow) -> sqlx::Result<Tally> {
    let mut tally = Tally::default();
    if let Some(currency) = row.try_get::<Option<&str>, _>("currency")? {
        let currency: Currency = currency
            .parse()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let costs = tally.costs.entry(currency).or_default();
        costs.claimed = row.try_get::<Decimal, _>("claimed")?.normalize();
        costs.computed = row.try_get::<Decimal, _>("computed")?.normalize();
        return Ok(tally);
    }
    for (column, count) in COUNTS.into_iter().zip(tally.counts_mut()) {
        *count = row.try_get(column)?;
    }
    Ok(tally)
}

fn trails(rows: &[PgRow]) -> sqlx::Result<Vec<Trail>> {
    rows.iter()
        .filter_map(|row| trail(row).transpose())
        .collect()
}

fn trail(row: &PgRow) -> sqlx::Result<Option<Trail>> {
    let id: &str = row.try_get("message_id")?;
    let id = id
        .parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let Json(state): Json<State> = row.try_get("state")?;
    Ok(state.trail(&id))
}

const NEWEST: &str = "SELECT message_id, state FROM control_plane.ai_trails WHERE project_id = $1 \
     ORDER BY started_at DESC, message_id DESC LIMIT $2";

const OLDER: &str = "SELECT message_id, state FROM control_plane.ai_trails \
     WHERE project_id = $1 AND (started_at, message_id) < ($3, $4) \
     ORDER BY started_at DESC, message_id DESC LIMIT $2";

/// From one project to the next, whatever lies between.
macro_rules! projects {
    ($first:literal) => {
        concat!(
            "WITH RECURSIVE p AS (SELECT min(project_id) AS id FROM control_plane.ai_trails_tallies",
            $first,
            " UNION ALL SELECT (SELECT min(t.project_id) FROM control_plane.ai_trails_tallies AS t WHERE t.project_id > p.id) FROM p WHERE p.id IS NOT NULL) \
             SELECT id FROM p WHERE id IS NOT NULL LIMIT $1"
        )
    };
}

const PROJECTS: &str = projects!("");

const PROJECTS_AFTER: &str = projects!(" WHERE project_id > $2");

const TALLIES: &str = "SELECT *, NULL AS currency FROM control_plane.ai_trails_tallies \
     WHERE project_id = $1 AND day BETWEEN $2 AND $3 AND calls <> 0";

const COSTS: &str = "SELECT * FROM control_plane.ai_trails_costs WHERE project_id = $1 AND day BETWEEN $2 AND $3 AND (claimed, computed) <> (0, 0)";

const RECENT: &str = "SELECT message_id, state FROM control_plane.ai_trails WHERE project_id = $1 AND day BETWEEN $2 AND $3 \
     ORDER BY started_at DESC, message_id DESC LIMIT $4";

/// Of each day the slowest first, from the index alone, so that no day is looked through; and then the rows of those that are told.
const SLOWEST: &str = "SELECT t.message_id, t.state FROM (SELECT s.message_id, s.latency_micros \
     FROM (SELECT DISTINCT day FROM control_plane.ai_trails_tallies WHERE project_id = $1 AND day BETWEEN $2 AND $3) AS d, \
     LATERAL (SELECT t.message_id, t.latency_micros FROM control_plane.ai_trails AS t \
         WHERE t.project_id = $1 AND t.day = d.day AND t.latency_micros IS NOT NULL ORDER BY t.latency_micros DESC LIMIT $4) AS s \
     ORDER BY s.latency_micros DESC LIMIT $4) AS s JOIN control_plane.ai_trails AS t USING (message_id) \
     ORDER BY s.latency_micros DESC, t.started_at DESC";
