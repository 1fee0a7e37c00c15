//! Redacts what was captured, whatever it is.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Redaction, Treatment, redaction::MASK};

impl Redaction {
    /// Redacts a body.
    pub(crate) fn json(&self, value: &mut Value) {
        self.walk(value, &mut Vec::new(), 0);
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
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        self.of_name(name).is_some()
    }

    /// Returns what stands in the place of a path parameter, if it may not be stored.
    pub(crate) fn of_parameter(&self, name: &str, value: &str) -> Option<String> {
        let treatment = self.of_name(name)?;
        Some(
            self.treat(treatment, value)
                .unwrap_or_else(|| MASK.to_owned()),
        )
    }

    fn walk(&self, value: &mut Value, path: &mut Vec<String>, depth: usize) {
        if depth > MAX_DEPTH {
            *value = Value::from(MASK);
            return;
        }
        match value {
            Value::Object(members) => self.members(members, path, depth),
            Value::Array(items) => {
                let mut index = 0;
                items.retain_mut(|item| {
                    path.push(index.to_string());
                    index += 1;
                    let is_kept = self.member(None, item, path, depth);
                    path.pop();
                    is_kept
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

    fn members(&self, members: &mut Map<String, Value>, path: &mut Vec<String>, depth: usize) {
        for (name, mut value) in std::mem::take(members) {
            path.push(name);
            let is_kept = self.member(path.last().cloned().as_deref(), &mut value, path, depth);
            let name = path.pop().unwrap_or_default();
            if is_kept {
                // A key may be a secret itself, as in `{"token=abc": 1}`.
                members.insert(self.text(&name).into_owned(), value);
            }
        }
    }

    /// Redacts the value at a path, and returns whether anything is left of it.
    fn member(
        &self,
        name: Option<&str>,
        value: &mut Value,
        path: &mut Vec<String>,
        depth: usize,
    ) -> bool {
        let treatment = self.at(path).or_else(|| self.of_name(name?));
        let Some(treatment) = treatment else {
            self.walk(value, path, depth + 1);
            return true;
        };
        // What is not there is no secret, and that it is not there may be worth knowing.
        if value.is_null() && treatment != Treatment::Drop {
            return true;
        }
        let text = match &*value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        match self.treat(treatment, &text) {
            Some(treated) => {
                *value = Value::String(treated);
                true
            }
            None => false,
        }
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

    /// Redacts text, which may itself be JSON.
    fn any_text<'a>(&self, text: &'a str, depth: usize) -> Cow<'a, str> {
        let is_json = text.trim_start().starts_with(['{', '[']);
        if is_json && let Ok(mut inner) = serde_json::from_str::<Value>(text) {
            // The pointers are those of the body, not of a text in it.
            self.walk(&mut inner, &mut Vec::new(), depth + 1);
            return Cow::Owned(inner.to_string());
        }
        self.text(text)
    }
}

/// What is deeper would be cut by the limits of a row anyway.
const MAX_DEPTH: usize = 64;
