//! Which events a reader asks for.

use chrono::{DateTime, Utc};

use crate::event::{ActorKind, AuditEvent, Outcome};

/// Which events a reader asks for. Everything that is set must hold.
///
/// ```
/// use tower_audit_core::{Filter, Outcome};
///
/// let refused = Filter::new().actor_id("alice").outcome(Outcome::Denied);
/// assert_eq!(refused.actor_id.as_deref(), Some("alice"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Filter {
    /// Only events of this actor.
    pub actor_id: Option<String>,
    /// Only events of actors of this kind.
    pub actor_kind: Option<ActorKind>,
    /// Only events on resources of this kind.
    pub target_kind: Option<String>,
    /// Only events on this resource.
    pub target_id: Option<String>,
    /// Only events of this action.
    pub action: Option<String>,
    /// Only events that ended so.
    pub outcome: Option<Outcome>,
    /// Only events of this tenant.
    pub tenant_id: Option<String>,
    /// Only events at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only events before this time.
    pub until: Option<DateTime<Utc>>,
}

impl Filter {
    /// Returns the filter that every event passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the events of this actor.
    #[must_use]
    pub fn actor_id(mut self, id: impl Into<String>) -> Self {
        self.actor_id = Some(id.into());
        self
    }

    /// Asks for the events of actors of this kind.
    #[must_use]
    pub fn actor_kind(mut self, kind: ActorKind) -> Self {
        self.actor_kind = Some(kind);
        self
    }

    /// Asks for the events on resources of this kind.
    #[must_use]
    pub fn target_kind(mut self, kind: impl Into<String>) -> Self {
        self.target_kind = Some(kind.into());
        self
    }

    /// Asks for the events on this resource.
    #[must_use]
    pub fn target_id(mut self, id: impl Into<String>) -> Self {
        self.target_id = Some(id.into());
        self
    }

    /// Asks for the events of this action.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Asks for the events that ended so.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Asks for the events of this tenant.
    #[must_use]
    pub fn tenant_id(mut self, id: impl Into<String>) -> Self {
        self.tenant_id = Some(id.into());
        self
    }

    /// Asks for the events at this time or later.
    #[must_use]
    pub fn from(mut self, time: DateTime<Utc>) -> Self {
        self.from = Some(time);
        self
    }

    /// Asks for the events before this time.
    #[must_use]
    pub fn until(mut self, time: DateTime<Utc>) -> Self {
        self.until = Some(time);
        self
    }

    /// Returns `true` if the event passes.
    #[must_use]
    pub fn matches(&self, event: &AuditEvent) -> bool {
        fn is(wanted: Option<&String>, found: &str) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        is(self.actor_id.as_ref(), event.actor().id())
            && self
                .actor_kind
                .is_none_or(|kind| kind == event.actor().kind())
            && is(self.target_kind.as_ref(), event.target().kind())
            && is(self.target_id.as_ref(), event.target().id())
            && is(self.action.as_ref(), event.action())
            && self
                .outcome
                .is_none_or(|outcome| outcome == event.outcome())
            && self
                .tenant_id
                .as_ref()
                .is_none_or(|tenant| event.tenant_id() == Some(tenant))
            && self.from.is_none_or(|from| event.created_at() >= from)
            && self.until.is_none_or(|until| event.created_at() < until)
    }
}
