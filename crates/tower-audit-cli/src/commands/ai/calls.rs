//! Calls of models, one by one.

use tower_audit_ai::{Cost, MessageId, Trail, TrailStore};
use tower_audit_core::PageSize;

use crate::{
    Done,
    commands::find::time,
    output::{Output, one_line},
};

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The project
    project: String,

    /// How many calls at most
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Shows the calls of a project.
pub(super) async fn list(
    trails: &impl TrailStore,
    args: &List,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let (mut left, mut older, mut rows) = (usize::try_from(args.limit)?, None, Vec::new());
    while left > 0 {
        let size = u16::try_from(left)
            .unwrap_or(u16::MAX)
            .min(PageSize::MAX.events());
        let page = trails
            .list(&args.project, older, PageSize::new(size)?)
            .await?;
        left -= page.trails.len().min(left);
        for trail in &page.trails {
            match output.is_json {
                true => output.json(trail)?,
                false => rows.push(row(trail)),
            }
        }
        older = page.older;
        if older.is_none() {
            break;
        }
    }
    if output.is_json {
        return Ok(Done::Well);
    }
    if rows.is_empty() {
        output.aside(one_line(&format!("no call of {} is there", args.project)))?;
        return Ok(Done::Well);
    }
    let header = [
        "when", "message", "model", "status", "tokens", "cost", "took",
    ];
    output.table(header, rows)?;
    Ok(Done::Well)
}

fn row(trail: &Trail) -> [String; 7] {
    let cost = trail.cost.as_ref().or(trail.computed_cost.as_ref());
    [
        time(trail.started_at),
        trail.message_id.to_string(),
        trail.served_model.as_ref().unwrap_or(&trail.model).clone(),
        trail.status.to_string(),
        trail
            .usage
            .map(|usage| usage.total.to_string())
            .unwrap_or_default(),
        cost.map(|cost| format!("{} {}", cost.total(), cost.currency()))
            .unwrap_or_default(),
        took(trail),
    ]
}

fn took(trail: &Trail) -> String {
    let millis = trail.latency().map(|latency| latency.num_milliseconds());
    millis.map_or_else(String::new, |millis| {
        format!("{}.{:03} s", millis / 1_000, millis % 1_000)
    })
}

/// Shows one call.
pub(super) async fn show(
    trails: &impl TrailStore,
    message_id: &str,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let id: MessageId = message_id.parse()?;
    let Some(trail) = trails.get(&id).await? else {
        output.aside(one_line(&format!("there is no call {message_id}")))?;
        return Ok(Done::NoSuchThing);
    };
    if output.is_json {
        output.json(&trail)?;
        return Ok(Done::Well);
    }
    for (name, value) in facts(&trail) {
        output.line(format!("{name:<14} {}", one_line(&value)))?;
    }
    for (number, step) in (1..).zip(&trail.reasoning) {
        output.line(format!("\nthought {number}\n{step}"))?;
    }
    Ok(Done::Well)
}

fn facts(trail: &Trail) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("message", trail.message_id.to_string()),
        ("project", trail.project_id.clone()),
        ("status", trail.status.to_string()),
        ("model", trail.model.clone()),
    ];
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("served by", trail.served_model.clone());
    fact("began", Some(time(trail.started_at)));
    fact("took", trail.latency().map(|_| took(trail)));
    fact("layers", Some(trail.context_layers.to_string()));
    fact(
        "tokens",
        trail.usage.map(|usage| {
            format!(
                "{} in all: {} of the prompt ({} cached), {} of the answer ({} for reasoning)",
                usage.total, usage.prompt, usage.cached, usage.completion, usage.reasoning
            )
        }),
    );
    let amount = |cost: &Cost| format!("{} {}", cost.total(), cost.currency());
    fact("claimed cost", trail.cost.as_ref().map(amount));
    fact("computed cost", trail.computed_cost.as_ref().map(amount));
    let actor = trail.actor.as_ref();
    fact(
        "actor",
        actor.map(|actor| format!("{} {}", actor.kind(), actor.id())),
    );
    fact("request", trail.request_id.clone());
    fact("event", trail.event_id.map(|id| id.to_string()));
    fact("error", trail.error.clone());
    facts
}
