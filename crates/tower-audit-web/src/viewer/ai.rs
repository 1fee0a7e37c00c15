//! The pages of calls of models.

use askama::Template;
use axum::{
    Extension,
    extract::{Path, RawQuery},
    response::Response,
};
use chrono::{DateTime, NaiveDate, Utc};
use tower_audit_core::PageSize;

use super::{Base, calls::Call, costs::CostChart, links::Search, page, rows::Row};
use crate::{
    ai::{
        AskedDays, begin_of,
        shown::{AiCost, AiModel, AiTally, AiTrail},
    },
    params::Params,
    problem::Problem,
    view::View,
};

#[derive(Template)]
#[template(path = "ai_projects.html")]
struct Projects<'a> {
    base: &'a str,
    text: &'a str,
    has_ai: bool,
    /// The name of each project, and its page.
    projects: Vec<(String, String)>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "ai_project.html")]
struct Project<'a> {
    base: &'a str,
    text: &'a str,
    has_ai: bool,
    project: &'a str,
    periods: Vec<Period>,
    from: NaiveDate,
    until: NaiveDate,
    sums: Vec<(&'static str, String)>,
    charts: Vec<CostChart>,
    models: Vec<Model>,
    lists: [(&'static str, Vec<Call>); 2],
    json: String,
}

/// A number of days until today.
struct Period {
    name: String,
    url: String,
    is_current: bool,
}

/// What the calls of a model add up to.
struct Model {
    name: String,
    calls: i64,
    failed: i64,
    tokens: String,
    latency: String,
    costs: Vec<String>,
}

#[derive(Template)]
#[template(path = "ai_call.html")]
struct OneCall<'a> {
    base: &'a str,
    text: &'a str,
    has_ai: bool,
    trail: &'a AiTrail,
    project_url: String,
    facts: Vec<(&'static str, String)>,
    event: Option<Row>,
}

/// Shows the projects.
pub(crate) async fn projects_page(
    Extension(view): Extension<View>,
    Extension(Base(base)): Extension<Base>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["after"])?;
    let projects = view.projects(params.get("after"), MOST).await?;
    let is_full = projects.len() == usize::from(MOST.events());
    let next = projects.last().filter(|_| is_full);
    let next = next.map(|last| format!("{base}/view/ai?after={}", path_segment(last)));
    let with_page = |project: String| {
        let url = project_url(&base, &project);
        (project, url)
    };
    Ok(page(&Projects {
        base: &base,
        text: "",
        has_ai: true,
        projects: projects.into_iter().map(with_page).collect(),
        next,
    }))
}

/// Shows what the calls of a project cost.
pub(crate) async fn project_page(
    Extension(view): Extension<View>,
    Extension(Base(base)): Extension<Base>,
    Path(project): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["from", "until"])?;
    let analytics = view.analytics(&project, AskedDays::of(&params)?).await?;
    let here = project_url(&base, &project);
    let calls = |trails: &[AiTrail]| trails.iter().map(|trail| Call::of(trail, &base)).collect();
    Ok(page(&Project {
        base: &base,
        text: "",
        has_ai: true,
        project: &project,
        periods: periods(&here, &params, analytics.from),
        from: analytics.from,
        until: analytics.until,
        sums: sums(&analytics.total),
        charts: CostChart::all(&analytics),
        models: analytics.by_model.iter().map(Model::of).collect(),
        lists: [
            ("Recent calls", calls(&analytics.recent)),
            ("Slowest calls", calls(&analytics.slowest)),
        ],
        json: format!("{base}/ai/projects/{}/trails", path_segment(&project)),
    }))
}

/// Shows one call, and the event of its request.
pub(crate) async fn call_page(
    Extension(view): Extension<View>,
    Extension(Base(base)): Extension<Base>,
    Path(message_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Params::parse(query.as_deref(), &[])?;
    let (trail, event) = view.trail(&message_id).await?;
    let now = Utc::now();
    let search = Search::parse(&base, "", now).map_err(|error| Problem::bad_search(&error))?;
    // It may be gone, or not for the caller to see.
    let event = match event {
        Some(id) => view.get(id).await.ok(),
        None => None,
    };
    Ok(page(&OneCall {
        base: &base,
        text: "",
        has_ai: true,
        project_url: project_url(&base, &trail.project_id),
        facts: facts(&trail),
        event: event.map(|event| Row::of(event, &search, now)),
        trail: &trail,
    }))
}

/// Returns text as one part of a path.
fn path_segment(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

fn project_url(base: &str, project: &str) -> String {
    format!("{base}/view/ai/projects/{}", path_segment(project))
}

fn periods(here: &str, params: &Params, first: NaiveDate) -> Vec<Period> {
    let today = Utc::now().date_naive();
    let period = |days: u64| {
        let from = begin_of(days, today);
        Period {
            name: format!("{days} days"),
            url: format!("{here}?from={from}"),
            is_current: first == from && params.get("until").is_none(),
        }
    };
    [7, 30, 90, 365].map(period).into()
}

fn sums(total: &AiTally) -> Vec<(&'static str, String)> {
    let mut sums = vec![
        ("calls", total.calls.to_string()),
        ("failed", total.failed.to_string()),
        ("on their way", total.pending.to_string()),
        ("unknown", total.unknown.to_string()),
        ("tokens", total.total_tokens.to_string()),
        ("of prompts", total.prompt_tokens.to_string()),
        ("of answers", total.completion_tokens.to_string()),
        ("cached", total.cached_tokens.to_string()),
        ("average time", duration(total.average_latency_us)),
    ];
    for costs in &total.costs {
        let currency = &costs.currency;
        sums.push(("cost", format!("{} {currency}", costs.total)));
        sums.push(("cost, as claimed", format!("{} {currency}", costs.claimed)));
        sums.push((
            "cost, as computed",
            format!("{} {currency}", costs.computed),
        ));
        sums.push(("average cost", format!("{} {currency}", costs.average)));
    }
    sums
}

fn facts(trail: &AiTrail) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("message", trail.message_id.clone()),
        ("model", trail.model.clone()),
    ];
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("served by", trail.served_model.clone());
    fact("began", Some(clock(&trail.started_at)));
    fact("ended", trail.ended_at.as_deref().map(clock));
    fact("took", trail.latency_us.map(|_| duration(trail.latency_us)));
    fact("context layers", Some(trail.context_layers.to_string()));
    if let Some(usage) = trail.usage {
        fact("tokens", Some(usage.total.to_string()));
        fact(
            "of the prompt",
            Some(format!("{}, {} of them cached", usage.prompt, usage.cached)),
        );
        let completion = format!(
            "{}, {} of them for reasoning",
            usage.completion, usage.reasoning
        );
        fact("of the answer", Some(completion));
    }
    fact("cost, as claimed", trail.cost.as_ref().map(amounts));
    fact(
        "cost, as computed",
        trail.computed_cost.as_ref().map(amounts),
    );
    fact("actor", trail.actor_id.clone());
    fact("request", trail.request_id.clone());
    fact("error", trail.error.clone());
    facts
}

fn amounts(cost: &AiCost) -> String {
    format!(
        "{} {}: {} for the prompt, {} for the answer",
        cost.total, cost.currency, cost.prompt, cost.completion
    )
}

impl Model {
    fn of(model: &AiModel) -> Self {
        let tally = &model.tally;
        let costs = tally.costs.iter();
        Self {
            name: model.model.clone(),
            calls: tally.calls,
            failed: tally.failed,
            tokens: tally.total_tokens.to_string(),
            latency: duration(tally.average_latency_us),
            costs: costs
                .map(|costs| format!("{} {}", costs.total, costs.currency))
                .collect(),
        }
    }
}

impl Call {
    pub(super) fn of(trail: &AiTrail, base: &str) -> Self {
        let usage = trail.usage.map(|usage| usage.total.to_string());
        let cost = trail.cost.as_ref().or(trail.computed_cost.as_ref());
        Self {
            url: format!("{base}/view/ai/calls/{}", path_segment(&trail.message_id)),
            started_at: trail.started_at.clone(),
            clock: clock(&trail.started_at),
            message_id: trail.message_id.clone(),
            model: trail.model.clone(),
            status: trail.status,
            tokens: usage.unwrap_or_default(),
            cost: cost
                .map(|cost| format!("{} {}", cost.total, cost.currency))
                .unwrap_or_default(),
            latency: duration(trail.latency_us),
        }
    }
}

/// Returns a moment as a person reads it.
fn clock(time: &str) -> String {
    match DateTime::parse_from_rfc3339(time) {
        Ok(time) => time.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => time.to_owned(),
    }
}

/// Returns how long something took, as a person reads it.
fn duration(micros: Option<i64>) -> String {
    match micros {
        None => String::new(),
        Some(micros @ 0..1_000_000) => format!("{}.{:03} ms", micros / 1_000, micros % 1_000),
        Some(micros) => format!("{}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000),
    }
}

/// How many projects a page shows.
const MOST: PageSize = match PageSize::new(200) {
    Ok(size) => size,
    Err(_) => PageSize::MAX,
};
