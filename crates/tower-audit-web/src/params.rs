//! The parameters of a request.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use tower_audit_core::{Filter, PageSize, Seek};

use crate::problem::Problem;

/// The parameters of a request: each is known, and there once.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Parses a query.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                let near = known
                    .iter()
                    .map(|known| (strsim::damerau_levenshtein(known, &name), *known))
                    .min();
                let hint = match near {
                    Some((distance, near)) if distance <= 2 => format!("did you mean `{near}`?"),
                    _ if known.is_empty() => "it takes none".to_owned(),
                    _ => format!("it takes {}", known.join(", ")),
                };
                return Err(Problem::bad_parameter(
                    &name,
                    "there is no such parameter",
                    &hint,
                ));
            }
            if params.iter().any(|(other, _)| *other == name) {
                return Err(Problem::bad_parameter(
                    &name,
                    "the parameter is there twice",
                    "leave one out",
                ));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(params))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the parameter, parsed.
    pub(crate) fn parsed<T: FromStr<Err: ToString>>(
        &self,
        name: &str,
        hint: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let parsed = text.parse();
        parsed
            .map(Some)
            .map_err(|error: T::Err| Problem::bad_parameter(name, error.to_string(), hint))
    }

    /// Returns one of a few words.
    pub(crate) fn one_of<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let found = words.iter().find(|(word, _)| *word == text);
        let names = || {
            words
                .iter()
                .map(|(word, _)| *word)
                .collect::<Vec<_>>()
                .join(", ")
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            Problem::bad_parameter(
                name,
                format!("`{text}` is none of its words"),
                &format!("write {}", names()),
            )
        })
    }

    /// Returns the search in `q`.
    pub(crate) fn filter(&self, now: DateTime<Utc>) -> Result<Filter, Problem> {
        let search = self.get("q").unwrap_or_default();
        Filter::parse(search, now).map_err(|error| Problem::bad_search(&error))
    }

    /// Returns the page size in `limit`.
    pub(crate) fn limit(&self, default: u16) -> Result<PageSize, Problem> {
        let hint = "write a whole number from 1 to 1000";
        let limit = match self.get("limit") {
            None => default,
            Some(text) => match text.parse::<u16>() {
                Ok(limit) if text.bytes().all(|byte| byte.is_ascii_digit()) => limit,
                _ => {
                    return Err(Problem::bad_parameter(
                        "limit",
                        "that many cannot be asked for",
                        hint,
                    ));
                }
            },
        };
        PageSize::new(limit)
            .map_err(|error| Problem::bad_parameter("limit", error.to_string(), hint))
    }

    /// Returns where the page begins, by `older_than` and `newer_than`.
    pub(crate) fn seek(&self) -> Result<Seek, Problem> {
        let hint = "take it from the page before, as it is";
        let older = self.parsed("older_than", hint)?;
        let newer = self.parsed("newer_than", hint)?;
        match (older, newer) {
            (None, None) => Ok(Seek::Newest),
            (Some(cursor), None) => Ok(Seek::OlderThan(cursor)),
            (None, Some(cursor)) => Ok(Seek::NewerThan(cursor)),
            (Some(_), Some(_)) => Err(Problem::bad_parameter(
                "newer_than",
                "a page begins at one position",
                "leave this or `older_than` out",
            )),
        }
    }
}
