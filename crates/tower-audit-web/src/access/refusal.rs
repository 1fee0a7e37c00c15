//! Why somebody may see nothing.

use http::{HeaderValue, StatusCode};
use tower_audit_core::Actor;

/// Why somebody may see nothing of the trail. It is recorded as a refused view.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(crate) facts: Box<Facts>,
}

#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) status: StatusCode,
    pub(crate) actor: Actor,
    pub(crate) challenge: Option<HeaderValue>,
    pub(crate) login: Option<String>,
}

impl Refusal {
    /// Nobody knows who asks: 401.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::of(StatusCode::UNAUTHORIZED)
    }

    /// Who asks may not: 403.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::of(StatusCode::FORBIDDEN)
    }

    /// Whoever decides cannot be asked: 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn of(status: StatusCode) -> Self {
        let facts = Facts {
            status,
            actor: Actor::anonymous(),
            challenge: None,
            login: None,
        };
        Self {
            facts: Box::new(facts),
        }
    }

    /// Sets who asked, for the record. Defaults to nobody that is known.
    #[must_use]
    pub fn actor(mut self, actor: Actor) -> Self {
        self.facts.actor = actor;
        self
    }

    /// Sets the `WWW-Authenticate` of the answer, such as `Basic realm="audit"`. Defaults to none.
    #[must_use]
    pub fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.facts.challenge = Some(challenge);
        self
    }

    /// Sets where the page of the viewer links to for signing in, such as `/login`. Defaults to nowhere.
    #[must_use]
    pub fn login(mut self, path: impl Into<String>) -> Self {
        self.facts.login = Some(path.into());
        self
    }
}
