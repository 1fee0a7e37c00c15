//! Which rule decided, and why the ones before it did not.

use std::{fmt, ops::RangeInclusive};

use super::{
    Policy,
    rule::Otherwise,
    subject::Subject,
    when::{Compiled, Condition, Conditions, Effect, Fit, Recorded},
};

/// Which rule decided, and why those before it did not; made by [`Policy::explain`]. Shown as text it has a
/// line for the request and one for each rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    is_recorded: bool,
    rule: Option<usize>,
    label: Option<String>,
    lines: Vec<String>,
}

impl Explanation {
    /// Returns whether the request is recorded. One that a rule samples is, though not each time.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// Returns the number of the rule that decided, from 1, or `None` if none held.
    #[must_use]
    pub fn rule(&self) -> Option<usize> {
        self.rule
    }

    /// Returns the number and the name of the rule that decided, as errors show them, or `None` if none held.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    pub(super) fn of(policy: &Policy, subject: &Subject<'_>) -> Self {
        let mut lines = vec![subject.to_string()];
        for (index, rule) in policy.rules().iter().enumerate() {
            let Fit::No(condition) = rule.fit(subject) else {
                lines.push(format!("  {}: yes, {}", rule.label, Does(rule, subject)));
                return Self {
                    is_recorded: matches!(rule.effect, Effect::Record(_)),
                    rule: Some(index + 1),
                    label: Some(rule.label.clone()),
                    lines,
                };
            };
            let why = Why {
                conditions: &rule.when,
                condition,
                subject,
            };
            lines.push(format!("  {}: no, {why}", rule.label));
        }
        let otherwise = policy.otherwise;
        let is_recorded = otherwise.records(subject).unwrap_or(true);
        let verb = if is_recorded { "recorded" } else { "skipped" };
        lines.push(format!("  otherwise {}: {verb}", otherwise.name()));
        Self {
            is_recorded,
            rule: None,
            label: None,
            lines,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        match &self.route {
            Some(route) => write!(f, " on route {route}")?,
            None => f.write_str(" on no route")?,
        }
        let Some(end) = &self.end else { return Ok(()) };
        write!(f, ", by {}: {}", end.actor, end.outcome)?;
        if let Some(status) = end.status {
            write!(f, ", status {status}")?;
        }
        match &end.tenant {
            Some(tenant) => write!(f, ", tenant {tenant:?}"),
            None => Ok(()),
        }
    }
}

/// Why a rule does not hold.
struct Why<'a> {
    conditions: &'a Conditions,
    condition: Condition,
    subject: &'a Subject<'a>,
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (conditions, subject) = (self.conditions, self.subject);
        let end = subject.end.as_ref();
        match self.condition {
            Condition::Method => {
                let is = subject.method.as_str();
                wanted(f, "method", &conditions.methods, Some(is))
            }
            Condition::Route => wanted(f, "route", &conditions.routes, subject.route.as_deref()),
            Condition::Path => wanted(f, "path", &conditions.paths, Some(&subject.path)),
            Condition::Actor => {
                let is = end.map(|end| end.actor.as_str());
                wanted(f, "actor", &conditions.actors, is)
            }
            Condition::Outcome => {
                let is = end.map(|end| end.outcome.as_str());
                wanted(f, "outcome", &conditions.outcomes, is)
            }
            Condition::DotSegments => {
                let path = &subject.path;
                write!(
                    f,
                    "path {path} has dot segments: it is not left out for how it begins"
                )
            }
            Condition::Status => {
                let ranges: Vec<String> = conditions.statuses.iter().map(shown).collect();
                let is = end
                    .and_then(|end| end.status)
                    .map(|status| status.to_string());
                wanted(f, "status", &ranges, is.as_deref())
            }
            Condition::Tenant => {
                let is = end.and_then(|end| end.tenant.as_deref());
                wanted(f, "tenant", &conditions.tenants, is)
            }
        }
    }
}

fn shown(range: &RangeInclusive<u16>) -> String {
    match (range.start(), range.end()) {
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    }
}

fn wanted(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    alternatives: &[impl fmt::Display],
    is: Option<&str>,
) -> fmt::Result {
    match is {
        Some(is) => write!(f, "{what} {is} is not ")?,
        None => write!(f, "there is no {what}, and it must be ")?,
    }
    for (index, alternative) in alternatives.iter().enumerate() {
        let or = if index == 0 { "" } else { " or " };
        write!(f, "{or}{alternative}")?;
    }
    Ok(())
}

/// What a rule does.
struct Does<'a>(&'a Compiled, &'a Subject<'a>);

impl fmt::Display for Does<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recorded = match &self.0.effect {
            Effect::Skip => return f.write_str("skipped"),
            Effect::Ignore => return f.write_str("ignored"),
            Effect::Record(recorded) => recorded,
        };
        write!(f, "recorded, mode {:?}", recorded.mode)?;
        let parts = captured(recorded);
        if !parts.is_empty() {
            write!(f, ", with {}", parts.join(", "))?;
        }
        match recorded.sample {
            Some(part) if self.1.is_successful_read() => {
                let percent = f64::from(part) / f64::from(u32::MAX) * 100.0;
                write!(f, ", {percent:.1} % of its successful reads")
            }
            _ => Ok(()),
        }
    }
}

fn captured(recorded: &Recorded) -> Vec<String> {
    use super::Bodies::{Always, Never, OnFailure};
    let mut parts = Vec::new();
    if !recorded.headers.is_empty() {
        let names: Vec<&str> = recorded.headers.iter().map(|name| name.as_str()).collect();
        parts.push(format!("headers ({})", names.join(", ")));
    }
    if recorded.has_query {
        parts.push("query".to_owned());
    }
    for (name, bodies) in [
        ("request body", recorded.request_body),
        ("response body", recorded.response_body),
    ] {
        match bodies {
            Never => {}
            OnFailure => parts.push(format!("{name} on failure")),
            Always => parts.push(name.to_owned()),
        }
    }
    parts
}

impl Otherwise {
    fn name(self) -> &'static str {
        match self {
            Self::MutationsAndDenials => "mutations_and_denials",
            Self::Record => "record",
            Self::Skip => "skip",
        }
    }
}
