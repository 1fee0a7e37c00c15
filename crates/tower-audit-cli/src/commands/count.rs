//! Counts.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tower_audit_core::{
    EventReader, Outcome, PageSize,
    store::{Buckets, can_be_grouped},
};
use tower_audit_sqlx::AnyStore;

use super::find::time;
use crate::{
    Done,
    args::{Histogram, Top},
    output::Output,
};

/// Counts the most frequent values.
pub(super) async fn top(store: &AnyStore, args: Top, output: &mut Output) -> anyhow::Result<Done> {
    if !can_be_grouped(args.field) {
        anyhow::bail!("`{}` has too many values to count them", args.field.key());
    }
    let filter = args.query.filter(Utc::now())?;
    let size = PageSize::new(args.limit)?;
    let top = store.top(&filter, args.field, size).await?;
    if output.is_json {
        for value in &top.values {
            output.json(&json!({
                "value": value.value,
                "events": value.events,
                "counted_from": top.counted_from,
            }))?;
        }
        return Ok(Done::Well);
    }
    let rows = top
        .values
        .iter()
        .map(|value| [value.value.clone(), value.events.to_string()]);
    output.table([args.field.key(), "events"], rows)?;
    said_from(top.counted_from, output)?;
    Ok(Done::Well)
}

/// Counts over time.
pub(super) async fn histogram(
    store: &AnyStore,
    args: Histogram,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let now = Utc::now();
    let filter = args.query.filter(now)?;
    let asked = filter.created();
    let moment = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
    let until = moment(asked.until).unwrap_or(now).min(now);
    let from = moment(asked.from).unwrap_or(until - TimeDelta::days(1));
    let buckets = Buckets::covering(from, until, args.buckets)?;
    let histogram = store.histogram(&filter, buckets).await?;
    if output.is_json {
        for bucket in &histogram.buckets {
            let mut bucket = serde_json::to_value(bucket)?;
            bucket["counted_from"] = json!(histogram.counted_from);
            output.json(&bucket)?;
        }
        return Ok(Done::Well);
    }
    let most = histogram
        .buckets
        .iter()
        .map(|bucket| bucket.total())
        .max()
        .unwrap_or(0)
        .max(1);
    let rows = histogram.buckets.iter().map(|bucket| {
        let total = bucket.total();
        let failed = total - bucket.count(Outcome::Success);
        let bar = usize::try_from(total * WIDTH / most).unwrap_or(0);
        [
            time(bucket.from),
            total.to_string(),
            failed.to_string(),
            "█".repeat(bar),
        ]
    });
    output.table(["from", "events", "not success", ""], rows)?;
    said_from(histogram.counted_from, output)?;
    Ok(Done::Well)
}

/// Says how far back was counted, if that is not all.
fn said_from(from: Option<DateTime<Utc>>, output: &mut Output) -> anyhow::Result<()> {
    match from {
        Some(from) => output.line(format!(
            "counted back to {}; there is more before",
            time(from)
        )),
        None => Ok(()),
    }
}

const WIDTH: u64 = 40;
