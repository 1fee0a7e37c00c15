//! What is kept of a request until it is known what is captured of it, and what becomes of that.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use serde_json::{Map, Value};
use tower_audit_core::{Metadata, Outcome};

use super::{
    Outgoing, Tap,
    announced::{Announced, Kind},
    seen::{skipped, unencoded, watched},
};
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

    /// Returns whether anything is kept that was asked for.
    pub(crate) fn is_there(&self) -> bool {
        !self.headers.is_empty() || self.body.is_some()
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
        // A request without a body says nothing of one.
        if length == Some(0) || (announced.kind == Kind::Other && !announced.is_announced()) {
            return None;
        }
        match (announced.kind, self.tap.get()) {
            (Kind::Other, _) => skipped(length, "not_json"),
            (_, None) => skipped(length, "not_watched"),
            (Kind::Json, Some(tap)) => watched(tap, length.or(tap.length), redaction),
            (Kind::Encoded, Some(tap)) => unencoded(tap, length, redaction),
        }
    }

    fn headers(&self, asked: &[HeaderName], redaction: &Redaction) -> Map<String, Value> {
        let (mut captured, mut room) = (Map::new(), MAX_HEADERS);
        for (name, value) in self.headers.iter().filter(|(name, _)| asked.contains(name)) {
            // Of what is not kept, not more is looked at than tells what the rest is.
            let length = value.len();
            let value = &value.as_bytes()[..length.min(4 * MAX_HEADER)];
            let value = String::from_utf8_lossy(value);
            let Some(value) = redaction.header(name.as_str(), &value) else {
                continue;
            };
            // The client must not choose what else there is room for.
            let value = cut(value, length);
            if value.len() > room {
                captured.insert("tower_audit.cut".to_owned(), true.into());
                break;
            }
            room -= value.len();
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

/// Returns the value of a header of that length, cut to what is kept.
fn cut(value: String, length: usize) -> String {
    if value.len() <= MAX_HEADER {
        return value;
    }
    let mark = format!("…[cut, {length} bytes]");
    let keep = value.floor_char_boundary(MAX_HEADER - mark.len());
    value[..keep].to_owned() + &mark
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
