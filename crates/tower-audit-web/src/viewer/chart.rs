//! The histogram, as bars to draw.

use chrono::DateTime;
use tower_audit_core::{
    Outcome,
    search::{Field, Span, Term},
    store::{Bucket, Histogram},
};

use super::links::Search;

/// How wide and high the drawing is, in its own units.
const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 90;

/// The histogram, ready to draw.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) total: u64,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) width: String,
    /// Not all were counted: back to this moment.
    pub(super) counted_from: Option<String>,
    /// The search asks for no time, so what is drawn is recent.
    pub(super) is_recent: bool,
    pub(super) drawn_width: u32,
    pub(super) drawn_height: u32,
}

/// One span of time.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) label: String,
    /// The search in this span alone.
    pub(super) url: String,
    pub(super) parts: Vec<Part>,
}

/// How many ended so, in one span of time.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) outcome: &'static str,
    pub(super) y: String,
    pub(super) height: String,
}

impl Chart {
    pub(super) fn of(histogram: &Histogram, search: &Search) -> Self {
        let first = histogram
            .buckets
            .first()
            .map(|bucket| bucket.from.timestamp_micros());
        let end = histogram
            .buckets
            .last()
            .map(|bucket| bucket.from.timestamp_micros() + histogram.width_us);
        Self {
            bars: bars(histogram, search),
            total: histogram.total(),
            first: first.map(time).unwrap_or_default(),
            last: end.map(time).unwrap_or_default(),
            width: width(histogram.width_us),
            counted_from: histogram
                .counted_from
                .map(|from| time(from.timestamp_micros())),
            is_recent: search.filter().created() == Span::default(),
            drawn_width: WIDTH,
            drawn_height: HEIGHT,
        }
    }
}

fn bars(histogram: &Histogram, search: &Search) -> Vec<Bar> {
    let most = histogram
        .buckets
        .iter()
        .map(Bucket::total)
        .max()
        .unwrap_or(0)
        .max(1);
    let count = u32::try_from(histogram.buckets.len()).unwrap_or(1).max(1);
    let step = f64::from(WIDTH) / f64::from(count);
    let bar = |(n, bucket): (u32, &Bucket)| {
        let from = bucket.from.timestamp_micros();
        Bar {
            x: format!("{:.2}", f64::from(n) * step),
            width: format!("{:.2}", (step - 1.0).max(step * 0.8)),
            label: label(bucket, &time(from)),
            url: search.within(&span(from, from + histogram.width_us)),
            parts: parts(bucket, most),
        }
    };
    (0..).zip(&histogram.buckets).map(bar).collect()
}

fn time(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the value of `created:` for a span, as short as it can be.
fn span(from: i64, until: i64) -> String {
    let time = |micros: i64| {
        let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    };
    let written = format!("{}..{}", time(from), time(until - 1));
    let term = Term::is(Field::Created, &written);
    let short = term.map(|term| term.to_string());
    short
        .ok()
        .and_then(|short| Some(short.strip_prefix("created:")?.to_owned()))
        .unwrap_or(written)
}

fn label(bucket: &Bucket, from: &str) -> String {
    let parts = Outcome::ALL
        .iter()
        .filter(|outcome| bucket.count(**outcome) > 0);
    let parts: Vec<_> = parts
        .map(|outcome| format!("{} {outcome}", bucket.count(*outcome)))
        .collect();
    match parts.is_empty() {
        true => format!("{from}: nothing"),
        false => format!("{from}: {}", parts.join(", ")),
    }
}

/// Returns the parts of a bar, from the bottom up.
fn parts(bucket: &Bucket, most: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut bottom = f64::from(HEIGHT);
    for outcome in Outcome::ALL {
        let count = bucket.count(*outcome);
        if count > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a drawing needs none")]
            // What is there at all can be seen.
            let height = (count as f64 / most as f64 * f64::from(HEIGHT - 6)).max(2.0);
            bottom -= height;
            parts.push(Part {
                outcome: outcome.as_str(),
                y: format!("{bottom:.2}"),
                height: format!("{height:.2}"),
            });
        }
    }
    parts
}

/// Returns a width as people say it.
fn width(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    if number == 1 {
        format!("1 {unit}")
    } else {
        format!("{number} {unit}s")
    }
}
