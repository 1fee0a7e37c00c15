//! Values as the database wrote them. A reader of JSON refuses numbers that are too large and values that are too deep, and rounds the digits of
//! others: one such value must not hide a page of changes, nor be told as another one.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};
use tower_audit_core::changes::Columns;

/// Columns, of which a value that would be read as another one is its text.
pub(crate) struct Exact(pub(crate) Columns);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let columns = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
        let columns = columns.into_iter();
        Ok(Self(
            columns
                .map(|(name, value)| (name, exact(value.get())))
                .collect(),
        ))
    }
}

fn exact(json: &str) -> Value {
    match serde_json::from_str(json) {
        Ok(value) if numbers(json).all(is_exact) => value,
        _ => json.into(),
    }
}

/// Returns the numbers in JSON.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json;
    std::iter::from_fn(move || {
        let begin = loop {
            let at = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?;
            rest = &rest[at..];
            match rest.strip_prefix('"') {
                Some(text) => rest = after_text(text),
                None => break rest,
            }
        };
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = begin.find(|c| !is_part(c)).unwrap_or(begin.len());
        let (number, after) = begin.split_at(end);
        rest = after;
        Some(number)
    })
}

/// Returns what comes after the end of a text.
fn after_text(text: &str) -> &str {
    let mut is_escaped = false;
    let is_end = |c: char| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    };
    let end = text.find(is_end).map_or(text.len(), |end| end + 1);
    &text[end..]
}

/// Returns whether a number is still the same when it was read.
fn is_exact(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let read = serde_json::from_str::<f64>(number).map(|read| format!("{read:e}"));
    read.is_ok_and(|read| digits(&read) == digits(number))
}

/// Returns the digits of a number, and how many of them stand before the point.
fn digits(number: &str) -> (String, i64) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole.trim_start_matches('-'), fraction].concat();
    let digits = all.trim_start_matches('0');
    let before = whole.trim_start_matches('-').len() as i64 - (all.len() - digits.len()) as i64;
    let digits = digits.trim_end_matches('0').to_owned();
    let exponent: i64 = exponent.parse().unwrap_or_default();
    let point = if digits.is_empty() {
        0
    } else {
        before + exponent
    };
    (digits, point)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(json: &str) -> Columns {
        let Exact(columns) = serde_json::from_str(json).unwrap();
        columns
    }

    #[test]
    fn what_would_be_read_as_another_value_stays_text() {
        for (value, expected) in [
            ("1.50", json!(1.5)),
            ("9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
            ("0.1", json!(0.1)),
            ("-0.00", json!(-0.0)),
            ("1e3", json!(1000.0)),
            ("0.30000000000000004", json!(0.300_000_000_000_000_04)),
            ("18446744073709551617", json!("18446744073709551617")),
            ("0.1000000000000000055", json!("0.1000000000000000055")),
            (
                r#""0.1000000000000000055 \" 18446744073709551617""#,
                json!("0.1000000000000000055 \" 18446744073709551617"),
            ),
            (
                r#"["\\", 18446744073709551617]"#,
                json!(r#"["\\", 18446744073709551617]"#),
            ),
        ] {
            assert_eq!(
                read(&format!(r#"{{"n": {value}, "more": "x"}}"#))["n"],
                expected,
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_float_is_read_as_it_is(float in any::<f64>().prop_filter("JSON has no others", |float| float.is_finite())) {
            // Postgres writes no exponents in JSON.
            let written = format!("{float}");
            let read = read(&format!(r#"{{"n": {written}}}"#));
            prop_assert_eq!(read["n"].as_f64(), Some(float), "{}", written);
        }
    }
}
