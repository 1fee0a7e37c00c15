//! The policy, and what it decides.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use http::{HeaderName, Method};
use serde::{Deserialize, Deserializer, de};
use tower_audit_core::{EventId, Outcome};

use super::{
    Explanation, PolicyError,
    build::compile,
    rule::{Bodies, Otherwise, Rule, Unknown},
    subject::Subject,
    when::{Compiled, Effect, Fit, Recorded},
};
use crate::mode::Mode;

/// Which requests are recorded, how safely, and what is captured of them; cheap to clone. See the
/// [module page](crate::policy).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Policy {
    /// `None` if there are none: to copy a policy then costs nothing, not even a count that threads share.
    rules: Option<Arc<Rules>>,
    pub(super) otherwise: Otherwise,
}

/// The rules, in their order.
#[derive(Debug, PartialEq, Eq)]
struct Rules {
    all: Vec<Compiled>,
    /// `Some` if there is one that ignores what it matches.
    ignoring: Option<Ignoring>,
}

/// What has to be known of a request to say whether it is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ignoring {
    needs_path: bool,
    needs_route: bool,
}

impl From<Vec<Compiled>> for Rules {
    fn from(all: Vec<Compiled>) -> Self {
        let ignores = all.iter().any(|rule| rule.effect == Effect::Ignore);
        let needs_route = all.iter().any(|rule| !rule.when.routes.is_empty());
        let ignoring = ignores.then(|| Ignoring {
            // What is left out by its route must not climb out of it.
            needs_path: needs_route || all.iter().any(|rule| !rule.when.paths.is_empty()),
            needs_route,
        });
        Self { all, ignoring }
    }
}

/// A policy as it is written.
#[derive(Deserialize)]
struct Written {
    #[serde(default, deserialize_with = "numbered")]
    rules: Option<Vec<Rule>>,
    #[serde(default)]
    otherwise: Option<Otherwise>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// Reads rules, and says in which one something cannot be read.
fn numbered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Rule>>, D::Error> {
    struct Rules;
    impl<'de> de::Visitor<'de> for Rules {
        type Value = Option<Vec<Rule>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of rules")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut rules = Vec::new();
            loop {
                let number = rules.len() + 1;
                let rule = seq.next_element::<Rule>();
                match rule.map_err(|error| de::Error::custom(format!("rule {number}: {error}")))? {
                    Some(rule) => rules.push(rule),
                    None => return Ok(Some(rules)),
                }
            }
        }
    }
    deserializer.deserialize_seq(Rules)
}

impl TryFrom<Written> for Policy {
    type Error = PolicyError;

    fn try_from(written: Written) -> Result<Self, PolicyError> {
        if let Some(key) = written.unknown.into_keys().next() {
            return Err(PolicyError::UnknownKey(key));
        }
        match (written.rules, written.otherwise) {
            (None, Some(otherwise)) => Ok(Self::of(Vec::new(), otherwise)),
            (rules, otherwise) => Ok(Self::of(
                compile(rules.unwrap_or_default())?,
                otherwise.unwrap_or_default(),
            )),
        }
    }
}

impl Policy {
    fn of(rules: Vec<Compiled>, otherwise: Otherwise) -> Self {
        Self {
            rules: (!rules.is_empty()).then(|| Arc::new(rules.into())),
            otherwise,
        }
    }

    /// Returns a builder without rules.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Returns the default, which has no rules: see [`Otherwise::MutationsAndDenials`].
    #[must_use]
    pub fn mutations_and_denials() -> Self {
        Self::default()
    }

    /// Returns the policy that records every request.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(Vec::new(), Otherwise::Record)
    }

    /// Returns the policy that records annotated routes only, not even denials elsewhere.
    #[must_use]
    pub fn annotated_only() -> Self {
        Self::of(Vec::new(), Otherwise::Skip)
    }

    /// Returns which rule decides on this request, and why the ones before it do not: of a [`Subject`], or of an
    /// [`http::Request`], as if it were anonymous and answered 200.
    #[must_use]
    pub fn explain<'a>(&self, subject: impl Into<Subject<'a>>) -> Explanation {
        Explanation::of(self, &subject.into())
    }

    /// Returns what the policy says of a request that has ended.
    pub(crate) fn verdict(&self, subject: &Subject<'_>) -> Verdict<'_> {
        let mut rules = self.rules().iter();
        let Some(rule) = rules.find(|rule| rule.fit(subject) == Fit::Yes) else {
            return match self.otherwise.records(subject) {
                Some(true) => Verdict::Recorded(&PLAIN),
                Some(false) | None => Verdict::Skipped,
            };
        };
        match &rule.effect {
            Effect::Skip => Verdict::Skipped,
            Effect::Ignore => Verdict::Ignored,
            Effect::Record(recorded) => Verdict::Recorded(recorded),
        }
    }

    /// Returns whether it is known of a request that arrives, of this path and route, that it is ignored.
    fn ignores<'a>(
        &self,
        method: &Method,
        path: impl FnOnce() -> &'a str,
        route: impl FnOnce() -> Option<&'a str>,
    ) -> bool {
        let Some(rules) = self.rules.as_deref() else {
            return false;
        };
        let Some(ignoring) = rules.ignoring else {
            return false;
        };
        let path = if ignoring.needs_path { path() } else { "" };
        let mut subject = Subject::arriving(method.clone(), path);
        subject.route = ignoring
            .needs_route
            .then(route)
            .flatten()
            .map(Cow::Borrowed);
        for rule in &rules.all {
            match rule.fit(&subject) {
                Fit::No(_) => {}
                Fit::Yes => return rule.effect == Effect::Ignore,
                Fit::Maybe => return false,
            }
        }
        false
    }

    /// Returns what has to be known of a request before its handler runs.
    pub(crate) fn plan(&self, subject: &Subject<'_>) -> Plan {
        let mut plan = Plan {
            is_certain: true,
            ..Plan::default()
        };
        for rule in self.rules() {
            let fit = rule.fit(subject);
            match &rule.effect {
                _ if matches!(fit, Fit::No(_)) => continue,
                Effect::Skip | Effect::Ignore => plan.is_certain = false,
                Effect::Record(recorded) => plan.include(recorded, &subject.method),
            }
            if fit == Fit::Yes {
                return plan;
            }
        }
        plan.is_certain &= self.otherwise.records(subject) == Some(true);
        plan
    }

    pub(super) fn rules(&self) -> &[Compiled] {
        let rules = self.rules.as_deref();
        rules.map(|rules| &*rules.all).unwrap_or_default()
    }

    /// Returns whether there are rules, which look at more of a request than its method and its outcome.
    pub(crate) fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Returns whether a rule asks for pending rows.
    pub(crate) fn is_strict(&self) -> bool {
        self.rules().iter().any(|rule| match &rule.effect {
            Effect::Skip | Effect::Ignore => false,
            Effect::Record(recorded) => recorded.mode == Mode::Strict,
        })
    }
}

/// What the policy says of a request that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It is recorded so, if it is in the sample.
    Recorded(&'a Recorded),
    /// It is not, unless somebody inside says otherwise.
    Skipped,
    /// It is not, whatever anybody says.
    Ignored,
}

impl<'a> Verdict<'a> {
    /// Returns how the request is recorded, if the policy says so.
    pub(crate) fn recorded(self) -> Option<&'a Recorded> {
        match self {
            Self::Recorded(recorded) => Some(recorded),
            Self::Skipped | Self::Ignored => None,
        }
    }
}

impl Recorded {
    /// Returns whether a request that ended so is in the sample.
    pub(crate) fn samples(&self, subject: &Subject<'_>, id: impl FnOnce() -> EventId) -> bool {
        match self.sample {
            Some(part) if subject.is_successful_read() => lot(id()) < part,
            _ => true,
        }
    }
}

impl Otherwise {
    /// Returns whether such a request is recorded; `None` if that is not known yet.
    pub(super) fn records(self, subject: &Subject<'_>) -> Option<bool> {
        match self {
            Self::Record => Some(true),
            Self::Skip => Some(false),
            Self::MutationsAndDenials if is_mutation(&subject.method) => Some(true),
            Self::MutationsAndDenials => {
                let end = subject.end.as_ref();
                end.map(|end| end.outcome == Outcome::Denied)
            }
        }
    }
}

fn is_mutation(method: &Method) -> bool {
    !method.is_safe() && method != Method::CONNECT
}

/// Returns a number of which each is as likely as any other: the last bits of the id, which are random in a
/// UUIDv7 whether or not it has a counter (RFC 9562, section 6.2).
fn lot(id: EventId) -> u32 {
    let [.., a, b, c, d] = id.as_uuid().into_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// What has to be known of a request before its handler runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// It is recorded however it ends.
    pub(crate) is_certain: bool,
    pub(crate) mode: Mode,
    /// Which headers may be captured.
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) has_request_body: bool,
    pub(crate) has_response_body: bool,
}

impl Plan {
    fn include(&mut self, recorded: &Recorded, method: &Method) {
        // Only reads are sampled.
        self.is_certain &= recorded.sample.is_none() || !method.is_safe();
        self.mode = self.mode.max(recorded.mode);
        for name in &recorded.headers {
            if !self.headers.contains(name) {
                self.headers.push(name.clone());
            }
        }
        self.has_request_body |= recorded.request_body != Bodies::Never;
        self.has_response_body |= recorded.response_body != Bodies::Never;
    }
}

/// Builds a [`Policy`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct PolicyBuilder {
    rules: Vec<Rule>,
    otherwise: Otherwise,
}

impl PolicyBuilder {
    /// Adds a rule behind the others. The first one that holds decides.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Sets what happens to requests that no rule matches. Defaults to [`Otherwise::MutationsAndDenials`].
    pub fn otherwise(mut self, otherwise: Otherwise) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// Returns the policy.
    ///
    /// # Errors
    ///
    /// Returns [`PolicyError`], which names the rule, if there are none, or one cannot be meant or can never be
    /// reached.
    pub fn build(self) -> Result<Policy, PolicyError> {
        Ok(Policy::of(compile(self.rules)?, self.otherwise))
    }
}

/// The policy of a layer, which may be swapped while requests are running.
#[derive(Debug, Default)]
pub(crate) struct PolicyCell(ArcSwap<Policy>);

impl PolicyCell {
    pub(crate) fn new(policy: Policy) -> Self {
        Self(ArcSwap::from_pointee(policy))
    }

    pub(crate) fn current(&self) -> Policy {
        Policy::clone(&self.0.load())
    }

    /// Returns whether a request that arrives is ignored.
    pub(crate) fn ignores<'a>(
        &self,
        method: &Method,
        path: impl FnOnce() -> &'a str,
        route: impl FnOnce() -> Option<&'a str>,
    ) -> bool {
        self.0.load().ignores(method, path, route)
    }

    pub(crate) fn set(&self, policy: Policy) {
        self.0.store(Arc::new(policy));
    }
}

/// How what no rule matches is recorded.
static PLAIN: LazyLock<Recorded> = LazyLock::new(Recorded::default);
