//! The rows that an event changed, on its page.

use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use tower_audit_core::{EventId, PageSize, changes::ChangeCursor};

use crate::{
    change::{Change, ColumnChange, ColumnValue, WhyHidden},
    event::Event,
    problem::Problem,
    view::View,
};

/// The rows that an event changed.
#[derive(Debug)]
pub(super) struct ChangedRows {
    /// The newest first.
    pub(super) rows: Vec<ChangedRow>,
    /// Where the others are, if these are not all.
    pub(super) others: Option<String>,
}

/// A row, and what became of it.
#[derive(Debug)]
pub(super) struct ChangedRow {
    pub(super) operation: &'static str,
    pub(super) table: String,
    /// Each column of the key with its value.
    pub(super) key: Vec<String>,
    pub(super) at: String,
    /// How long after the event.
    pub(super) offset: String,
    pub(super) fields: Vec<ChangedField>,
}

/// A column, and what became of it.
#[derive(Debug)]
pub(super) struct ChangedField {
    pub(super) column: String,
    pub(super) before: Option<Held>,
    pub(super) after: Option<Held>,
}

/// What a column held, as a person reads it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) text: String,
    pub(super) side: &'static str,
    /// The element that it is in.
    pub(super) tag: &'static str,
    pub(super) class: &'static str,
    /// What tells it from others if it is hidden.
    pub(super) hash: Option<String>,
    /// It scrolls in its cell.
    pub(super) is_long: bool,
}

impl ChangedRows {
    pub(super) async fn of(
        view: &View,
        base: &str,
        id: EventId,
        event: &Event,
    ) -> Result<Self, Problem> {
        let found = view.changes(id, None, MOST).await?;
        let others = |older: ChangeCursor| format!("{base}/events/{id}/changes?older_than={older}");
        let rows = found.changes.into_iter();
        Ok(Self {
            rows: rows.map(|change| ChangedRow::of(change, event)).collect(),
            others: found.older.map(others),
        })
    }
}

impl ChangedRow {
    fn of(change: Change, event: &Event) -> Self {
        let operation = change.operation;
        let time = |text: &str| DateTime::parse_from_rfc3339(text).ok();
        let offset = time(&change.at).zip(time(&event.created_at));
        let key = change.key.unwrap_or_default().into_iter();
        let fields = change.fields.into_iter();
        Self {
            operation,
            table: change.table,
            key: key
                .map(|(column, value)| format!("{column}={}", Held::of(value, "", "").text))
                .collect(),
            offset: offset.map_or_else(String::new, |(at, created_at)| offset_of(at - created_at)),
            at: change.at,
            fields: fields
                .map(|field| ChangedField::of(field, operation))
                .collect(),
        }
    }
}

impl ChangedField {
    fn of(field: ColumnChange, operation: &str) -> Self {
        // What was there when its history began has not changed.
        let (was, became) = match operation {
            "baseline" => ("span", "span"),
            _ => ("del", "ins"),
        };
        Self {
            column: field.column,
            before: field.old.map(|value| Held::of(value, "before", was)),
            after: field.new.map(|value| Held::of(value, "after", became)),
        }
    }
}

impl Held {
    fn of(value: ColumnValue, side: &'static str, tag: &'static str) -> Self {
        match value {
            ColumnValue::Value { value } => {
                let text = written(&value);
                Self {
                    is_long: text.len() > 400 || text.lines().count() > 8,
                    text,
                    side,
                    tag,
                    class: "value",
                    hash: None,
                }
            }
            ColumnValue::Hidden {
                hidden,
                hash,
                bytes,
            } => Self {
                text: words(hidden, hash.as_deref(), bytes),
                side,
                // No word of the app: it was neither deleted nor inserted.
                tag: "em",
                class: "word",
                hash,
                is_long: false,
            },
        }
    }
}

/// Returns a value as text. Text that reads like another value has quotes, which that one has not.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) if !is_ambiguous(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(value).unwrap_or_default()
        }
        other => other.to_string(),
    }
}

fn is_ambiguous(text: &str) -> bool {
    let read = serde_json::from_str::<Value>(text);
    text.is_empty() || read.is_ok_and(|read| !read.is_array() && !read.is_object())
}

/// Returns in words why a value is hidden.
fn words(hidden: WhyHidden, hash: Option<&str>, bytes: Option<u64>) -> String {
    match hidden {
        WhyHidden::Masked => "masked".to_owned(),
        WhyHidden::Hashed => {
            let hash = hash.and_then(|hash| hash.rsplit(':').next());
            let begin: String = hash.unwrap_or_default().chars().take(8).collect();
            format!("masked (same as {begin}…)")
        }
        WhyHidden::TooLong => format!("too long: {} bytes", grouped(bytes.unwrap_or_default())),
        WhyHidden::Unknown => "unknown".to_owned(),
        WhyHidden::Personal => "hidden from you".to_owned(),
    }
}

/// Returns the number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns how long after the event something was. It may be before, because there are two clocks.
fn offset_of(age: TimeDelta) -> String {
    let micros = age.num_microseconds().unwrap_or(i64::MAX);
    let sign = if micros < 0 { '−' } else { '+' };
    let micros = micros.unsigned_abs();
    match micros {
        0..1_000 => format!("{sign}{micros} µs"),
        1_000..1_000_000 => format!("{sign}{}.{:03} ms", micros / 1_000, micros % 1_000),
        1_000_000..60_000_000 => {
            let millis = micros / 1_000;
            format!("{sign}{}.{:03} s", millis / 1_000, millis % 1_000)
        }
        _ => format!("{sign}{} min", micros / 60_000_000),
    }
}

/// How many changes a page shows.
const MOST: PageSize = match PageSize::new(50) {
    Ok(size) => size,
    Err(_) => PageSize::MAX,
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_not_taken_for_another_one() {
        for (value, expected) in [
            (json!("pro"), "pro"),
            (json!(null), "null"),
            (json!("null"), "\"null\""),
            (json!(7), "7"),
            (json!("7"), "\"7\""),
            (json!(""), "\"\""),
            (json!("2026-11-01"), "2026-11-01"),
            (json!([1]), "[\n  1\n]"),
        ] {
            assert_eq!(written(&value), expected);
        }
    }

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        let micros = [7, 5_000, -1_500, 2_345_678, 120_000_000];
        assert_eq!(
            micros.map(|micros| offset_of(TimeDelta::microseconds(micros))),
            ["+7 µs", "+5.000 ms", "−1.500 ms", "+2.345 s", "+2 min"]
        );
    }
}
