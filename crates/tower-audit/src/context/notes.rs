//! What was said about a request so far.

use std::sync::Arc;

use tower_audit_core::{Action, Actor, Metadata, Outcome, Target, Text};

use crate::{annotation::Annotation, route::Template};

/// What was said about a request so far. Whatever was said last counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) actor: Option<Actor>,
    pub(crate) action: Option<Action>,
    pub(crate) target: Option<Target>,
    pub(crate) target_id: Option<Text>,
    pub(crate) tenant_id: Option<Text>,
    pub(crate) outcome: Option<Outcome>,
    /// An audited function named the request.
    pub(crate) is_claimed: bool,
    /// How that function failed, if it did.
    pub(crate) failed: Option<Outcome>,
    pub(crate) reason: Option<Text>,
    pub(crate) metadata: Metadata,
    pub(crate) mark: Option<Mark>,
    pub(crate) annotation: Option<Arc<Annotation>>,
    /// The template that the router matched, seen from inside: a layer around the router does not
    /// see it.
    pub(crate) template: Option<Template>,
}

/// Whether the request is recorded, said by the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Record,
    Skip,
}
