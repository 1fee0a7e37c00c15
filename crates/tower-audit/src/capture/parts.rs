//! What is kept of a request until it is known what is captured of it, and what becomes of that.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body;
use serde_json::{Map, Value};
use tower_audit_core::{Metadata, Outcome, Text};

use super::{Tap, partial::partial};
use crate::{
    policy::{Plan, Recorded},
    privacy::Redaction,
};

/// What is kept of a request while it runs.
#[derive(Default)]
pub(crate) struct Incoming {
    /// Those that a rule may ask for.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// `None` if no rule may ask for the body.
    body: Option<Announced>,
    limit: usize,
    tap: OnceLock<Arc<Tap>>,
}

/// What the headers say of a body.
#[derive(Debug)]
struct Announced {
    kind: Kind,
    length: Option<u64>,
    has_type: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Other,
    Encoded,
}

impl Announced {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let is_encoded = text(CONTENT_ENCODING)
            .is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity"));
        Self {
            kind: match text(CONTENT_TYPE).is_some_and(is_json) {
                true if is_encoded => Kind::Encoded,
                true => Kind::Json,
                false => Kind::Other,
            },
            length: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            has_type: headers.contains_key(CONTENT_TYPE),
        }
    }

    /// Returns whether the headers say that there is a body.
    fn is_announced(&self) -> bool {
        self.has_type || self.length.is_some()
    }
}

/// Returns whether a content type is that of JSON: `application/json`, or one that ends in `+json` (RFC 6839).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
    let is_plain = kind.eq_ignore_ascii_case("application") && subtype.eq_ignore_ascii_case("json");
    is_plain || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its headers are not redacted yet.
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

impl Incoming {
    pub(crate) fn of(headers: &HeaderMap, plan: &Plan, limit: usize) -> Self {
        let asked = |name: &HeaderName| {
            headers
                .get_all(name)
                .iter()
                .map(|value| (name.clone(), value.clone()))
                .collect::<Vec<_>>()
        };
        Self {
            headers: plan.headers.iter().flat_map(asked).collect(),
            body: plan.has_request_body.then(|| Announced::of(headers)),
            limit,
            tap: OnceLock::new(),
        }
    }

    /// Returns what is to watch the body, if anything is, and nobody does yet.
    pub(crate) fn watch(&self, body: &impl Body) -> Option<Arc<Tap>> {
        // An encoding that nobody undoes may be a lie.
        let is_wanted = self.body.as_ref()?.kind != Kind::Other;
        if !is_wanted || self.tap.get().is_some() {
            return None;
        }
        let tap = Arc::new(Tap::new(self.limit, body.size_hint().exact()));
        if body.is_end_stream() {
            tap.end();
        }
        self.tap.set(Arc::clone(&tap)).ok()?;
        Some(tap)
    }

    fn body(&self, redaction: &Redaction) -> Option<Value> {
        let announced = self.body.as_ref()?;
        let length = announced.length;
        match (announced.kind, self.tap.get()) {
            (Kind::Json, Some(tap)) => watched(tap, length.or(tap.length), redaction),
            (Kind::Json, None) => skipped(length, "not_watched"),
            (Kind::Encoded, Some(tap)) => unencoded(tap, length, redaction),
            (Kind::Encoded, None) => skipped(length, "encoded"),
            // A request without a body says nothing of one.
            (Kind::Other, _) if length == Some(0) || !announced.is_announced() => None,
            (Kind::Other, _) => skipped(length, "not_json"),
        }
    }

    fn headers(&self, asked: &[HeaderName], redaction: &Redaction) -> Map<String, Value> {
        let (mut captured, mut room) = (Map::new(), MAX_HEADERS);
        for (name, value) in self.headers.iter().filter(|(name, _)| asked.contains(name)) {
            let value = String::from_utf8_lossy(value.as_bytes());
            let Some(value) = redaction.header(name.as_str(), &value) else {
                continue;
            };
            // The client must not choose what else there is room for.
            let value = Text::capped(&value, MAX_HEADER).to_string();
            room = room.saturating_sub(value.len());
            if room == 0 {
                break;
            }
            match captured.get_mut(name.as_str()) {
                Some(Value::Array(values)) => values.push(value.into()),
                Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
                None => drop(captured.insert(name.to_string(), value.into())),
            }
        }
        captured
    }

    /// Returns what was asked for, redacted, or `None` if nothing is there.
    pub(crate) fn captured(
        &self,
        recorded: &Recorded,
        query: Option<&str>,
        response: Option<&Outgoing>,
        outcome: Outcome,
        redaction: &Redaction,
    ) -> Option<Metadata> {
        let mut parts = Metadata::default();
        let mut add = |name: &str, value: Value| {
            let length = value.get("length").cloned();
            parts.insert(name, value);
            if parts.get(name).is_none() {
                parts.insert(
                    name,
                    serde_json::json!({"length": length, "skipped": "too_large"}),
                );
            }
        };
        let headers = self.headers(&recorded.headers, redaction);
        if !headers.is_empty() {
            add("headers", Value::Object(headers));
        }
        if let Some(query) = query.filter(|query| recorded.has_query && !query.is_empty()) {
            add("query", redacted_query(query, redaction));
        }
        if recorded.request_body.include(outcome)
            && let Some(body) = self.body(redaction)
        {
            add("request_body", body);
        }
        if recorded.response_body.include(outcome)
            && let Some(body) = response.and_then(|response| response.body(redaction))
        {
            add("response_body", body);
        }
        (!parts.is_empty()).then_some(parts)
    }
}

/// Returns the parameters of a query, as far as there is room for them: the client must not choose what else there
/// is room for.
fn redacted_query(query: &str, redaction: &Redaction) -> Value {
    if query.len() <= MAX_QUERY {
        return Value::Object(redaction.query(query));
    }
    // One that is cut has no value.
    let head = query[..query.floor_char_boundary(MAX_QUERY)].rsplit_once('&');
    let mut parameters = redaction.query(head.map_or("", |(head, _)| head));
    let cut = format!("{} bytes in all", query.len());
    parameters.insert("tower_audit.cut".to_owned(), cut.into());
    Value::Object(parameters)
}

/// How many bytes are kept of a header, of all headers and of the query.
const MAX_HEADER: usize = 1_024;
const MAX_HEADERS: usize = 8_192;
const MAX_QUERY: usize = 8_192;

/// What is known of the body of a response.
#[derive(Debug)]
pub(crate) struct Outgoing {
    announced: Announced,
    tap: Option<Arc<Tap>>,
}

impl Outgoing {
    pub(crate) fn of(headers: &HeaderMap, length: Option<u64>) -> Self {
        let announced = Announced {
            length,
            ..Announced::of(headers)
        };
        Self {
            announced,
            tap: None,
        }
    }

    /// Returns what is to watch the body, if it is JSON.
    pub(crate) fn watch(&mut self, limit: usize) -> Option<Arc<Tap>> {
        if self.announced.kind != Kind::Other {
            self.tap = Some(Arc::new(Tap::new(limit, self.announced.length)));
        }
        self.tap.clone()
    }

    fn body(&self, redaction: &Redaction) -> Option<Value> {
        let length = self.announced.length;
        match (self.announced.kind, &self.tap) {
            (Kind::Json, Some(tap)) => watched(tap, length, redaction),
            (Kind::Json, None) if length == Some(0) => None,
            (Kind::Json, None) => skipped(length, "sent_later"),
            (_, _) if length == Some(0) => None,
            (Kind::Encoded, Some(tap)) => unencoded(tap, length, redaction),
            (Kind::Encoded, None) => skipped(length, "encoded"),
            (Kind::Other, _) => skipped(length, "not_json"),
        }
    }
}

/// Returns a body that says that it is encoded, if it is JSON all the same.
fn unencoded(tap: &Tap, length: Option<u64>, redaction: &Redaction) -> Option<Value> {
    let body = watched(tap, length.or(tap.length), redaction)?;
    match body.get("json") {
        Some(_) => Some(body),
        None => skipped(length, "encoded"),
    }
}

/// Says why a body is not there.
fn skipped(length: Option<u64>, why: &str) -> Option<Value> {
    let mut body = Map::new();
    if let Some(length) = length {
        body.insert("length".to_owned(), length.into());
    }
    body.insert("skipped".to_owned(), why.into());
    Some(Value::Object(body))
}

/// Returns what was seen of a body, or `None` if there was none.
fn watched(tap: &Tap, length: Option<u64>, redaction: &Redaction) -> Option<Value> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "application/vnd.api+JSON ;a=b",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "text/plain",
            "application/jsonp",
            "text/event-stream",
            "application/x-ndjson",
            "json",
            "",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}
