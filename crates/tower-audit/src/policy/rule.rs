//! A rule as it is written, in code or in a file. What it says is checked when the policy is built.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use tower_audit_core::{ActorKind, Outcome};

use super::status::Status;
use crate::mode::Mode;

/// One rule of a [`Policy`](super::Policy): when it holds, and what happens then.
///
/// All that it names must hold; what it does not name holds always.
///
/// ```
/// use http::Method;
/// use tower_audit::{Mode, Outcome, policy::{Bodies, Capture, Rule}};
///
/// let rule = Rule::record("payments")
///     .methods([Method::POST])
///     .route("/payments/**")
///     .mode(Mode::Durable)
///     .capture(Capture::metadata().headers(["x-client-version"]).request_body(Bodies::OnFailure));
/// # let _ = rule;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[must_use = "a rule does nothing until it is in a policy"]
pub struct Rule {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) when: When,
    pub(super) then: Then,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) capture: Capture,
    #[serde(default)]
    pub(super) sample: Option<f64>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// Keys that nobody knows, kept so that the error can name the rule.
pub(super) type Unknown = BTreeMap<String, IgnoredAny>;

/// What happens to a request that the rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    #[default]
    Record,
    Skip,
    Ignore,
}

/// What must hold of a request.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct When {
    #[serde(deserialize_with = "given")]
    pub(super) method: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    pub(super) route: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    pub(super) path_prefix: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    pub(super) actor: Option<Vec<ActorKind>>,
    #[serde(deserialize_with = "given")]
    pub(super) outcome: Option<Vec<Outcome>>,
    #[serde(deserialize_with = "given")]
    pub(super) status: Option<Vec<Status>>,
    #[serde(deserialize_with = "given")]
    pub(super) tenant: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// Reads what is given. A null is not left out: a condition without a value would hold for everything.
fn given<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Vec::deserialize(deserializer).map(Some)
}

impl Rule {
    /// Returns a rule that records what it matches.
    pub fn record(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Returns a rule that leaves out what it matches, unless its route is annotated or its handler says otherwise.
    pub fn skip(name: impl Into<String>) -> Self {
        Self {
            then: Then::Skip,
            ..Self::record(name)
        }
    }

    /// Returns a rule whose requests pass as if this audit layer were not around them: nothing inside can bring them
    /// back, neither an annotation nor the handler, and they cost next to nothing. For what nobody will ever ask about,
    /// such as health checks and metrics. Another audit layer inside of this one decides for itself, and so does a
    /// [`Job`](crate::call::Job) that a handler runs.
    ///
    /// It may look at the method, the route and the path, which are known when a request arrives. Behind a rule that
    /// may hold of the same request depending on how it ends, the request costs what others cost, and what was recorded
    /// before its end stays: a pending row of [`Strict`](crate::Mode::Strict) mode, and a function that has a row of
    /// its own.
    ///
    /// Code inside that asks for its [`AuditContext`](crate::AuditContext) finds one that keeps nothing, as long as it
    /// works on the request in the same task: behind tower's `Buffer`, take an `Option<AuditContext>` there, and give a
    /// route that is ignored no [mode](crate::mode).
    ///
    /// What is ignored is decided by the method and the path that the client sent: a service behind this one that takes
    /// another spelling for the same path, or the method from a header, is not known here.
    pub fn ignore(name: impl Into<String>) -> Self {
        Self {
            then: Then::Ignore,
            ..Self::record(name)
        }
    }

    /// Returns a rule that [ignores](Self::ignore) health checks: GET and HEAD of `/health`, `/healthz`, `/livez`,
    /// `/readyz`, `/ping` and what is below them, however they end. Put a rule for failures before it to keep those.
    pub fn ignore_health_checks() -> Self {
        HEALTH
            .into_iter()
            .fold(Self::ignore("health checks"), Self::path_prefix)
            .methods([Method::GET, Method::HEAD])
    }

    /// Adds methods, of which the request has one.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        let methods = methods.into_iter().map(|method| method.to_string());
        self.when.method.get_or_insert_default().extend(methods);
        self
    }

    /// Adds a pattern that the template of the route is of, such as `/projects/{id}`, `/projects/*` or
    /// `/admin/**`: `*` stands for one segment, `**` for any number of them. A rule that
    /// skips or ignores does not hold for a path with dot segments.
    pub fn route(mut self, pattern: impl Into<String>) -> Self {
        let patterns = self.when.route.get_or_insert_default();
        patterns.push(pattern.into());
        self
    }

    /// Adds a path that the path of the request is, or is below: `/health` holds for `/health` and
    /// `/health/live`, and not for `/healthcare`. A rule that skips or ignores does not hold for a path with dot
    /// segments.
    pub fn path_prefix(mut self, path: impl Into<String>) -> Self {
        let paths = self.when.path_prefix.get_or_insert_default();
        paths.push(path.into());
        self
    }

    /// Adds kinds of actors, of which the request has one.
    pub fn actors(mut self, kinds: impl IntoIterator<Item = ActorKind>) -> Self {
        self.when.actor.get_or_insert_default().extend(kinds);
        self
    }

    /// Adds outcomes, of which the request has one.
    pub fn outcomes(mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        self.when.outcome.get_or_insert_default().extend(outcomes);
        self
    }

    /// Adds a range of statuses, such as `"404"`, `"4xx"` or `"500-504"`, of which the response has one.
    pub fn status(mut self, range: impl Into<String>) -> Self {
        let statuses = self.when.status.get_or_insert_default();
        statuses.push(Status(range.into()));
        self
    }

    /// Adds a tenant whose request it is.
    pub fn tenant(mut self, id: impl Into<String>) -> Self {
        self.when.tenant.get_or_insert_default().push(id.into());
        self
    }

    /// Sets how safe the record is before the client has its answer. Defaults to [`Mode::Background`]. See
    /// [`mode`](crate::mode).
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets what is captured. Defaults to [`Capture::metadata`].
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = capture;
        self
    }

    /// Sets which part of the successful reads is recorded, from 0.0 to 1.0. Defaults to all. What changes
    /// something and what fails is recorded whatever this says.
    pub fn sample(mut self, part: f64) -> Self {
        self.sample = Some(part);
        self
    }
}

/// What is captured of a request beside what has a column of its own: by default nothing.
///
/// Everything passes through the [`Redaction`](crate::privacy::Redaction) of the layer first.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[must_use = "it does nothing until it is in a rule"]
pub struct Capture {
    pub(super) headers: Vec<String>,
    pub(super) query: bool,
    pub(super) request_body: Bodies,
    pub(super) response_body: Bodies,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

impl Capture {
    /// Returns the default: what has a column of its own, and nothing else.
    pub fn metadata() -> Self {
        Self::default()
    }

    /// Adds request headers by name. There is no way to ask for all of them.
    pub fn headers<I: IntoIterator<Item: Into<String>>>(mut self, names: I) -> Self {
        self.headers.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds the query string, as an object.
    pub fn query(mut self) -> Self {
        self.query = true;
        self
    }

    /// Sets when the request body is captured, if it is JSON. Defaults to [`Bodies::Never`].
    pub fn request_body(mut self, when: Bodies) -> Self {
        self.request_body = when;
        self
    }

    /// Sets when the response body is captured, if it is JSON. Defaults to [`Bodies::Never`].
    pub fn response_body(mut self, when: Bodies) -> Self {
        self.response_body = when;
        self
    }
}

/// When a body is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bodies {
    /// Never. The default.
    #[default]
    Never,
    /// If the request did not succeed. Until that is known it is held in memory, up to the limit.
    OnFailure,
    /// Always.
    Always,
}

impl Bodies {
    /// Returns whether the body of a request that ended so is captured.
    pub(crate) fn include(self, outcome: Outcome) -> bool {
        match self {
            Self::Never => false,
            Self::OnFailure => outcome != Outcome::Success,
            Self::Always => true,
        }
    }
}

/// What no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Otherwise {
    /// What may change something is recorded, and every denial. The default.
    ///
    /// What may change something is every method but GET, HEAD, OPTIONS and TRACE, which RFC 9110 calls
    /// safe, and CONNECT, which opens a tunnel.
    #[default]
    MutationsAndDenials,
    /// It is recorded.
    Record,
    /// It is not.
    Skip,
}

const HEALTH: [&str; 5] = ["/health", "/healthz", "/livez", "/readyz", "/ping"];
