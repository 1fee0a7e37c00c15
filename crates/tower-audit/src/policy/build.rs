//! Checks what is written, and says what to do where it cannot be meant.

use std::ops::RangeInclusive;

use http::{HeaderName, Method};
use tower_audit_core::Outcome;

use super::{
    error::PolicyError,
    rule::{Capture, Rule, Then, Unknown, When},
    status::Status,
    when::{Compiled, Conditions, Effect, Recorded},
};
use crate::{glob::Glob, mode::Mode};

/// Checks the rules, in their order.
pub(super) fn compile(rules: Vec<Rule>) -> Result<Vec<Compiled>, PolicyError> {
    if rules.is_empty() {
        return Err(PolicyError::NoRules);
    }
    let mut compiled: Vec<Compiled> = Vec::with_capacity(rules.len());
    for (index, rule) in rules.into_iter().enumerate() {
        let rule = one(index + 1, &rule)?;
        let earlier = |earlier: &&Compiled| rule.when.are_within(&earlier.when);
        if let Some(earlier) = compiled.iter().find(earlier) {
            return Err(PolicyError::Unreachable {
                rule: rule.label,
                earlier: earlier.label.clone(),
            });
        }
        if let Effect::Record(recorded) = &rule.effect
            && recorded.mode > Mode::Background
            && let Some(earlier) = compiled
                .iter()
                .find(|earlier| is_skipped_late(earlier, &rule))
        {
            return Err(PolicyError::Rule {
                rule: rule.label,
                problem: format!(
                    "its mode is {:?}, which is decided before the handler runs, and {} before it may still skip \
                     the request then: let that one not look at actor, tenant, outcome or status, or put it behind",
                    recorded.mode, earlier.label
                ),
            });
        }
        compiled.push(rule);
    }
    Ok(compiled)
}

/// Returns whether the earlier rule may skip a request of the later one when it is too late for its mode.
fn is_skipped_late(earlier: &Compiled, later: &Compiled) -> bool {
    let is_late = earlier.effect == Effect::Skip && !earlier.when.are_known_at_arrival();
    is_late && earlier.when.may_meet(&later.when)
}

fn one(number: usize, rule: &Rule) -> Result<Compiled, PolicyError> {
    let label = match rule.name.as_str() {
        "" => format!("rule {number}"),
        name => format!("rule {number} {name:?}"),
    };
    let says = |problem: String| PolicyError::Rule {
        rule: label.clone(),
        problem,
    };
    known(&rule.unknown, "", RULE_KEYS).map_err(says)?;
    let when = conditions(&rule.when).map_err(says)?;
    let effect = match rule.then {
        Then::Skip => plain(rule, Effect::Skip),
        Then::Ignore if !when.are_known_at_arrival() => Err(
            "it ignores what it matches, which is decided when a request arrives, when actor, tenant, outcome and \
             status are not known: take these conditions away, or let it skip"
                .to_owned(),
        ),
        Then::Ignore => plain(rule, Effect::Ignore),
        Then::Record => record(rule, &when),
    };
    Ok(Compiled {
        effect: effect.map_err(says)?,
        when,
        label,
    })
}

/// Returns the effect of a rule that leaves requests out.
fn plain(rule: &Rule, effect: Effect) -> Result<Effect, String> {
    let plain = Rule {
        name: rule.name.clone(),
        when: rule.when.clone(),
        then: rule.then,
        ..Rule::default()
    };
    if *rule == plain {
        return Ok(effect);
    }
    let does = match effect {
        Effect::Ignore => "ignores",
        Effect::Skip | Effect::Record(_) => "skips",
    };
    Err(format!(
        "it {does} what it matches, so it can have no `mode`, `capture` or `sample`"
    ))
}

fn record(rule: &Rule, when: &Conditions) -> Result<Effect, String> {
    if rule.mode > Mode::Background && !when.are_known_at_arrival() {
        return Err(format!(
            "its mode is {:?}, which is decided before the handler runs, when actor, tenant, outcome and status are \
             not known: take these conditions away",
            rule.mode
        ));
    }
    let sample = rule.sample.map(|part| sample(part, rule, when));
    let capture = &rule.capture;
    known(&capture.unknown, "capture.", CAPTURE_KEYS)?;
    Ok(Effect::Record(Recorded {
        mode: rule.mode,
        headers: headers(capture)?,
        has_query: capture.query,
        request_body: capture.request_body,
        response_body: capture.response_body,
        sample: sample.transpose()?.flatten(),
    }))
}

fn headers(capture: &Capture) -> Result<Vec<HeaderName>, String> {
    let parse = |name: &String| {
        HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is no name of a header"))
    };
    capture.headers.iter().map(parse).collect()
}

/// Returns of 2^32 reads how many are recorded.
fn sample(part: f64, rule: &Rule, when: &Conditions) -> Result<Option<u32>, String> {
    if !(0.0..=1.0).contains(&part) {
        return Err(format!("`sample` is {part}: it is a part, from 0.0 to 1.0"));
    }
    if rule.mode > Mode::Background {
        return Err(format!(
            "its mode is {:?}, so it cannot have a `sample`",
            rule.mode
        ));
    }
    let outcomes = &when.outcomes;
    if !outcomes.is_empty() && !outcomes.contains(&Outcome::Success) {
        return Err(
            "it has a `sample`, which is for reads that succeed, and holds for none: take it away"
                .to_owned(),
        );
    }
    let methods = &when.methods;
    if !methods.is_empty() && !methods.iter().any(Method::is_safe) {
        return Err(
            "it has a `sample`, which is for reads, and holds for none: take it away".to_owned(),
        );
    }
    if part >= 1.0 {
        return Ok(None);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of 2^32 is less"
    )]
    Ok(Some((part * f64::from(u32::MAX)) as u32))
}

fn conditions(when: &When) -> Result<Conditions, String> {
    known(&when.unknown, "when.", WHEN_KEYS)?;
    let mut paths = each("path_prefix", &when.path_prefix, |path| prefix(path))?;
    // Everything begins with a slash.
    if paths.iter().any(String::is_empty) {
        paths.clear();
    }
    Ok(Conditions {
        methods: each("method", &when.method, |name| method(name))?,
        routes: each("route", &when.route, |pattern| route(pattern))?,
        paths,
        actors: each("actor", &when.actor, |kind| Ok(*kind))?,
        outcomes: each("outcome", &when.outcome, |outcome| final_outcome(*outcome))?,
        statuses: each("status", &when.status, statuses)?,
        tenants: each("tenant", &when.tenant, |tenant| Ok(tenant.clone()))?,
    })
}

/// Checks each of the alternatives, of which there must be one.
fn each<T, U>(
    key: &str,
    alternatives: &Option<Vec<T>>,
    check: impl Fn(&T) -> Result<U, String>,
) -> Result<Vec<U>, String> {
    match alternatives.as_deref() {
        Some([]) => Err(format!(
            "`when.{key}` is empty, so it never holds: name something, or take it away"
        )),
        alternatives => alternatives.unwrap_or_default().iter().map(check).collect(),
    }
}

fn method(name: &str) -> Result<Method, String> {
    let is_word = name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    let method = Method::from_bytes(name.to_ascii_uppercase().as_bytes());
    method.ok().filter(|_| is_word).ok_or_else(|| {
        format!("{name:?} is no method: write each one by itself, as in [\"POST\", \"PUT\"]")
    })
}

fn route(pattern: &str) -> Result<Glob, String> {
    if pattern.contains("/:") {
        return Err(format!(
            "{pattern:?} is no pattern of a route: a parameter is written {{id}}"
        ));
    }
    Glob::parse(pattern, str::to_owned)
        .map_err(|error| format!("{pattern:?} is no pattern of a route: {error}"))
}

fn final_outcome(outcome: Outcome) -> Result<Outcome, String> {
    match outcome {
        Outcome::Pending | Outcome::Unknown => Err(format!(
            "no request has ended {outcome}: that is what a row says whose end nobody knows"
        )),
        outcome => Ok(outcome),
    }
}

fn prefix(path: &str) -> Result<String, String> {
    let never = |c: char| c.is_whitespace() || matches!(c, '*' | '?' | '#' | '{' | '}');
    if path.starts_with('/') && !path.contains("//") && !path.contains(never) {
        return Ok(path.trim_end_matches('/').to_owned());
    }
    Err(format!(
        "{path:?} is no beginning of a path, such as \"/health\": patterns and parameters stand in `route`"
    ))
}

fn statuses(Status(text): &Status) -> Result<RangeInclusive<u16>, String> {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let range = match text.strip_suffix("xx") {
        Some(class) => number(class).map(|class| {
            let first = class.saturating_mul(100);
            first..=first.saturating_add(99)
        }),
        None => {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            number(from).zip(number(to)).map(|(from, to)| from..=to)
        }
    };
    let is_status = |status: &u16| (100..=999).contains(status);
    range
        .filter(|range| is_status(range.start()) && is_status(range.end()) && !range.is_empty())
        .ok_or_else(|| format!("{text:?} is no status: write 404, \"4xx\" or \"500-504\""))
}

/// Refuses keys that nobody knows: a rule with a misspelt condition would hold for everything.
pub(super) fn known(unknown: &Unknown, place: &str, keys: &str) -> Result<(), String> {
    match unknown.keys().next() {
        Some(key) => Err(format!(
            "there is no key `{place}{key}`; the keys there are {keys}"
        )),
        None => Ok(()),
    }
}

const RULE_KEYS: &str = "`name`, `when`, `then`, `mode`, `capture`, `sample`";
const WHEN_KEYS: &str = "`method`, `route`, `path_prefix`, `actor`, `outcome`, `status`, `tenant`";
const CAPTURE_KEYS: &str = "`headers`, `query`, `request_body`, `response_body`";
