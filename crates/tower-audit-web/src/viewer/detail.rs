//! The page of one event.

use askama::Template;
use axum::{
    Extension,
    extract::{Path, RawQuery},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tower_audit_core::{PageSize, search::Field};

use super::{Base, calls::RequestCalls, changes::ChangedRows, links::Search, page, rows::Row};
use crate::{api::event_id, event::Event, params::Params, problem::Problem, view::View};

#[derive(Template)]
#[template(path = "detail.html")]
struct Detail<'a> {
    base: &'a str,
    text: &'a str,
    has_ai: bool,
    back: String,
    row: Row,
    facts: Vec<Fact>,
    metadata: Option<String>,
    captured: Option<String>,
    changes: ChangedRows,
    made: RequestCalls,
    same_request: Vec<Row>,
    before: Vec<Row>,
    after: Vec<Row>,
}

/// One thing that is known of the event.
struct Fact {
    about: &'static str,
    key: &'static str,
    value: String,
    only: String,
    but: String,
}

/// Shows one event, and what is around it.
pub(crate) async fn detail(
    Extension(view): Extension<View>,
    Extension(Base(base)): Extension<Base>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["q"])?;
    let now = Utc::now();
    let text = params.get("q").unwrap_or_default();
    // A link may be older than the syntax: the event is what counts.
    let search = Search::parse(&base, text, now).or_else(|_| Search::parse(&base, "", now));
    let search = search.map_err(|error| Problem::bad_search(&error))?;
    let id = event_id(&id)?;
    let event = view.get(id).await?;
    let related = view
        .related(id, PageSize::new(5).unwrap_or_default())
        .await?;
    let changes = ChangedRows::of(&view, &base, id, &event).await?;
    let made = RequestCalls::of(&view, &base, id).await?;
    let rows = |events: Vec<Event>| {
        events
            .into_iter()
            .map(|event| Row::of(event, &search, now))
            .collect()
    };
    let alone = Search::parse(&base, "", now).map_err(|error| Problem::bad_search(&error))?;
    Ok(page(&Detail {
        base: &base,
        text: search.text(),
        has_ai: view.has_ai(),
        back: search.here(),
        facts: facts(&event, &alone),
        metadata: pretty(Some(&event.metadata)),
        captured: pretty(event.captured.as_ref()),
        changes,
        made,
        same_request: rows(related.same_request),
        before: rows(related.before),
        after: rows(related.after),
        row: Row::of(event, &search, now),
    }))
}

fn facts(event: &Event, search: &Search) -> Vec<Fact> {
    let json = serde_json::to_value(event).unwrap_or_default();
    let fact = |field: &Field| {
        let value = match json.get(field.column())? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let written = match field {
            Field::Duration => format!("{value}us"),
            _ => value.clone(),
        };
        Some(Fact {
            about: field.about(),
            key: field.key(),
            only: search.only(*field, &written),
            but: search.but(*field, &written),
            value: shown(*field, value),
        })
    };
    Field::ALL.iter().filter_map(fact).collect()
}

/// Returns the value as a person reads it.
fn shown(field: Field, value: String) -> String {
    let time = || DateTime::parse_from_rfc3339(&value).ok();
    match field {
        Field::Duration => match value.parse::<u64>() {
            Ok(micros) if micros >= 1_000 => format!("{}.{:03} ms", micros / 1_000, micros % 1_000),
            _ => format!("{value} µs"),
        },
        Field::Created | Field::Recorded => time().map_or(value.clone(), |time| {
            time.format("%Y-%m-%d %H:%M:%S%.6f UTC").to_string()
        }),
        _ => value,
    }
}

fn pretty(value: Option<&Value>) -> Option<String> {
    let value = value.filter(|value| value.as_object().is_some_and(|object| !object.is_empty()))?;
    serde_json::to_string_pretty(value).ok()
}
