//! What was captured of a request and its response.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Metadata;

/// What a policy asked to capture of a request and its response: a JSON object within the limits of [`Metadata`].
///
/// It is kept as text, because a value of many small parts takes a hundred times as much memory, and whoever sends
/// the request decides how many there are.
///
/// ```
/// use tower_audit_core::{Captured, Metadata};
///
/// let parts: Metadata = [("query", serde_json::json!({"page": "2"}))].into_iter().collect();
/// let captured = Captured::from(parts);
/// assert_eq!(captured.as_json(), r#"{"query":{"page":"2"}}"#);
/// assert_eq!(captured.get("query").unwrap()["page"], "2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Captured {
    json: Box<str>,
}

impl Captured {
    /// Returns it as JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// Returns it as a value, which is parsed for each call.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // It was made of a value.
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// Returns one part: `headers`, `query`, `request_body` or `response_body`. It is parsed for each call.
    #[must_use]
    pub fn get(&self, part: &str) -> Option<Value> {
        self.to_value().get_mut(part).map(Value::take)
    }
}

impl From<Metadata> for Captured {
    fn from(parts: Metadata) -> Self {
        // A map of JSON values always serializes.
        let json = serde_json::to_string(&parts).unwrap_or_else(|_| "{}".to_owned());
        Self { json: json.into() }
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}

impl Serialize for Captured {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Captured {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Metadata::deserialize(deserializer).map(Self::from)
    }
}
