//! A run of the retention over a trail that is written to.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use tower_audit::retention::{Keep, Retention, RetentionPolicy, RetentionReport};
use xtask::rows::{FIRST_SECOND, SECONDS_APART};

use super::{
    figures::Line,
    load::{Counted, Load, Trail},
    writer::Appends,
};

/// Lets go of the older nine tenths of so many rows, while a writer goes on.
pub(super) async fn pruned<T: Trail>(
    name: &'static str,
    trail: &T,
    rows: u64,
    alone: Duration,
) -> anyhow::Result<Line> {
    println!("{name}: the writer alone, and then the run");
    let cut = cut(rows)?;
    let alone = Appends::during(trail, alone).await?;
    let before = trail.counted(cut).await?;
    let retention = Retention::builder(policy(cut)?).budget(BUDGET);
    let retention = retention.build(trail.clone());
    let (report, load) = Load::during(trail, retention.run()).await?;
    let after = trail.counted(cut).await?;
    check(before, after, load.appends.rows, &report)?;
    Ok(Line {
        name,
        rows: before.older,
        took: load.took,
        alone,
        meanwhile: load.appends,
        locks: load.locks,
        note: note(before, &report)?,
    })
}

/// Returns the moment before which nine tenths of so many rows are. It lies in the middle between two of them, so that a run
/// that begins some seconds later takes the same ones.
fn cut(rows: u64) -> anyhow::Result<DateTime<Utc>> {
    let second = FIRST_SECOND + rows * 9 / 10 * SECONDS_APART - SECONDS_APART / 2;
    DateTime::from_timestamp(i64::try_from(second)?, 0).context("the trail is too long")
}

/// Returns a policy by which everything before a moment is due now.
fn policy(cut: DateTime<Utc>) -> anyhow::Result<RetentionPolicy> {
    let age = u32::try_from((Utc::now() - cut).num_seconds())
        .context("the older rows of the trail are not old yet")?;
    let policy = RetentionPolicy::builder().default_keep(Keep::Seconds(age));
    Ok(policy.build()?)
}

/// Makes sure that what was due is gone, and that everything else is there.
fn check(
    before: Counted,
    after: Counted,
    appended: u64,
    report: &RetentionReport,
) -> anyhow::Result<()> {
    ensure!(report.is_complete, "the run ended before it was done");
    ensure!(
        after.older == 0,
        "{} rows that were due are there still",
        after.older
    );
    // A run is an event of the trail, too.
    let expected = before.newer + appended + 1;
    ensure!(
        after.newer == expected,
        "{} rows are there that were not due: they should be {expected}",
        after.newer
    );
    Ok(())
}

/// Says how the rows went. What the report says of dropped partitions is what the database counted last; how many rows went
/// with them is what was there less what went one by one.
fn note(before: Counted, report: &RetentionReport) -> anyhow::Result<String> {
    let one_by_one: u64 = report.rules.iter().map(|rule| rule.deleted).sum();
    let with_partitions = before.older.checked_sub(one_by_one);
    let with_partitions = with_partitions.context("more rows went than were due")?;
    ensure!(
        with_partitions == 0 || !report.partitions.is_empty(),
        "the report misses {with_partitions} rows"
    );
    Ok(format!(
        "{} partitions were dropped, with {with_partitions} rows; {one_by_one} rows went in batches, of {} that were looked \
         at; {} rows stay",
        report.partitions.len(),
        report.examined,
        before.newer
    ))
}

/// Longer than any run takes.
const BUDGET: Duration = Duration::from_hours(12);
