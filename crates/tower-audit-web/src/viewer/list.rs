//! The page of events.

use askama::Template;
use axum::{Extension, extract::RawQuery, response::Response};
use chrono::{DateTime, Utc};
use http::StatusCode;
use tower_audit_core::{
    Cursor, Page, PageSize, Seek,
    search::{Field, SearchError},
    store::can_be_grouped,
};

use super::{
    Base,
    chart::Chart,
    links::{Chip, Search},
    page,
    rows::{Row, ago},
};
use crate::{
    api::buckets,
    params::Params,
    problem::Problem,
    view::{ShownPage, View},
};

#[derive(Template)]
#[template(path = "list.html")]
struct List<'a> {
    base: &'a str,
    text: &'a str,
    has_ai: bool,
    wrong: Option<Wrong>,
    found: Option<Found>,
}

/// What is wrong with the search, and where.
struct Wrong {
    before: String,
    at: String,
    after: String,
    problem: String,
    hint: String,
}

/// What a search found.
struct Found {
    filters: Filters,
    top: Option<TopList>,
    chart: Option<Chart>,
    rows: Vec<Row>,
    pages: Pages,
    /// Something is asked for that may be why nothing was found.
    is_narrowed: bool,
}

/// What leads to other searches.
struct Filters {
    chips: Vec<Chip>,
    /// The name of a time, the search in it, and whether it is the one at hand.
    times: Vec<(&'static str, String, bool)>,
    outcomes: Vec<(&'static str, String)>,
    tops: Vec<(&'static str, String)>,
    exports: Vec<(&'static str, String)>,
    stream: String,
    everything: String,
}

/// What leads to other pages of the search.
struct Pages {
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    stopped: Option<Stopped>,
}

/// The most frequent values of a field.
struct TopList {
    field: &'static str,
    about: &'static str,
    values: Vec<(String, u64, String)>,
    counted_from: Option<String>,
    close: String,
}

/// Where the search stopped, and how to go on.
struct Stopped {
    at: String,
    ago: String,
    on: String,
}

/// Shows the events of a search.
pub(crate) async fn list(
    Extension(view): Extension<View>,
    Extension(Base(base)): Extension<Base>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["q", "older_than", "newer_than", "top"])?;
    let now = Utc::now();
    let text = params.get("q").unwrap_or(AT_FIRST);
    let search = match Search::parse(&base, text, now) {
        Ok(search) => search,
        Err(error) => return Ok(wrong(&base, text, &error)),
    };
    let found = find(&view, &search, &params, now).await?;
    Ok(page(&List {
        base: &base,
        text,
        has_ai: view.has_ai(),
        wrong: None,
        found: Some(found),
    }))
}

async fn find(
    view: &View,
    search: &Search,
    params: &Params,
    now: DateTime<Utc>,
) -> Result<Found, Problem> {
    let filter = view.allow(search.filter())?;
    let seek = params.seek()?;
    // Before the page: what comes after it is told by the live tail. Where there is none, the rest works all the same.
    let tail = view.tail(&filter, None).await.ok();
    let position = tail
        .map(|tail| tail.position.to_string())
        .unwrap_or_default();
    let ShownPage { events, page } = view.page(&filter, seek, PageSize::default()).await?;
    let chart = match buckets(&search.filter(), now, 60) {
        Ok(buckets) => Some(Chart::of(&view.histogram(&filter, buckets).await?, search)),
        // The search leaves no time to count.
        Err(_) => None,
    };
    let top = match params.get("top") {
        None => None,
        Some(key) => Some(top(view, search, key).await?),
    };
    Ok(Found {
        filters: Filters::of(view, search, &position),
        top,
        chart,
        rows: events
            .into_iter()
            .map(|event| Row::of(event, search, now))
            .collect(),
        pages: Pages::of(&page, seek, search, now),
        is_narrowed: !search.filter().is_empty(),
    })
}

impl Filters {
    fn of(view: &View, search: &Search, position: &str) -> Self {
        let times = TIMES
            .iter()
            .map(|(name, span)| (*name, search.within(span), is_of(search, span)));
        let outcomes = Field::Outcome.words().into_iter();
        let tops = TOPS.iter().filter(|field| view.sees(**field));
        let exports = EXPORTS.iter().filter(|_| view.access().may_export);
        Self {
            chips: search.chips(),
            times: times.collect(),
            outcomes: outcomes
                .map(|word| (word, search.only(Field::Outcome, word)))
                .collect(),
            tops: tops
                .map(|field| (field.key(), search.of("", &[("top", field.key())])))
                .collect(),
            exports: exports
                .map(|(name, format)| (*name, search.of("/export", &[("format", format)])))
                .collect(),
            stream: search.of("/events/stream", &[("after", position)]),
            everything: search.everything(),
        }
    }
}

impl Pages {
    fn of(page: &Page, seek: Seek, search: &Search, now: DateTime<Utc>) -> Self {
        let older = |cursor: Cursor| search.of("", &[("older_than", &cursor.to_string())]);
        let newer = |cursor: Cursor| search.of("", &[("newer_than", &cursor.to_string())]);
        let stopped = |at: DateTime<Utc>| Stopped {
            at: at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ago: ago(now - at),
            on: match seek.after(page) {
                Some(Seek::NewerThan(cursor)) => newer(cursor),
                Some(Seek::OlderThan(cursor)) => older(cursor),
                _ => search.here(),
            },
        };
        Self {
            newest: (seek != Seek::Newest).then(|| search.here()),
            newer: page.newer.map(newer),
            older: page.older.map(older),
            stopped: page.stopped_at.map(stopped),
        }
    }
}

async fn top(view: &View, search: &Search, key: &str) -> Result<TopList, Problem> {
    let field = Field::named(key).filter(|field| can_be_grouped(*field));
    let field = field.ok_or_else(|| {
        let fields: Vec<_> = TOPS.iter().map(|field| field.key()).collect();
        let hint = format!("write {}", fields.join(", "));
        Problem::bad_parameter("top", "that is no field to count by", &hint)
    })?;
    let filter = view.allow(search.filter())?;
    let ten = PageSize::new(10).unwrap_or_default();
    let top = view.top(&filter, field, ten).await?;
    let values = top.values.into_iter().map(|value| {
        let only = search.only(field, &value.value);
        (value.value, value.events, only)
    });
    Ok(TopList {
        field: field.key(),
        about: field.about(),
        values: values.collect(),
        counted_from: top
            .counted_from
            .map(|from| from.format("%Y-%m-%d %H:%M UTC").to_string()),
        close: search.here(),
    })
}

/// Returns whether the search asks for this time, as it is written.
fn is_of(search: &Search, span: &str) -> bool {
    let term = format!("created:{span}");
    match span {
        "" => !search.filter().asks_about(Field::Created),
        _ => search.chips().iter().any(|chip| chip.text == term),
    }
}

fn wrong(base: &str, text: &str, error: &SearchError) -> Response {
    let span = error.span();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    let wrong = Wrong {
        before: part(0..span.start),
        at: part(span.clone()),
        after: part(span.end..text.len()),
        problem: error.problem().to_owned(),
        hint: error.hint().to_owned(),
    };
    let mut response = page(&List {
        base,
        text,
        has_ai: false,
        wrong: Some(wrong),
        found: None,
    });
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// What is shown to whoever has not searched: all but who looked at it.
const AT_FIRST: &str = "-action:audit.*";

const TIMES: [(&str, &str); 5] = [
    ("1 hour", "-1h.."),
    ("24 hours", "-24h.."),
    ("7 days", "-7d.."),
    ("30 days", "-30d.."),
    ("all time", ""),
];

const TOPS: [Field; 6] = [
    Field::Actor,
    Field::Action,
    Field::Target,
    Field::Outcome,
    Field::Ip,
    Field::Route,
];

const EXPORTS: [(&str, &str); 5] = [
    ("CSV", "csv"),
    ("JSON Lines", "jsonl"),
    ("OCSF", "ocsf"),
    ("ECS", "ecs"),
    ("CloudEvents", "cloudevents"),
];
