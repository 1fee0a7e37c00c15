//! Answers in numbers.

use axum::{Extension, Json, extract::RawQuery};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use tower_audit_core::{
    Filter,
    search::Field,
    store::{self, Buckets, can_be_grouped},
};
use utoipa::ToSchema;

use crate::{api::openapi::Problems, params::Params, problem::Problem, view::View};

/// How many events there are over time, by outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Histogram {
    /// How long a bucket is, in microseconds.
    width_us: i64,
    /// The buckets, oldest first.
    buckets: Vec<Bucket>,
    /// The moment back to which events were counted, because they are very many; null if all were.
    #[schema(format = DateTime)]
    counted_from: Option<String>,
}

/// How many events there are in a span of time, by outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// When the span begins.
    #[schema(format = DateTime)]
    from: String,
    success: u64,
    denied: u64,
    failure: u64,
    aborted: u64,
    pending: u64,
    unknown: u64,
}

impl From<store::Histogram> for Histogram {
    fn from(histogram: store::Histogram) -> Self {
        let bucket = |bucket: store::Bucket| Bucket {
            from: time(bucket.from),
            success: bucket.success,
            denied: bucket.denied,
            failure: bucket.failure,
            aborted: bucket.aborted,
            pending: bucket.pending,
            unknown: bucket.unknown,
        };
        Self {
            width_us: histogram.width_us,
            buckets: histogram.buckets.into_iter().map(bucket).collect(),
            counted_from: histogram.counted_from.map(time),
        }
    }
}

/// Events over time, by outcome.
#[utoipa::path(
    get, path = "/histogram", tag = "counts",
    params(
        ("q" = Option<String>, Query, description = "The search. Without `created:` the last seven days are counted", example = "actor:alice"),
        ("buckets" = Option<u16>, Query, description = "How many spans of time at most, 60 by default; they are whole seconds, minutes, hours or days", minimum = 1, maximum = 500),
    ),
    responses((status = 200, body = Histogram, description = "The counts"), Problems),
)]
pub(crate) async fn histogram(
    Extension(view): Extension<View>,
    RawQuery(query): RawQuery,
) -> Result<Json<Histogram>, Problem> {
    let params = Params::parse(query.as_deref(), &["q", "buckets"])?;
    let hint = "write a whole number from 1 to 500";
    let most = match params.get("buckets").map(str::parse::<u16>) {
        None => 60,
        Some(Ok(most @ 1..=500)) => most,
        Some(_) => {
            let problem = "that many spans cannot be counted";
            return Err(Problem::bad_parameter("buckets", problem, hint));
        }
    };
    let now = Utc::now();
    let filter = params.filter(now)?;
    let buckets = buckets(&filter, now, most)?;
    let filter = view.allow(filter)?;
    Ok(Json(view.histogram(&filter, buckets).await?.into()))
}

/// Returns the spans of time of a search: at most so many, of a width that people know.
pub(crate) fn buckets(filter: &Filter, now: DateTime<Utc>, most: u16) -> Result<Buckets, Problem> {
    let span = filter.created();
    let until = span
        .until
        .unwrap_or_else(|| span.from.unwrap_or(0).max(now.timestamp_micros()) + 1);
    let from = span.from.unwrap_or(until - 7 * DAY);
    let at = |micros| DateTime::from_timestamp_micros(micros).unwrap_or(now);
    let known = WIDTHS.iter().find_map(|width| {
        let buckets = Buckets::aligned(at(from), at(until), *width).ok()?;
        (buckets.count() <= most).then_some(buckets)
    });
    let buckets = known.or_else(|| Buckets::covering(at(from), at(until), most).ok());
    buckets.ok_or_else(|| {
        Problem::bad_parameter(
            "q",
            "the search leaves no time to count",
            "give `created:` a span that ends after it begins",
        )
    })
}

/// The most frequent values of a field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Top {
    /// The key of the field.
    field: &'static str,
    /// The values, the most frequent first.
    values: Vec<TopValue>,
    /// The moment back to which events were counted, because they are very many; null if all were.
    #[schema(format = DateTime)]
    counted_from: Option<String>,
}

/// A value, and how many events have it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopValue {
    /// The value.
    value: String,
    /// How many events have it.
    events: u64,
}

/// The most frequent values of a field.
#[utoipa::path(
    get, path = "/top", tag = "counts",
    params(
        ("field" = String, Query, description = "The key of the field, as in a search", example = "actor",
            pattern = "^(actor|kind|name|auth|credential|behalf|action|target|type|outcome|reason|ip|peer|agent|status|method|route|path|request|trace|tenant|service)$"),
        ("q" = Option<String>, Query, description = "The search"),
        ("limit" = Option<u16>, Query, description = "How many values at most, 10 by default", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, body = Top, description = "The values"), Problems),
)]
pub(crate) async fn top(
    Extension(view): Extension<View>,
    RawQuery(query): RawQuery,
) -> Result<Json<Top>, Problem> {
    let params = Params::parse(query.as_deref(), &["field", "q", "limit"])?;
    let named = params
        .get("field")
        .and_then(Field::named)
        .filter(|field| can_be_grouped(*field));
    let field = named.ok_or_else(|| {
        let groups = Field::ALL.iter().filter(|field| can_be_grouped(**field));
        let keys: Vec<_> = groups.map(|field| field.key()).collect();
        Problem::bad_parameter(
            "field",
            "that is no field to count by",
            &format!("write {}", keys.join(", ")),
        )
    })?;
    let filter = view.allow(params.filter(Utc::now())?)?;
    let top = view.top(&filter, field, params.limit(10)?).await?;
    let values = top.values.into_iter().map(|value| TopValue {
        value: value.value,
        events: value.events,
    });
    Ok(Json(Top {
        field: field.key(),
        values: values.collect(),
        counted_from: top.counted_from.map(time),
    }))
}

/// Roughly how many events there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    /// The number of events.
    events: u64,
    /// `exactly`, `about` or `at_least` so many.
    is: &'static str,
}

/// Roughly how many events there are.
#[utoipa::path(
    get, path = "/count", tag = "counts",
    params(("q" = Option<String>, Query, description = "The search")),
    responses((status = 200, body = Count, description = "The count"), Problems),
)]
pub(crate) async fn count(
    Extension(view): Extension<View>,
    RawQuery(query): RawQuery,
) -> Result<Json<Count>, Problem> {
    let params = Params::parse(query.as_deref(), &["q"])?;
    let filter = view.allow(params.filter(Utc::now())?)?;
    let (is, events) = match view.estimate(&filter).await? {
        store::Count::Exactly(events) => ("exactly", events),
        store::Count::About(events) => ("about", events),
        store::Count::AtLeast(events) => ("at_least", events),
        _ => ("at_least", 0),
    };
    Ok(Json(Count { events, is }))
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Widths that people know, in microseconds.
const WIDTHS: [i64; 16] = [
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
    600 * SECOND,
    1_800 * SECOND,
    3_600 * SECOND,
    3 * 3_600 * SECOND,
    6 * 3_600 * SECOND,
    12 * 3_600 * SECOND,
    DAY,
    7 * DAY,
    30 * DAY,
    365 * DAY,
];
