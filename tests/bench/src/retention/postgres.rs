//! What is measured in Postgres.

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Months, Utc};
use sqlx::PgPool;
use tower_audit::{
    Actor, AuditEvent, EventWriter as _, PgStore, Target,
    partitions::{Conversion, Layout, Period},
};
use xtask::rows::{FIRST_SECOND, SECONDS_APART};

use super::{Scope, figures::Line, load::Load, prune::pruned, server::Server, writer::Appends};
use crate::reading::fill_postgres;

/// Measures a conversion, and the retention by batches and by partitions.
pub(super) async fn measure(scope: &Scope, lines: &mut Vec<Line>) -> anyhow::Result<()> {
    let server = Server::start().await?;
    println!("\nPostgres, a plain table of {} rows", scope.postgres_rows);
    let plain = server.create("plain", "template0").await?;
    fill_postgres(&plain, scope.postgres_rows).await?;
    plain.close().await;
    // A copy of the files is made much sooner than the same rows once more.
    let copy = server.create("converted", "plain").await?;
    lines.push(converted(copy.clone(), scope).await?);
    server.remove("converted", &copy).await?;
    let plain = server.connect("plain").await?;
    let store = PgStore::new(plain.clone());
    let (rows, alone) = (scope.postgres_rows, scope.alone);
    lines.push(pruned("Postgres, by batches", &store, rows, alone).await?);
    server.remove("plain", &plain).await?;
    println!("\nPostgres, a table of {rows} rows in months");
    let months = server.create("months", "template0").await?;
    lines.push(by_partitions(&months, scope).await?);
    Ok(())
}

/// Makes partitions of a plain table while a writer goes on.
async fn converted(pool: PgPool, scope: &Scope) -> anyhow::Result<Line> {
    let name = "Postgres, to partitions";
    println!("{name}: the writer alone, and then the conversion");
    let store = PgStore::new(pool);
    let alone = Appends::during(&store, scope.alone).await?;
    let before = rows_once(&store).await?;
    let work = store.convert(Conversion::to(Period::Monthly));
    let ((), load) = Load::during(&store, work).await?;
    let after = rows_once(&store).await?;
    let partitions = store.partitions().await?.len();
    ensure!(partitions > 1, "there are no partitions");
    let appended = load.appends.rows;
    ensure!(
        after == before + appended,
        "of {before} rows and the {appended} that were appended {after} are there"
    );
    Ok(Line {
        name,
        rows: before,
        took: load.took,
        alone,
        meanwhile: load.appends,
        locks: load.locks,
        note: format!(
            "{before} rows before and {after} after, in {partitions} partitions, no id of them twice"
        ),
    })
}

/// Counts the rows, and makes sure that none is there twice.
async fn rows_once(store: &PgStore) -> anyhow::Result<u64> {
    let (rows, ids): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT id) FROM control_plane.audit_logs")
            .fetch_one(store.pool())
            .await?;
    ensure!(rows == ids, "{rows} rows have {ids} ids");
    Ok(rows.try_into()?)
}

/// Lets go of the same rows as a run by batches does, where they are in months.
async fn by_partitions(pool: &PgPool, scope: &Scope) -> anyhow::Result<Line> {
    let layout = Layout::Partitioned(Period::Monthly);
    let store = PgStore::builder(pool.clone()).layout(layout).build()?;
    tower_audit::migrate(&store).await?;
    // It is empty, and has all of the time before this month, as one partition.
    sqlx::raw_sql("DROP TABLE control_plane.audit_logs_first")
        .execute(pool)
        .await?;
    // A row that finds no partition gets one, if the store writes it.
    store.append(&one_a_month(scope.postgres_rows)?).await?;
    fill_postgres(pool, scope.postgres_rows).await?;
    let there = store.partitions().await?.len();
    let name = "Postgres, by partitions";
    let line = pruned(name, &store, scope.postgres_rows, scope.alone).await?;
    let left = store.partitions().await?.len();
    ensure!(left < there, "no partition was dropped");
    Ok(line)
}

/// Returns an event for the begin of each month of a trail of so many rows.
fn one_a_month(rows: u64) -> anyhow::Result<Vec<AuditEvent>> {
    let (first, end) = (FIRST_SECOND, FIRST_SECOND + rows * SECONDS_APART);
    let (mut begin, end) = (at(first)?, at(end)?);
    let mut events = Vec::new();
    while begin < end {
        let event =
            AuditEvent::builder(Actor::system(), "project.update", Target::new("project", 7));
        events.push(event.created_at(begin).build());
        begin = begin
            .checked_add_months(Months::new(1))
            .context("the trail is too long")?;
    }
    Ok(events)
}

fn at(second: u64) -> anyhow::Result<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(second)?, 0).context("the trail is too long")
}
