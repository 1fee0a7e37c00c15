//! What a policy decides on.

use std::borrow::Cow;

use http::{Method, Request};
use tower_audit_core::{ActorKind, Outcome};

use crate::route::{Template, original_uri};

/// What a policy decides on: a request and how it ended. For [`Policy::explain`](super::Policy::explain).
///
/// ```
/// use http::Method;
/// use tower_audit::{ActorKind, Outcome, policy::Subject};
///
/// let subject = Subject::new(Method::DELETE, "/projects/7")
///     .route("/projects/{id}")
///     .actor(ActorKind::ApiKey)
///     .status(403);
/// # let _ = subject;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    pub(super) method: Method,
    pub(super) path: Cow<'a, str>,
    pub(super) route: Option<Cow<'a, str>>,
    /// `None` before the handler has run.
    pub(super) end: Option<End<'a>>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End<'a> {
    pub(super) actor: ActorKind,
    pub(super) outcome: Outcome,
    pub(super) status: Option<u16>,
    pub(super) tenant: Option<Cow<'a, str>>,
}

impl<'a> From<&Self> for Subject<'a> {
    fn from(subject: &Self) -> Self {
        subject.clone()
    }
}

impl<'a, B> From<&'a Request<B>> for Subject<'a> {
    fn from(req: &'a Request<B>) -> Self {
        let uri = original_uri(req.uri(), req.extensions());
        let subject = Self::new(req.method().clone(), uri.path().to_owned());
        match Template::of(req.extensions()) {
            Some(template) => subject.route(template.as_str().to_owned()),
            None => subject,
        }
    }
}

impl<'a> Subject<'a> {
    /// Returns a request of an anonymous actor that was answered 200, on no route.
    #[must_use]
    pub fn new(method: Method, path: impl Into<Cow<'a, str>>) -> Self {
        let end = End {
            actor: ActorKind::Anonymous,
            outcome: Outcome::Success,
            status: Some(200),
            tenant: None,
        };
        Self {
            end: Some(end),
            ..Self::arriving(method, path.into())
        }
    }

    /// Returns a request whose handler has not run.
    pub(crate) fn arriving(method: Method, path: impl Into<Cow<'a, str>>) -> Self {
        Self {
            method,
            path: path.into(),
            route: None,
            end: None,
        }
    }

    /// Sets the template of the route. Defaults to none.
    #[must_use]
    pub fn route(mut self, template: impl Into<Cow<'a, str>>) -> Self {
        self.route = Some(template.into());
        self
    }

    /// Sets the kind of the actor. Defaults to anonymous.
    #[must_use]
    pub fn actor(self, kind: ActorKind) -> Self {
        self.ended(|end| end.actor = kind)
    }

    /// Sets the tenant. Defaults to none.
    #[must_use]
    pub fn tenant(self, id: impl Into<Cow<'a, str>>) -> Self {
        let id = id.into();
        self.ended(|end| end.tenant = Some(id))
    }

    /// Sets the status, and the outcome that it stands for. Defaults to 200.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.ended(|end| {
            end.status = Some(status);
            end.outcome = Outcome::of_status(status);
        })
    }

    /// Sets the outcome alone. Defaults to success.
    #[must_use]
    pub fn outcome(self, outcome: Outcome) -> Self {
        self.ended(|end| end.outcome = outcome)
    }

    /// Takes back the status: the service failed before it had one.
    pub(crate) fn maybe_status(self, status: Option<u16>) -> Self {
        self.ended(|end| end.status = status)
    }

    fn ended(mut self, set: impl FnOnce(&mut End<'a>)) -> Self {
        if let Some(end) = &mut self.end {
            set(end);
        }
        self
    }

    /// Returns whether it read something and succeeded.
    pub(super) fn is_successful_read(&self) -> bool {
        let has_succeeded = |end: &End<'_>| end.outcome == Outcome::Success;
        self.method.is_safe() && self.end.as_ref().is_some_and(has_succeeded)
    }
}
