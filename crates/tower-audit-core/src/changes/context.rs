//! On whose behalf rows are changed.

use crate::event::{Actor, EventId, Text};

/// On whose behalf rows are changed: what a transaction tells the triggers.
///
/// In a handler it comes from the request. Elsewhere:
///
/// ```
/// use tower_audit_core::{Actor, changes::ChangeContext};
///
/// let context = ChangeContext::new(Actor::user("alice")).request_id("7f3c").tenant_id("acme");
/// assert_eq!(context.actor().id(), "alice");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until a transaction begins with it"]
pub struct ChangeContext {
    actor: Actor,
    request_id: Option<Text>,
    event_id: Option<EventId>,
    tenant_id: Option<Text>,
}

impl ChangeContext {
    /// Returns the context of what this actor does.
    pub fn new(actor: Actor) -> Self {
        Self {
            actor,
            request_id: None,
            event_id: None,
            tenant_id: None,
        }
    }

    /// Sets the id of the request. Defaults to none.
    pub fn request_id(mut self, id: impl Into<Text>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Sets the audit event that the changes belong to. Defaults to none.
    pub fn event_id(mut self, id: EventId) -> Self {
        self.event_id = Some(id);
        self
    }

    /// Sets the tenant. Defaults to none.
    pub fn tenant_id(mut self, id: impl Into<Text>) -> Self {
        self.tenant_id = Some(id.into());
        self
    }

    /// Returns who does it.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the id of the request.
    #[must_use]
    pub fn request(&self) -> Option<&str> {
        self.request_id.as_ref().map(Text::as_str)
    }

    /// Returns the audit event that the changes belong to.
    #[must_use]
    pub fn event(&self) -> Option<EventId> {
        self.event_id
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant_id.as_ref().map(Text::as_str)
    }
}
