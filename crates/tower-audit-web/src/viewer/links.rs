//! Searches that lead on from the one at hand.

use std::ops::Range;

use chrono::{DateTime, Utc};
use tower_audit_core::{
    Filter,
    search::{Field, Match, SearchError, Term},
};

/// The search at hand, term by term.
#[derive(Clone, Debug)]
pub(super) struct Search {
    base: String,
    text: String,
    terms: Vec<(Range<usize>, Term)>,
}

/// A term of the search, and the search without it.
#[derive(Debug)]
pub(super) struct Chip {
    pub(super) text: String,
    pub(super) without: String,
}

impl Search {
    pub(super) fn parse(base: &str, text: &str, now: DateTime<Utc>) -> Result<Self, SearchError> {
        Ok(Self {
            base: base.to_owned(),
            text: text.to_owned(),
            terms: Filter::parse_terms(text, now)?,
        })
    }

    pub(super) fn filter(&self) -> Filter {
        let all = Filter::new();
        self.terms
            .iter()
            .fold(all, |filter, (_, term)| filter.and(term.clone()))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn chips(&self) -> Vec<Chip> {
        let chip = |n: usize| Chip {
            text: self.written(n).to_owned(),
            without: self.url(&self.joined(|other| other != n, None)),
        };
        (0..self.terms.len()).map(chip).collect()
    }

    /// Returns the page of events whose field is this, within the search.
    pub(super) fn only(&self, field: Field, value: &str) -> String {
        match Term::is(field, value) {
            Ok(term) => self.url(&self.with(&term.to_string(), field)),
            Err(_) => self.here(),
        }
    }

    /// Returns the page of events whose field is anything but this, within the search.
    pub(super) fn but(&self, field: Field, value: &str) -> String {
        match Term::is(field, value) {
            Ok(term) => {
                let not = term.negated().to_string();
                self.url(&self.joined(|n| self.written(n) != not, Some(&not)))
            }
            Err(_) => self.here(),
        }
    }

    /// Returns the page of the same search in another time.
    pub(super) fn within(&self, created: &str) -> String {
        match created {
            "" => self.url(&self.joined(|n| !self.is_about(n, Field::Created), None)),
            _ => self.url(&self.with(&format!("created:{created}"), Field::Created)),
        }
    }

    pub(super) fn here(&self) -> String {
        self.url(&self.text)
    }

    /// Returns the page of all events.
    pub(super) fn everything(&self) -> String {
        self.url("")
    }

    /// Returns the address of something below the router for this search, with more parameters.
    pub(super) fn of(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &self.text).extend_pairs(more);
        let page = match path {
            "" if self.base.is_empty() => "/",
            path => path,
        };
        format!("{}{page}?{}", self.base, query.finish())
    }

    /// Returns the search with a term in the place of what is asked of the same field.
    fn with(&self, term: &str, field: Field) -> String {
        let stays = |n: usize| {
            let (_, other) = &self.terms[n];
            let is_value = other
                .any_of()
                .iter()
                .all(|wanted| !matches!(wanted, Match::Prefix(_)));
            !self.is_about(n, field) || other.is_negated() || !is_value
        };
        self.joined(stays, Some(term))
    }

    fn is_about(&self, n: usize, field: Field) -> bool {
        self.terms[n].1.field() == field
    }

    fn written(&self, n: usize) -> &str {
        &self.text[self.terms[n].0.clone()]
    }

    fn joined(&self, stays: impl Fn(usize) -> bool, more: Option<&str>) -> String {
        let kept = (0..self.terms.len())
            .filter(|n| stays(*n))
            .map(|n| self.written(n));
        kept.chain(more).collect::<Vec<_>>().join(" ")
    }

    fn url(&self, text: &str) -> String {
        let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let page = if self.base.is_empty() {
            "/"
        } else {
            &self.base
        };
        format!("{page}?q={query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(text: &str) -> Search {
        Search::parse("/audit", text, Utc::now()).unwrap()
    }

    #[test]
    fn what_is_clicked_takes_the_place_of_what_was_asked_of_the_same_field() {
        let search = search("actor:alice created:-24h.. -outcome:success action:project.*");
        assert_eq!(
            search.only(Field::Actor, "b c"),
            "/audit?q=created%3A-24h..+-outcome%3Asuccess+action%3Aproject.*+actor%3A%22b+c%22"
        );
        assert_eq!(
            search.but(Field::Actor, "bob"),
            "/audit?q=actor%3Aalice+created%3A-24h..+-outcome%3Asuccess+action%3Aproject.*+-actor%3Abob"
        );
        assert_eq!(
            search.within("-1h.."),
            "/audit?q=actor%3Aalice+-outcome%3Asuccess+action%3Aproject.*+created%3A-1h.."
        );
        assert_eq!(
            search.within(""),
            "/audit?q=actor%3Aalice+-outcome%3Asuccess+action%3Aproject.*"
        );
        assert_eq!(
            search.chips()[0].without,
            "/audit?q=created%3A-24h..+-outcome%3Asuccess+action%3Aproject.*"
        );
    }
}
