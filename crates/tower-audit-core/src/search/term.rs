//! One condition of a search.

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::{Field, FieldKind, Filter, SearchError, json, parse};
use crate::event::{EventId, Text};

/// One condition of a search: that a field is any of some values, or none of them.
///
/// Made by [`Filter`](super::Filter) and its parser, so that what it asks fits the field.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub(super) field: Field,
    pub(super) path: Vec<String>,
    pub(super) any_of: Vec<Match>,
    pub(super) is_negated: bool,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Match {
    /// It is known: not NULL, and of a target not the empty id.
    Known,
    /// It is this id.
    Id(EventId),
    /// It is this text. In JSON: the string, the number, true, false or null that the text spells, or
    /// an array that holds it.
    Is(String),
    /// It begins with this text. In JSON: a string that does.
    Prefix(String),
    /// It lies in this span.
    Within(Span),
    /// It is an address in this network.
    In(IpNet),
    /// It is an object that has all of this.
    Contains(Map<String, Value>),
}

/// Whole numbers from the first, up to but without the second; open where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first number.
    pub from: Option<i64>,
    /// The first number that is too large.
    pub until: Option<i64>,
}

impl Span {
    /// Returns whether the number lies in the span.
    #[must_use]
    pub fn holds(self, number: i64) -> bool {
        self.from.is_none_or(|from| number >= from) && self.until.is_none_or(|until| number < until)
    }

    /// Returns the numbers that lie in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let both = |one: Option<i64>, two: Option<i64>, pick: fn(i64, i64) -> i64| match (one, two)
        {
            (Some(one), Some(two)) => Some(pick(one, two)),
            (one, two) => one.or(two),
        };
        Self {
            from: both(self.from, other.from, i64::max),
            until: both(self.until, other.until, i64::min),
        }
    }
}

impl Term {
    /// Returns the term that the field is this text, or of a field that holds none, what the text spells.
    ///
    /// ```
    /// use tower_audit_core::search::{Field, Term};
    ///
    /// assert_eq!(Term::is(Field::Actor, "a b").unwrap().to_string(), r#"actor:"a b""#);
    /// assert!(Term::is(Field::Status, "many").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the text is no value of the field.
    pub fn is(field: Field, text: &str) -> Result<Self, SearchError> {
        if matches!(field.kind(), FieldKind::Text) {
            let text = Text::from(text).as_str().to_owned();
            return Ok(Self::new(field, vec![Match::Is(text)]));
        }
        let written = format!("{}:{text}", field.key());
        let mut terms = Filter::parse(&written, chrono::DateTime::UNIX_EPOCH)?.terms;
        match terms.len() {
            1 => Ok(terms.remove(0)),
            _ => Err(parse::no_value(&written)),
        }
    }

    pub(super) fn new(field: Field, any_of: Vec<Match>) -> Self {
        Self {
            field,
            path: Vec::new(),
            any_of,
            is_negated: false,
        }
    }

    /// Returns the field.
    #[must_use]
    pub fn field(&self) -> Field {
        self.field
    }

    /// Returns the keys that lead to what is asked about, in a field that holds JSON.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// Returns what the field is compared with: one of these must fit.
    #[must_use]
    pub fn any_of(&self) -> &[Match] {
        &self.any_of
    }

    /// Returns whether none of them may fit, instead of one.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        self.is_negated
    }

    /// Returns the opposite.
    #[must_use]
    pub fn negated(mut self) -> Self {
        self.is_negated = !self.is_negated;
        self
    }

    /// Returns the one text that the field must be, if it must be one.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        match &self.any_of[..] {
            [Match::Is(text)] if !self.is_negated && self.path.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns the span in which the number of the field must lie, if there is one.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match &self.any_of[..] {
            [Match::Within(span)] if !self.is_negated => Some(*span),
            _ => None,
        }
    }

    /// Returns what [`Match::Is`] stands for in JSON, as objects of which one must be contained.
    #[must_use]
    pub fn spellings(&self, text: &str) -> Vec<Value> {
        json::spellings(text)
            .flat_map(|value| [value.clone(), Value::Array(vec![value])])
            .map(|value| json::nest(&self.path, value))
            .collect()
    }
}
