//! What is asked for, as a filter.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use tower_audit_core::Filter;

use crate::args::{Query, unshielded};

impl Query {
    /// Returns the search as it was written.
    pub(super) fn text(&self) -> String {
        let mut text = unshielded(&self.search);
        for (key, time) in [("since", &self.since), ("until", &self.until)] {
            if let Some(time) = time {
                text.push_str(&format!(" --{key} {time}"));
            }
        }
        text.trim().to_owned()
    }

    /// Returns the filter; `now` is what times are relative to.
    pub(super) fn filter(&self, now: DateTime<Utc>) -> anyhow::Result<Filter> {
        let filter = parsed(&self.search, now)?;
        Ok(filter.and(between(self.since.as_deref(), self.until.as_deref(), now)?))
    }
}

/// Returns what `--since` and `--until` say.
pub(super) fn between(
    since: Option<&str>,
    until: Option<&str>,
    now: DateTime<Utc>,
) -> anyhow::Result<Filter> {
    let mut filter = Filter::new();
    if let Some(time) = since {
        let text = format!("created:{}..", ago(time));
        filter = filter.and(range(&text, ("--since", time), now)?);
    }
    if let Some(time) = until {
        filter = filter.and(before("--until", time, now)?);
    }
    Ok(filter)
}

/// Returns what was made until the end of a time; `given` is what it was given as.
pub(super) fn before(given: &str, time: &str, now: DateTime<Utc>) -> anyhow::Result<Filter> {
    range(&format!("created:..{}", ago(time)), (given, time), now)
}

fn range(text: &str, (given, time): (&str, &str), now: DateTime<Utc>) -> anyhow::Result<Filter> {
    Filter::parse(text, now).ok().with_context(|| {
        format!("{given} {time} is no time; write an age such as 30m, 24h, 7d or 4w, yesterday, 2026-11-17 or 2026-11-17T09:30Z")
    })
}

/// Parses a search of one or several words of the command line.
pub(super) fn parsed(words: &[String], now: DateTime<Utc>) -> anyhow::Result<Filter> {
    let text = unshielded(words);
    Filter::parse(&text, now).map_err(|error| {
        let mark = " ".repeat(error.character().saturating_sub(1)) + "^";
        anyhow::anyhow!("{}; {}\n  {text}\n  {mark}", error.problem(), error.hint())
    })
}

/// Writes `7d` as the search does, `-7d`.
fn ago(time: &str) -> String {
    let number = time.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let is_age = number.len() + 1 == time.len()
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_age {
        format!("-{time}")
    } else {
        time.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(since: &str, until: &str) -> anyhow::Result<String> {
        let query = Query {
            search: vec!["actor:alice".to_owned(), "-outcome:success".to_owned()],
            since: Some(since.to_owned()),
            until: Some(until.to_owned()),
        };
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        query.filter(now).map(|filter| filter.to_string())
    }

    #[test]
    fn times_are_written_as_people_do() {
        let expected = "actor:alice -outcome:success created:2026-11-15T12:00:00Z.. created:..2026-11-21T23:59:59.999999Z";
        let found = filter("7d", "yesterday").unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(
            Filter::parse(&found, now).unwrap().created(),
            Filter::parse(expected, now).unwrap().created()
        );
    }

    #[test]
    fn what_is_no_time_says_which_flag_and_what_to_write() {
        let error = format!("{:#}", filter("soon", "now").unwrap_err());
        assert!(error.contains("--since soon is no time"), "{error}");
    }

    #[test]
    fn what_is_no_search_is_shown_where() {
        let now = Utc::now();
        let error = parsed(&["actor:a".to_owned(), "actr:b".to_owned()], now)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("\n  actor:a actr:b\n          ^"),
            "{error}"
        );
    }
}
