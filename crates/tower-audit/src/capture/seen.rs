//! What is said of a body: what was seen of it, or why nothing is there.

use serde_json::{Map, Value};

use super::{Tap, partial::partial};
use crate::privacy::Redaction;

/// Returns a body that says that it is encoded, if it is JSON all the same.
pub(super) fn unencoded(tap: &Tap, length: Option<u64>, redaction: &Redaction) -> Option<Value> {
    // The length in the headers is that of what is encoded.
    let body = watched(tap, tap.length, redaction)?;
    match body.get("json") {
        Some(_) => Some(body),
        None => skipped(length, "encoded"),
    }
}

/// Says why a body is not there.
pub(super) fn skipped(length: Option<u64>, why: &str) -> Option<Value> {
    let mut body = Map::new();
    if let Some(length) = length {
        body.insert("length".to_owned(), length.into());
    }
    body.insert("skipped".to_owned(), why.into());
    Some(Value::Object(body))
}

/// Returns what was seen of a body, or `None` if there was none.
pub(super) fn watched(tap: &Tap, length: Option<u64>, redaction: &Redaction) -> Option<Value> {
    let flow = tap.take();
    let length = length.unwrap_or(0).max(flow.seen);
    if length == 0 && flow.is_over {
        return None;
    }
    if flow.seen == 0 {
        return skipped(Some(length).filter(|length| *length > 0), "not_read");
    }
    let has_ended = flow.is_over || flow.seen == length;
    let is_whole = has_ended && flow.bytes.len() as u64 == length;
    let value = if is_whole {
        serde_json::from_slice(&flow.bytes).ok()
    } else {
        partial(&flow.bytes)
    };
    let Some(mut value) = value else {
        return skipped(Some(length), "not_json");
    };
    redaction.json(&mut value);
    let mut body = Map::new();
    body.insert("length".to_owned(), length.into());
    if !is_whole {
        body.insert("truncated".to_owned(), true.into());
    }
    body.insert("json".to_owned(), value);
    Some(Value::Object(body))
}
