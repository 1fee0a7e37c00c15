//! Reads trails, and what they add up to.

use std::{collections::BTreeMap, time::Instant};

use chrono::NaiveDate;
use sqlx::{Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow, types::Json};
use tower_audit_core::{EventId, PageSize, store::StoreStatus};

use crate::{
    Analytics, Costs, Currency, Days, MessageId, Tally, Trail, TrailCursor, TrailPage,
    slowest::Slowest,
    sql::{counts, message_id, trails},
    store::NAMED,
};

pub(super) async fn check(pool: &SqlitePool) -> sqlx::Result<StoreStatus> {
    let mut connection = pool.acquire().await?;
    let begun = Instant::now();
    let ready = "SELECT 1 FROM ai_trails_settings LEFT JOIN ai_trails ON false";
    sqlx::query(ready).fetch_one(&mut *connection).await?;
    Ok(StoreStatus::new(begun.elapsed(), None))
}

pub(super) async fn get(pool: &SqlitePool, message_id: &MessageId) -> sqlx::Result<Option<Trail>> {
    let found = sqlx::query("SELECT message_id, state FROM ai_trails WHERE message_id = ?1");
    let found = found.bind(message_id.as_str()).fetch_optional(pool).await?;
    Ok(trails(&found)?.pop())
}

pub(super) async fn list(
    pool: &SqlitePool,
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
            .bind(cursor.started_at().timestamp_micros())
            .bind(cursor.message_id().as_str()),
    };
    Ok(TrailPage::cut(trails(&rows.fetch_all(pool).await?)?, size))
}

pub(super) async fn of_event(
    pool: &SqlitePool,
    event_id: EventId,
    size: PageSize,
) -> sqlx::Result<Vec<Trail>> {
    let rows = sqlx::query(OF_EVENT)
        .bind(event_id.to_string())
        .bind(i64::from(size.events()));
    trails(&rows.fetch_all(pool).await?)
}

pub(super) async fn projects(
    pool: &SqlitePool,
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
    pool: &SqlitePool,
    project_id: &str,
    days: Days,
) -> sqlx::Result<Analytics> {
    let (first, last) = days.within();
    let mut tx = pool.begin().await?;
    let of = |sql| sqlx::query(sql).bind(project_id).bind(first).bind(last);
    let rows = of(TALLIES).fetch_all(&mut *tx).await?;
    let mut at_most = BTreeMap::<NaiveDate, i64>::new();
    let mut tallies = BTreeMap::<(NaiveDate, &str), Tally>::new();
    for row in &rows {
        let day = row.try_get("day")?;
        let most = at_most.entry(day).or_default();
        *most = row.try_get::<i64, _>("slowest_micros")?.max(*most);
        tallies.insert((day, row.try_get("model")?), tally(row)?);
    }
    let tallies = tallies.iter();
    let mut analytics = Analytics::sum(tallies.map(|((day, model), tally)| (*day, *model, tally)));
    let (from, until) = days.around();
    let recent = of(RECENT)
        .bind(NAMED_ROWS)
        .bind(from.timestamp_micros())
        .bind(until.timestamp_micros());
    analytics.recent = trails(&recent.fetch_all(&mut *tx).await?)?;
    analytics.slowest = slowest(&mut tx, project_id, at_most).await?;
    tx.rollback().await?;
    Ok(analytics)
}

/// Reads a row of tallies.
pub(super) fn tally(row: &SqliteRow) -> sqlx::Result<Tally> {
    let mut tally = counts(row)?;
    let Json(costs) = row.try_get::<Json<BTreeMap<Currency, Costs>>, _>("costs")?;
    let costs = costs.into_iter();
    tally.costs = costs.map(|(of, costs)| (of, costs.normalized())).collect();
    Ok(tally)
}

/// Returns the calls of these days that took longest, the slowest first.
async fn slowest(
    connection: &mut SqliteConnection,
    project_id: &str,
    at_most: BTreeMap<NaiveDate, i64>,
) -> sqlx::Result<Vec<Trail>> {
    let mut slowest = Slowest::new(at_most);
    loop {
        let days = slowest.days();
        if days.is_empty() {
            break;
        }
        let of_days = sqlx::query(SLOWEST)
            .bind(project_id)
            .bind(Json(days))
            .bind(NAMED_ROWS);
        let rows = of_days.fetch_all(&mut *connection).await?;
        let found = rows
            .iter()
            .map(|row| Ok((row.try_get("latency_micros")?, message_id(row)?)));
        slowest.add(found.collect::<sqlx::Result<_>>()?);
    }
    let rows = sqlx::query(THESE).bind(Json(slowest.ids()));
    let mut found = trails(&rows.fetch_all(connection).await?)?;
    Slowest::sort(&mut found);
    Ok(found)
}

#[expect(clippy::cast_possible_wrap, reason = "they are ten")]
const NAMED_ROWS: i64 = NAMED as i64;

const NEWEST: &str = "SELECT message_id, state FROM ai_trails WHERE project_id = ?1 \
     ORDER BY started_micros DESC, message_id DESC LIMIT ?2";

const OLDER: &str = "SELECT message_id, state FROM ai_trails WHERE project_id = ?1 AND (started_micros, message_id) < (?3, ?4) \
     ORDER BY started_micros DESC, message_id DESC LIMIT ?2";

const OF_EVENT: &str = "SELECT message_id, state FROM ai_trails WHERE audit_id = ?1 ORDER BY started_micros, message_id LIMIT ?2";

/// From one project to the next, whatever lies between.
macro_rules! projects {
    ($first:literal) => {
        concat!(
            "WITH RECURSIVE p AS (SELECT min(project_id) AS id FROM ai_trails_tallies",
            $first,
            " UNION ALL SELECT (SELECT min(t.project_id) FROM ai_trails_tallies AS t WHERE t.project_id > p.id) FROM p WHERE p.id IS NOT NULL) \
             SELECT id FROM p WHERE id IS NOT NULL LIMIT ?1"
        )
    };
}

const PROJECTS: &str = projects!("");

const PROJECTS_AFTER: &str = projects!(" WHERE project_id > ?2");

const TALLIES: &str = "SELECT * FROM ai_trails_tallies WHERE project_id = ?1 AND day BETWEEN ?2 AND ?3 AND calls <> 0";

const RECENT: &str = "SELECT message_id, state FROM ai_trails WHERE project_id = ?1 AND day BETWEEN ?2 AND ?3 \
     AND started_micros >= ?5 AND started_micros < ?6 ORDER BY started_micros DESC, message_id DESC LIMIT ?4";

/// Of each day the slowest first, from the index alone, so that no day is looked through.
const SLOWEST: &str = "\
SELECT c.value ->> 0 AS message_id, c.value ->> 1 AS latency_micros
FROM json_each(?2) AS d, json_each((
    SELECT json_group_array(json_array(s.message_id, s.latency_micros)) FROM (
        SELECT message_id, latency_micros FROM ai_trails
        WHERE project_id = ?1 AND day = d.value AND latency_micros IS NOT NULL ORDER BY latency_micros DESC LIMIT ?3) AS s)) AS c
ORDER BY 2 DESC LIMIT ?3";

const THESE: &str =
    "SELECT message_id, state FROM ai_trails WHERE message_id IN (SELECT value FROM json_each(?1))";
