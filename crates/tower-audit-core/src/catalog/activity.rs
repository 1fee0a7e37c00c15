//! What is done to a resource.

use crate::event::{Action, Actor, AuditEvent, AuditEventBuilder, Target, Text};

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    kind: &'static str,
}

impl Resource {
    /// Returns the resource of this kind, such as `invoice`: one word in the singular, in lower case, with
    /// underscores.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self { kind }
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        self.kind
    }

    /// Returns that the resource of this id was created.
    pub fn created(self, id: impl Into<Text>) -> Activity {
        self.did("create", id)
    }

    /// Returns that the resource of this id was updated.
    pub fn updated(self, id: impl Into<Text>) -> Activity {
        self.did("update", id)
    }

    /// Returns that the resource of this id was deleted.
    pub fn deleted(self, id: impl Into<Text>) -> Activity {
        self.did("delete", id)
    }

    /// Returns that something else was done to the resource of this id: a verb in base form, such as `send`.
    pub fn did(self, verb: &str, id: impl Into<Text>) -> Activity {
        Activity {
            action: Action::new(format!("{}.{verb}", self.kind)),
            target: Target::new(Text::from_static(self.kind), id),
        }
    }
}

/// What is done, and to which resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an activity is recorded by whoever is told of it"]
pub struct Activity {
    action: Action,
    target: Target,
}

impl Activity {
    pub(super) fn known(action: &'static str, kind: &'static str, id: Text) -> Self {
        Self {
            action: Action::new(Text::from_static(action)),
            target: Target::new(Text::from_static(kind), id),
        }
    }

    /// Returns what is done.
    #[must_use]
    pub fn action(&self) -> &str {
        self.action.as_str()
    }

    /// Returns what it is done to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns a builder of the event that says that this actor did it, for
    /// [`Auditor::record`](crate::Auditor::record).
    pub fn by(self, actor: Actor) -> AuditEventBuilder {
        AuditEvent::builder(actor, self.action, self.target)
    }

    /// Returns the action and the target.
    #[must_use]
    pub fn into_parts(self) -> (Action, Target) {
        (self.action, self.target)
    }
}
