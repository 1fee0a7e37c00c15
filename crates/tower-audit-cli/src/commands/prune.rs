//! Retention.

use std::time::Duration;

use tower_audit_core::retention::RetentionReport;
use tower_audit_sqlx::retention::Retention;

use crate::{Done, args::Prune, connect, output::Output, progress::Progress, settings::Settings};

/// Deletes what is due, or says what would go.
pub(super) async fn run(
    settings: &Settings,
    args: Prune,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let policy = settings.policy(args.policy.as_ref())?;
    let store = connect::store(settings).await?;
    let retention = Retention::builder(policy)
        .budget(Duration::from_secs(args.budget))
        .lease(Duration::from_secs(args.lease))
        .holder(format!("tower-audit prune, process {}", std::process::id()))
        .build(store);
    let progress = Progress::of_time(if args.dry_run { "looking" } else { "deleting" });
    let report = match args.dry_run {
        true => retention.dry_run().await?,
        false => retention.run().await?,
    };
    drop(progress);
    if output.is_json {
        output.json(&report)?;
    } else {
        print(&report, args.dry_run, output)?;
    }
    Ok(Done::Well)
}

fn print(report: &RetentionReport, is_dry: bool, output: &mut Output) -> anyhow::Result<()> {
    let rows = report.rules.iter().map(|rule| {
        [
            rule.rule.clone(),
            rule.keep.to_string(),
            rule.deleted.to_string(),
        ]
    });
    let went = if is_dry { "would go" } else { "went" };
    output.table(["rule", "kept for", went], rows)?;
    if !report.partitions.is_empty() {
        let names = report.partitions.join(", ");
        output.line(format!(
            "with whole partitions {went}: about {} ({names})",
            report.dropped
        ))?;
    }
    if report.held > 0 {
        output.line(format!("due, and kept by a hold: {}", report.held))?;
    }
    output.line(format!(
        "{} rows {went}, {} looked at, in {:.1} s",
        report.deleted,
        report.examined,
        report.took.as_secs_f64()
    ))?;
    if !report.is_complete {
        let left = report.left.map_or_else(String::new, |left| {
            format!(", with about {left} rows to look at")
        });
        output.line(format!(
            "the time was over before the end{left}: run it again, it goes on from there"
        ))?;
    }
    Ok(())
}
