//! What calls add up to.

use anyhow::{Context as _, bail};
use chrono::{DateTime, Days as Span, NaiveDate, Utc};
use serde_json::json;
use tower_audit_ai::{Costs, Days, Tally, TrailStore};
use tower_audit_core::PageSize;

use crate::{Done, commands::query::between, output::Output};

#[derive(Debug, clap::Args)]
pub(super) struct Cost {
    /// The project [default: all of them]
    project: Option<String>,

    /// Since that day: 30d, 2026-11-01
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: String,

    /// Until that day, which is among them: as --since [default: today]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Says what calls took and cost.
pub(super) async fn run(
    trails: &impl TrailStore,
    args: &Cost,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let days = days(args, Utc::now())?;
    match &args.project {
        Some(project) => of_project(trails, project, days, output).await,
        None => of_all(trails, days, output).await,
    }
}

async fn of_project(
    trails: &impl TrailStore,
    project: &str,
    days: Days,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let analytics = trails.analytics(project, days).await?;
    if output.is_json {
        // Tomorrow is one of the days only where it has begun.
        let today = Utc::now().date_naive();
        let newest = analytics.by_day.last().map_or(today, |(day, _)| *day);
        output.json(&json!({
            "project_id": project,
            "from": days.first,
            "until": days.last.min(newest.max(today)),
            "total": analytics.total,
            "by_day": analytics.by_day.iter().map(|(day, tally)| json!({"day": day, "tally": tally})).collect::<Vec<_>>(),
            "by_model": analytics.by_model.iter().map(|(model, tally)| json!({"model": model, "tally": tally})).collect::<Vec<_>>(),
        }))?;
        return Ok(Done::Well);
    }
    let by_day = analytics.by_day.iter();
    output.table(
        header("day"),
        by_day
            .map(|(day, tally)| row(day.to_string(), tally))
            .chain([row("all".to_owned(), &analytics.total)]),
    )?;
    let by_model = analytics.by_model.iter();
    output.table(
        header("model"),
        by_model.map(|(model, tally)| row(model.clone(), tally)),
    )?;
    Ok(Done::Well)
}

async fn of_all(trails: &impl TrailStore, days: Days, output: &mut Output) -> anyhow::Result<Done> {
    let (mut rows, mut total) = (Vec::new(), Tally::default());
    let mut after: Option<String> = None;
    loop {
        let projects = trails.projects(after.as_deref(), PageSize::MAX).await?;
        let Some(last) = projects.last().cloned() else {
            break;
        };
        for project in projects {
            let tally = trails.analytics(&project, days).await?.total;
            if tally.calls == 0 {
                continue;
            }
            total += &tally;
            match output.is_json {
                true => output.json(&json!({"project_id": project, "total": tally}))?,
                false => rows.push(row(project, &tally)),
            }
        }
        after = Some(last);
    }
    if !output.is_json {
        rows.push(row("all".to_owned(), &total));
        output.table(header("project"), rows)?;
    }
    Ok(Done::Well)
}

fn header(of: &'static str) -> [&'static str; 8] {
    [
        of,
        "calls",
        "failed",
        "tokens",
        "average time",
        "cost",
        "as claimed",
        "as computed",
    ]
}

fn row(of: String, tally: &Tally) -> [String; 8] {
    let amounts = |amount: fn(&Costs) -> String| {
        let costs = tally.costs.iter();
        let costs = costs.map(|(currency, costs)| format!("{} {currency}", amount(costs)));
        costs.collect::<Vec<_>>().join(", ")
    };
    let latency = tally
        .average_latency()
        .and_then(|time| time.num_microseconds());
    [
        of,
        tally.calls.to_string(),
        tally.failed.to_string(),
        tally.total_tokens.to_string(),
        latency.map_or_else(String::new, |micros| {
            format!("{}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000)
        }),
        amounts(|costs| costs.total.to_string()),
        amounts(|costs| costs.claimed.to_string()),
        amounts(|costs| costs.computed.to_string()),
    ]
}

fn days(args: &Cost, now: DateTime<Utc>) -> anyhow::Result<Days> {
    let span = between(Some(&args.since), args.until.as_deref(), now)?;
    let day = |micros: i64| -> anyhow::Result<NaiveDate> {
        let moment = DateTime::from_timestamp_micros(micros).context("there is no such day")?;
        Ok(moment.date_naive())
    };
    let first = day(span.created().from.unwrap_or_default())?;
    let last = match span.created().until {
        Some(until) => day(until - 1)?,
        // It is tomorrow somewhere.
        None => now.date_naive() + Span::new(1),
    };
    if first > last {
        bail!("--since {} comes after --until", args.since);
    }
    Ok(Days::new(first, last))
}
