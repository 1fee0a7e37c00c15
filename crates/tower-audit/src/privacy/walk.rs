//! Redacts what was captured, whatever it is.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Redaction, Treatment, redaction::MASK};

impl Redaction {
    /// Redacts a body.
    pub(crate) fn json(&self, value: &mut Value) {
        self.walk(value, Some(&mut Vec::new()), 0);
    }

    /// Redacts the text of an error or a path.
    pub(crate) fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.any_text(text, 0)
    }

    /// Returns the value of a header, if anything may be stored of it.
    pub(crate) fn header(&self, name: &str, value: &str) -> Option<String> {
        match self.of_name(name) {
            Some(treatment) => self.treat(treatment, value),
            None => Some(self.any_text(value, 0).into_owned()),
        }
    }

    /// Returns the parameters of a query string that may be stored. One that comes more than once is an array.
    pub(crate) fn query(&self, query: &str) -> Map<String, Value> {
        let mut parameters = Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = match self.of_query(&name) {
                Some(treatment) => self.treat(treatment, &value),
                None => Some(self.any_text(&value, 0).into_owned()),
            };
            let Some(value) = value.map(Value::String) else {
                continue;
            };
            // A query without names, as in `?secret`, is all names.
            let name = self.text(&name).into_owned();
            match parameters.get_mut(&name) {
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
                None => drop(parameters.insert(name, value)),
            }
        }
        parameters
    }

    /// Returns whether the value of a path parameter of this name may not be stored.
    pub(crate) fn is_secret(&self, name: &str, is_target: bool) -> bool {
        self.of_parameter_name(name, is_target).is_some()
    }

    /// Returns what stands in the place of a path parameter, if it may not be stored.
    pub(crate) fn of_parameter(&self, name: &str, value: &str, is_target: bool) -> Option<String> {
        let treatment = self.of_parameter_name(name, is_target)?;
        Some(
            self.treat(treatment, value)
                .unwrap_or_else(|| MASK.to_owned()),
        )
    }

    /// Redacts a value. `path` is where it is in the body, or `None` in a text, where pointers mean nothing.
    fn walk(&self, value: &mut Value, mut path: Path<'_>, depth: usize) {
        if depth > MAX_DEPTH {
            *value = Value::from(MASK);
            return;
        }
        match value {
            Value::Object(members) => self.members(members, path, depth),
            Value::Array(items) => {
                let mut index = 0;
                items.retain_mut(|item| {
                    let place = path.as_deref().map(|_| index.to_string());
                    index += 1;
                    self.member(place, None, item, path.as_deref_mut(), depth)
                });
            }
            Value::String(text) => {
                if let Cow::Owned(redacted) = self.any_text(text, depth) {
                    *text = redacted;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn members(&self, members: &mut Map<String, Value>, mut path: Path<'_>, depth: usize) {
        let named = self.named_value(members);
        for (name, mut value) in std::mem::take(members) {
            let treatment = named.filter(|_| is_value(&name));
            let treatment = treatment.or_else(|| self.of_name(&name));
            let place = path.as_deref().map(|_| name.clone());
            if self.member(place, treatment, &mut value, path.as_deref_mut(), depth) {
                // A key may be a secret itself, as in `{"token=abc": 1}`.
                members.insert(self.text(&name).into_owned(), value);
            }
        }
    }

    /// Returns what becomes of the `value` of these members, if another one of them says that it is a secret: a
    /// patch (RFC 6902), or a list of names and values.
    fn named_value(&self, members: &Map<String, Value>) -> Option<Treatment> {
        if !members.keys().any(|name| is_value(name)) {
            return None;
        }
        let names = members
            .iter()
            .filter(|(name, _)| NAMES.contains(&name.as_str()));
        let of = |name: &str| match name.contains('/') {
            // A path is about its last key.
            true => {
                let mut keys = name.rsplit('/');
                let last = keys.find(|key| !key.bytes().all(|byte| byte.is_ascii_digit()))?;
                self.of_name(last)
            }
            false => self.of_name(name),
        };
        names.filter_map(|(_, name)| of(name.as_str()?)).next()
    }

    /// Redacts the value at a place, and returns whether anything is left of it.
    fn member(
        &self,
        place: Option<String>,
        treatment: Option<Treatment>,
        value: &mut Value,
        mut path: Path<'_>,
        depth: usize,
    ) -> bool {
        if let (Some(path), Some(place)) = (path.as_deref_mut(), place) {
            path.push(place);
        }
        let treatment = path.as_deref().and_then(|path| self.at(path)).or(treatment);
        let is_left = match treatment {
            Some(treatment) => self.replace(value, treatment),
            None => {
                self.walk(value, path.as_deref_mut(), depth + 1);
                true
            }
        };
        if let Some(path) = path {
            path.pop();
        }
        is_left
    }

    /// Redacts a value, and returns whether anything is left of it.
    fn replace(&self, value: &mut Value, treatment: Treatment) -> bool {
        // What is not there is no secret, and that it is not there may be worth knowing.
        if value.is_null() && treatment != Treatment::Drop {
            return true;
        }
        let text = match &*value {
            Value::String(text) => text.clone(),
            other => sorted(other).to_string(),
        };
        let treated = self.treat(treatment, &text);
        let is_left = treated.is_some();
        *value = treated.map_or(Value::Null, Value::String);
        is_left
    }

    /// Returns what becomes of the value at this place, if anything.
    fn at(&self, path: &[String]) -> Option<Treatment> {
        if self.rules.pointers.is_empty() {
            return None;
        }
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut pointers = self.rules.pointers.iter();
        let found = pointers.find(|(glob, _)| glob.matches(&parts));
        found.map(|(_, treatment)| *treatment)
    }

    /// Redacts text, which may itself be JSON, or percent-encoded.
    fn any_text<'a>(&self, text: &'a str, depth: usize) -> Cow<'a, str> {
        if let Some(redacted) = self.json_text(text, depth) {
            return redacted;
        }
        let mut redacted = self.text(text);
        // Not in a text in a text: each of them would be decoded again and again.
        let rounds = if depth < TEXT { MAX_DECODED } else { 0 };
        let mut current = redacted.to_string();
        for _ in 0..rounds {
            let decoded = percent_decode_str(&current).decode_utf8_lossy();
            if decoded == current {
                break;
            }
            let found = match self.json_text(&decoded, depth + TEXT) {
                Some(found) => found,
                None => self.text(&decoded),
            };
            if let Cow::Owned(found) = &found {
                redacted = Cow::Owned(found.clone());
            }
            current = found.into_owned();
        }
        redacted
    }

    /// Redacts text that is JSON, or `None` if it is not.
    fn json_text<'a>(&self, text: &'a str, depth: usize) -> Option<Cow<'a, str>> {
        let start = text.trim_start();
        let is_object = start.starts_with(['{', '[']);
        if !is_object && !start.starts_with('"') {
            return None;
        }
        let Ok(inner) = serde_json::from_str::<Value>(text) else {
            // A name may be written in escapes, which only a parser reads.
            return (is_object && has_escapes(text)).then(|| Cow::Owned(MASK.to_owned()));
        };
        let mut redacted = inner.clone();
        self.walk(&mut redacted, None, depth + TEXT);
        // Of a key that comes twice, the parser has seen one value.
        if redacted == inner && matches!(self.text(text), Cow::Borrowed(_)) {
            return Some(Cow::Borrowed(text));
        }
        Some(Cow::Owned(redacted.to_string()))
    }
}

/// Returns whether there is `\u` with four digits.
fn has_escapes(text: &str) -> bool {
    text.match_indices("\\u").any(|(at, escape)| {
        let digits = text
            .as_bytes()
            .get(at + escape.len()..at + escape.len() + 4);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Where a value is in a body.
type Path<'a> = Option<&'a mut Vec<String>>;

/// Returns whether this is the key of a value whose name stands beside it.
fn is_value(name: &str) -> bool {
    matches!(name, "value" | "val" | "newValue" | "new_value")
}

/// Returns the value with its keys in order, whatever order the map keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut entries: Vec<(&String, &Value)> = members.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            let entries = entries.into_iter();
            Value::Object(
                entries
                    .map(|(name, value)| (name.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The keys of names whose value stands beside them.
const NAMES: [&str; 5] = ["name", "key", "path", "field", "header"];

/// How many layers of encoding are taken off.
const MAX_DECODED: usize = 3;

/// How many levels a text in a value counts for, so that few of them are inside of each other.
const TEXT: usize = 16;

/// What is deeper would be cut by the limits of a row anyway.
const MAX_DEPTH: usize = 64;
