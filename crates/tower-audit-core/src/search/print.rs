//! The text of a filter, which parses to the same filter.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{FieldKind, Match, Span, Term};

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negated {
            f.write_str("-")?;
        }
        f.write_str(self.field.key())?;
        for key in &self.path {
            let is_plain = key
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
            f.write_str(".")?;
            write_text(f, key, is_plain)?;
        }
        for (n, wanted) in self.any_of.iter().enumerate() {
            f.write_str(if n == 0 { ":" } else { "," })?;
            self.write_match(f, wanted)?;
        }
        Ok(())
    }
}

impl Term {
    fn write_match(&self, f: &mut fmt::Formatter<'_>, wanted: &Match) -> fmt::Result {
        match wanted {
            Match::Known => f.write_str("*"),
            Match::Id(id) => fmt::Display::fmt(id, f),
            Match::Is(text) => write_text(f, text, is_plain(text)),
            Match::Prefix(text) => {
                write_text(f, text, is_plain(text))?;
                f.write_str("*")
            }
            Match::Within(span) => match self.field.kind() {
                FieldKind::Time => write_time(f, *span),
                FieldKind::Duration => write_duration(f, *span),
                _ => write_number(f, *span),
            },
            Match::In(network) if network.prefix_len() == network.max_prefix_len() => {
                fmt::Display::fmt(&network.addr(), f)
            }
            Match::In(network) => fmt::Display::fmt(network, f),
            Match::Contains(object) => {
                let json = serde_json::to_string(object).map_err(|_| fmt::Error)?;
                f.write_str(&json)
            }
        }
    }
}

/// Returns whether the text needs no quotes as a value.
fn is_plain(text: &str) -> bool {
    let is_special = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '*');
    // What begins so asks for a range elsewhere.
    let is_range = text.starts_with(['<', '>']);
    !text.is_empty() && !is_range && !text.contains(is_special)
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str, is_plain: bool) -> fmt::Result {
    if is_plain {
        return f.write_str(text);
    }
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

/// Writes both ends, each by what is given: the first number, and the last.
fn write_span(
    f: &mut fmt::Formatter<'_>,
    span: Span,
    first: impl Fn(i64) -> String,
    last: impl Fn(i64) -> String,
) -> fmt::Result {
    if let Some(from) = span.from {
        f.write_str(&first(from))?;
    }
    f.write_str("..")?;
    if let Some(until) = span.until {
        f.write_str(&last(until))?;
    }
    Ok(())
}

fn write_number(f: &mut fmt::Formatter<'_>, span: Span) -> fmt::Result {
    match (span.from, span.until) {
        (Some(from), Some(until)) if until == from + 1 => write!(f, "{from}"),
        (Some(from), Some(until))
            if until == from + 100 && from % 100 == 0 && (100..1_000).contains(&from) =>
        {
            write!(f, "{}xx", from / 100)
        }
        _ => write_span(
            f,
            span,
            |from| from.to_string(),
            |until| (until - 1).to_string(),
        ),
    }
}

fn write_duration(f: &mut fmt::Formatter<'_>, span: Span) -> fmt::Result {
    const UNITS: [(i64, &str); 4] = [
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "us"),
    ];
    let write = |micros: i64| {
        let (unit, name) = UNITS
            .into_iter()
            .find(|(unit, _)| micros != 0 && micros % unit == 0 && micros / unit > 0)
            .unwrap_or((1, "us"));
        format!("{}{name}", micros / unit)
    };
    if let (Some(from), Some(until)) = (span.from, span.until)
        && let Some((unit, name)) = UNITS
            .into_iter()
            .find(|(unit, _)| until - from == *unit && from % unit == 0)
    {
        return write!(f, "{}{name}", from / unit);
    }
    write_span(f, span, write, |until| write(until - 1))
}

/// What a time is written with, from the coarsest on, and how many microseconds that is.
const FORMATS: [(i64, &str); 4] = [
    (86_400_000_000, "%Y-%m-%d"),
    (60_000_000, "%Y-%m-%dT%H:%MZ"),
    (1_000_000, "%Y-%m-%dT%H:%M:%SZ"),
    (1, "%Y-%m-%dT%H:%M:%S%.6fZ"),
];

fn write_time(f: &mut fmt::Formatter<'_>, span: Span) -> fmt::Result {
    let write = |micros: i64, format: &str| {
        let time: DateTime<Utc> = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        time.format(format).to_string()
    };
    let fits = |micros: i64| {
        let fits = FORMATS
            .into_iter()
            .find(|(unit, _)| micros.rem_euclid(*unit) == 0);
        fits.unwrap_or(FORMATS[3])
    };
    let first = |from: i64| write(from, fits(from).1);
    let last = |until: i64| {
        let (unit, format) = fits(until);
        write(until - unit, format)
    };
    if let (Some(from), Some(until)) = (span.from, span.until)
        && let Some((_, format)) = FORMATS
            .into_iter()
            .find(|(unit, _)| until - from == *unit && from.rem_euclid(*unit) == 0)
    {
        return f.write_str(&write(from, format));
    }
    write_span(f, span, first, last)
}
