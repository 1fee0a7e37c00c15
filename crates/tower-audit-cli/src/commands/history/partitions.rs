//! The months of the history.

use chrono::{DateTime, Utc};
use serde_json::json;
use tower_audit_core::retention::Keep;
use tower_audit_history::{Dropped, History, HistoryError};

use crate::{
    Done,
    commands::{find::time, partitions::bytes},
    output::{Output, one_line},
};

#[derive(Debug, clap::Args)]
pub(super) struct Prune {
    /// How long changes are kept: 90d, 12w, 7y; a month goes once all of it is older
    #[arg(long, value_name = "DURATION")]
    keep: Keep,

    /// Say what would go, and drop nothing
    #[arg(long)]
    dry_run: bool,
}

/// Lists the partitions.
pub(super) async fn list(history: &History, output: &mut Output) -> anyhow::Result<Done> {
    let there = history.partitions().await?;
    if output.is_json {
        for partition in &there {
            output.json(&json!({
                "name": partition.name,
                "from": partition.from,
                "until": partition.until,
                "changes": partition.changes,
                "bytes": partition.bytes,
            }))?;
        }
        return Ok(Done::Well);
    }
    // The one for what finds no other has neither.
    let end = |moment: Option<DateTime<Utc>>| moment.map_or_else(|| "any other".to_owned(), time);
    let rows = there.iter().map(|partition| {
        [
            partition.name.clone(),
            end(partition.from),
            end(partition.until),
            partition.changes.to_string(),
            format!("{:.1} MB", bytes(partition.bytes)),
        ]
    });
    output.table(
        ["partition", "from", "until", "changes, about", "size"],
        rows,
    )?;
    Ok(Done::Well)
}

/// Drops the months that are due, or says which would go.
pub(super) async fn prune(
    history: &History,
    args: &Prune,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let dropped = match args.keep.cutoff(Utc::now()) {
        Some(cutoff) if args.dry_run => due(history, cutoff).await?,
        Some(cutoff) => history.drop_before(cutoff).await?,
        None => Dropped::default(),
    };
    if output.is_json {
        output.json(&json!({
            "partitions": dropped.partitions,
            "changes": dropped.changes,
            "left": dropped.left,
        }))?;
        return Ok(Done::Well);
    }
    for name in &dropped.partitions {
        output.line(one_line(name))?;
    }
    let went = if args.dry_run { "would go" } else { "went" };
    let months = match dropped.partitions.len() {
        1 => "1 month".to_owned(),
        some => format!("{some} months"),
    };
    let changes = dropped.changes;
    output.line(format!("{months} {went}, with about {changes} changes"))?;
    if !dropped.left.is_empty() {
        let left = dropped.left.join(", ");
        output.line(format!("somebody is using {left}: run it again"))?;
    }
    Ok(Done::Well)
}

/// Returns what would be dropped.
async fn due(history: &History, cutoff: DateTime<Utc>) -> Result<Dropped, HistoryError> {
    let mut due = Dropped::default();
    for partition in history.partitions().await? {
        if partition.until.is_some_and(|until| until <= cutoff) {
            due.changes += partition.changes;
            due.partitions.push(partition.name);
        }
    }
    Ok(due)
}
