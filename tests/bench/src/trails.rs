//! How long it takes to find one of very many trails, and what a project's calls add up to.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tower_audit::PageSize;
use tower_audit_ai::{
    Cost, Currency, Days, PgTrails, SqliteTrails, Trail, TrailStore, Trails, Update, Usage,
};
use xtask::postgres::{Cluster, Commits};

/// Runs a command about trails.
pub(crate) fn command(arguments: &[&str]) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        match *arguments {
            [] => {
                postgres(10_000_000, 1_000).await?;
                sqlite(10_000_000, 1_000).await
            }
            ["--quick"] => {
                postgres(200_000, 200).await?;
                sqlite(200_000, 200).await
            }
            ["postgres", rows, repeats] => postgres(rows.parse()?, repeats.parse()?).await,
            ["sqlite", rows, repeats] => sqlite(rows.parse()?, repeats.parse()?).await,
            _ => anyhow::bail!("usage: cargo xtask trails [--quick]"),
        }
    })
}

async fn postgres(rows: u64, repeats: u32) -> anyhow::Result<()> {
    let cluster = Cluster::start(Commits::AreFast)?;
    let pool = PgPoolOptions::new().connect(&cluster.url()).await?;
    let store = PgTrails::new(pool.clone());
    store.migrate().await?;
    fill_postgres(&pool, &template(store.clone()).await?, rows).await?;
    table("Postgres", &store, rows, repeats).await
}

async fn sqlite(rows: u64, repeats: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("trails.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().connect_with(options).await?;
    let store = SqliteTrails::new(pool.clone());
    store.migrate().await?;
    fill_sqlite(&pool, &template(store.clone()).await?, rows).await?;
    table("SQLite", &store, rows, repeats).await
}

/// The times of a real trail, of which the others are made.
struct Template {
    started: i64,
    ended: i64,
}

const MESSAGE: &str = "template";

/// Records one trail.
async fn template(store: impl TrailStore + Clone) -> anyhow::Result<Template> {
    let trails = Trails::builder(store.clone()).keep_everything().start();
    let placeholder = Trail::placeholder(MESSAGE, "@project@", "@model@")?;
    trails.begin(placeholder.context_layers(3).request_id("request-1"));
    let id = MESSAGE.parse()?;
    let cost = Cost::new(Currency::USD, "0.0036".parse()?, "0.0045".parse()?)?;
    let thought = vec!["it was asked for this, so that has to be done first".to_owned(); 3];
    trails.complete(
        &id,
        Usage::new(1_200, 300).cached(1_000),
        Some(cost),
        thought,
    );
    trails.update(&id, Update::new().served_model("@served@"));
    trails.flush().await;
    let trail = trails.get(&id).await?.context("it is not there")?;
    Ok(Template {
        started: trail.started_at.timestamp_micros(),
        ended: trail
            .ended_at
            .context("it has not ended")?
            .timestamp_micros(),
    })
}

async fn fill_postgres(pool: &PgPool, template: &Template, rows: u64) -> anyhow::Result<()> {
    let state = "DELETE FROM control_plane.ai_trails WHERE message_id = $1 RETURNING state::text";
    let state: String = sqlx::query_scalar(state)
        .bind(MESSAGE)
        .fetch_one(pool)
        .await?;
    let begun = Instant::now();
    for first in (0..rows).step_by(STEP) {
        let fill = "INSERT INTO control_plane.ai_trails (message_id, state, status, started_at, ended_at, day, latency_micros, age) \
            SELECT 'msg-' || g, replace(replace(replace(replace(replace($1, '@project@', 'project-' || (g % $4)), '@model@', 'model-' || (g % 5)), \
                    '@served@', 'model-' || (g % 5)), $2, s::text), $3, (s + latency)::text)::jsonb, \
                'completed', to_timestamp(s / 1000000.0), to_timestamp((s + latency) / 1000000.0), \
                (to_timestamp(s / 1000000.0) AT TIME ZONE 'UTC')::date, latency, to_timestamp(s / 1000000.0) \
            FROM generate_series($5::bigint, $6::bigint) AS g, LATERAL (SELECT $7::bigint + g * $8::bigint AS s, 1000 * (g * 7919 % 60000) AS latency) AS t";
        sqlx::query(fill)
            .bind(&state)
            .bind(template.started.to_string())
            .bind(template.ended.to_string())
            .bind(PROJECTS)
            .bind(i64::try_from(first)?)
            .bind(i64::try_from(rows.min(first + STEP as u64))? - 1)
            .bind(FIRST.timestamp_micros())
            .bind(apart(rows)?)
            .execute(pool)
            .await?;
        said(first, begun)?;
    }
    sqlx::raw_sql("VACUUM (ANALYZE) control_plane.ai_trails")
        .execute(pool)
        .await?;
    println!(
        "\nfilled and vacuumed after {} s",
        begun.elapsed().as_secs()
    );
    Ok(())
}

async fn fill_sqlite(pool: &SqlitePool, template: &Template, rows: u64) -> anyhow::Result<()> {
    let state = "DELETE FROM ai_trails WHERE message_id = ?1 RETURNING state";
    let state: String = sqlx::query_scalar(state)
        .bind(MESSAGE)
        .fetch_one(pool)
        .await?;
    let begun = Instant::now();
    for first in (0..rows).step_by(STEP) {
        let fill = "WITH RECURSIVE n (g) AS (SELECT ?5 UNION ALL SELECT g + 1 FROM n WHERE g < ?6), \
                t AS (SELECT g, ?7 + g * ?8 AS s, 1000 * (g * 7919 % 60000) AS latency FROM n) \
            INSERT INTO ai_trails (message_id, project_id, state, status, started_micros, ended_micros, day, latency_micros, age_micros) \
            SELECT 'msg-' || g, 'project-' || (g % ?4), replace(replace(replace(replace(replace(?1, '@project@', 'project-' || (g % ?4)), '@model@', 'model-' || (g % 5)), \
                    '@served@', 'model-' || (g % 5)), ?2, s), ?3, s + latency), \
                'completed', s, s + latency, date(s / 1000000, 'unixepoch'), latency, s FROM t";
        sqlx::query(fill)
            .bind(&state)
            .bind(template.started.to_string())
            .bind(template.ended.to_string())
            .bind(PROJECTS)
            .bind(i64::try_from(first)?)
            .bind(i64::try_from(rows.min(first + STEP as u64))? - 1)
            .bind(FIRST.timestamp_micros())
            .bind(apart(rows)?)
            .execute(pool)
            .await?;
        said(first, begun)?;
    }
    println!("\nfilled after {} s", begun.elapsed().as_secs());
    Ok(())
}

/// Returns how many microseconds lie between two calls.
fn apart(rows: u64) -> anyhow::Result<i64> {
    let span = TimeDelta::days(DAYS)
        .num_microseconds()
        .context("too long")?;
    Ok(span / i64::try_from(rows)?)
}

fn said(rows: u64, begun: Instant) -> anyhow::Result<()> {
    print!("\r{rows} trails in {} s ", begun.elapsed().as_secs());
    Ok(std::io::stdout().flush()?)
}

/// Asks each question in turn, and prints how long the answers took.
async fn table(name: &str, store: &impl TrailStore, rows: u64, repeats: u32) -> anyhow::Result<()> {
    let begun = Instant::now();
    let days = store.recount().await?;
    println!(
        "{name}: {days} days of {rows} trails counted in {} s",
        begun.elapsed().as_secs()
    );
    let day = |back: i64| FIRST.date_naive() + TimeDelta::days(DAYS - 1 - back);
    let mut times: [Vec<Duration>; 5] = Default::default();
    for n in 0..u64::from(repeats) {
        // As good as random, and the same each time.
        let random = n.wrapping_mul(6_364_136_223_846_793_005) >> 20;
        let project = format!("project-{}", random % PROJECTS as u64);
        let id = format!("msg-{}", random % rows).parse()?;
        let begun = Instant::now();
        store.get(&id).await?.context("a trail is not there")?;
        times[0].push(begun.elapsed());
        for (which, back) in [(1, 0), (2, 29), (3, 89)] {
            let begun = Instant::now();
            let found = store
                .analytics(&project, Days::new(day(back), day(0)))
                .await?;
            times[which].push(begun.elapsed());
            anyhow::ensure!(
                found.recent.len() == 10 && found.slowest.len() == 10,
                "calls of {project} are missing: {} {} of {} in {back} days",
                found.recent.len(),
                found.slowest.len(),
                found.total.calls
            );
        }
        let begun = Instant::now();
        store.list(&project, None, PageSize::default()).await?;
        times[4].push(begun.elapsed());
    }
    println!("\n| {name}, {rows} trails of {PROJECTS} projects | median | p99 |\n|---|--:|--:|");
    let questions = [
        "`get`",
        "`analytics` of a day",
        "`analytics` of 30 days",
        "`analytics` of 90 days",
        "`list`",
    ];
    for (question, mut times) in questions.into_iter().zip(times) {
        times.sort_unstable();
        let at = |part: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "there are few"
            )]
            let index = ((times.len() - 1) as f64 * part).ceil() as usize;
            times[index].as_secs_f64() * 1_000.0
        };
        println!("| {question} | {:.1} ms | {:.1} ms |", at(0.5), at(0.99));
    }
    println!();
    Ok(())
}

/// How many trails a statement makes.
const STEP: usize = 100_000;
const PROJECTS: i64 = 200;
const DAYS: i64 = 90;
const FIRST: DateTime<Utc> = match NaiveDate::from_ymd_opt(2026, 8, 1) {
    Some(day) => match day.and_hms_opt(0, 0, 0) {
        Some(time) => time.and_utc(),
        None => DateTime::UNIX_EPOCH,
    },
    None => DateTime::UNIX_EPOCH,
};
