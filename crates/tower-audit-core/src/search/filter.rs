//! Which events a reader asks for.

use std::{fmt, ops::Range, str::FromStr};

use chrono::{DateTime, Utc};

use super::{
    Field, Match, SearchError, Span, Term,
    parse::{self, EARLIEST, LATEST},
};
use crate::event::{ActorKind, Outcome, Text};

/// Which events a reader asks for. Every term of it must hold.
///
/// It is made by its setters, or of text ([`Filter::parse`]), and its `Display` is text that parses to
/// the same filter. See the [module page](super) for the syntax.
///
/// ```
/// use tower_audit_core::{Filter, Outcome};
///
/// let refused = Filter::new().actor_id("alice").outcome(Outcome::Denied);
/// assert_eq!(refused.to_string(), "actor:alice outcome:denied");
/// assert_eq!("actor:alice outcome:denied".parse(), Ok(refused));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub(super) terms: Vec<Term>,
}

impl Filter {
    /// Returns the filter that every event passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the filter that the text describes; `now` is what times such as `-24h` are relative to.
    ///
    /// # Errors
    ///
    /// Returns an error that says where the text is wrong and what to write instead.
    pub fn parse(text: &str, now: DateTime<Utc>) -> Result<Self, SearchError> {
        let terms = parse::terms(text, now)?;
        Ok(Self {
            terms: terms.into_iter().map(|(_, term)| term).collect(),
        })
    }

    /// Returns the terms that the text describes, each with where it stands in the text, in bytes. For whoever changes
    /// a search and leaves the rest of it as it was written, such as `-24h`.
    ///
    /// # Errors
    ///
    /// Returns an error as [`parse`](Self::parse) does.
    pub fn parse_terms(
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Range<usize>, Term)>, SearchError> {
        parse::terms(text, now)
    }

    /// Returns the terms.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Returns whether every event passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Asks for what passes this one, too.
    #[must_use]
    pub fn and(mut self, other: impl Into<Self>) -> Self {
        self.terms.extend(other.into().terms);
        self
    }

    /// Returns the filter without the terms that are about any of these fields.
    #[must_use]
    pub fn without(mut self, fields: &[Field]) -> Self {
        self.terms.retain(|term| !fields.contains(&term.field));
        self
    }

    /// Returns whether a term is about the field.
    #[must_use]
    pub fn asks_about(&self, field: Field) -> bool {
        self.terms.iter().any(|term| term.field == field)
    }

    /// Asks for the events of this actor.
    #[must_use]
    pub fn actor_id(self, id: impl AsRef<str>) -> Self {
        self.is(Field::Actor, id)
    }

    /// Asks for the events of actors of this kind.
    #[must_use]
    pub fn actor_kind(self, kind: ActorKind) -> Self {
        self.is(Field::ActorType, kind.as_str())
    }

    /// Asks for the events on resources of this kind.
    #[must_use]
    pub fn target_kind(self, kind: impl AsRef<str>) -> Self {
        self.is(Field::TargetType, kind)
    }

    /// Asks for the events on this resource.
    #[must_use]
    pub fn target_id(self, id: impl AsRef<str>) -> Self {
        self.is(Field::Target, id)
    }

    /// Asks for the events of this action.
    #[must_use]
    pub fn action(self, action: impl AsRef<str>) -> Self {
        self.is(Field::Action, action)
    }

    /// Asks for the events that ended so.
    #[must_use]
    pub fn outcome(self, outcome: Outcome) -> Self {
        self.is(Field::Outcome, outcome.as_str())
    }

    /// Asks for the events of this tenant.
    #[must_use]
    pub fn tenant_id(self, id: impl AsRef<str>) -> Self {
        self.is(Field::Tenant, id)
    }

    /// Asks for the events of this request.
    #[must_use]
    pub fn request_id(self, id: impl AsRef<str>) -> Self {
        self.is(Field::Request, id)
    }

    /// Asks for the events at this time or later.
    #[must_use]
    pub fn from(self, time: DateTime<Utc>) -> Self {
        self.within(Some(time), None)
    }

    /// Asks for the events before this time.
    #[must_use]
    pub fn until(self, time: DateTime<Utc>) -> Self {
        self.within(None, Some(time))
    }

    /// Returns the time in which an event must lie.
    #[must_use]
    pub fn created(&self) -> Span {
        let spans = self
            .terms
            .iter()
            .filter(|term| term.field == Field::Created);
        spans
            .filter_map(Term::span)
            .fold(Span::default(), Span::and)
    }

    fn is(mut self, field: Field, text: impl AsRef<str>) -> Self {
        // As clean as what is stored: what was replaced there is looked for here.
        let text = Text::from(text.as_ref()).as_str().to_owned();
        self.terms.push(Term::new(field, vec![Match::Is(text)]));
        self
    }

    fn within(mut self, from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Self {
        let micros = |time: DateTime<Utc>| time.timestamp_micros().clamp(EARLIEST, LATEST);
        let span = Span {
            from: from.map(micros),
            until: until.map(micros),
        };
        self.terms
            .push(Term::new(Field::Created, vec![Match::Within(span)]));
        self
    }
}

impl From<Term> for Filter {
    fn from(term: Term) -> Self {
        Self { terms: vec![term] }
    }
}

impl FromStr for Filter {
    type Err = SearchError;

    /// Parses as [`Filter::parse`] does, relative to this moment.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, Utc::now())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, term) in self.terms.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            fmt::Display::fmt(term, f)?;
        }
        Ok(())
    }
}
