//! The annotation itself.

use tower_audit_core::{Action, Text};

/// What a route does: made by [`audited`] and [`unaudited`]. It is a
/// [`Layer`](tower_layer::Layer), and an entry of [`AuditLayer::route`](crate::AuditLayer::route).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    pub(crate) action: Option<Action>,
    pub(crate) target_kind: Option<Text>,
    pub(crate) target_param: Option<Text>,
}

/// Returns an annotation that names the action, such as `project.archive`.
#[must_use]
pub fn audited(action: impl Into<Action>) -> Annotation {
    Annotation {
        action: Some(action.into()),
        target_kind: None,
        target_param: None,
    }
}

/// Returns an annotation that keeps a route out of the trail, whatever happens on it.
#[must_use]
pub fn unaudited() -> Annotation {
    Annotation {
        action: None,
        target_kind: None,
        target_param: None,
    }
}

impl Annotation {
    /// Sets the kind of the target, and the path parameter that is its id: `target("project",
    /// "id")` for `/projects/{id}`. Defaults to what the [convention](crate#names-by-convention)
    /// says.
    #[must_use]
    pub fn target(mut self, kind: impl Into<Text>, param: impl Into<Text>) -> Self {
        self.target_kind = Some(kind.into());
        self.target_param = Some(param.into());
        self
    }

    /// Sets the kind of the target, whose id is not in the path. The handler may add it by
    /// [`AuditContext::target_id`](crate::AuditContext::target_id).
    #[must_use]
    pub fn target_kind(mut self, kind: impl Into<Text>) -> Self {
        self.target_kind = Some(kind.into());
        self
    }

    pub(crate) fn is_skip(&self) -> bool {
        self.action.is_none()
    }
}
