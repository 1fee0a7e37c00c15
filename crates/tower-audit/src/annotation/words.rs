//! The annotation itself.

use tower_audit_core::{Action, Text};

use crate::mode::Mode;

/// What a route does: made by [`audited`] and [`unaudited`]. It is a
/// [`Layer`](tower_layer::Layer), and an entry of [`AuditLayer::route`](crate::AuditLayer::route).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    pub(crate) action: Option<Action>,
    pub(crate) target_kind: Option<Text>,
    pub(crate) target_param: Option<Text>,
    pub(crate) mode: Mode,
    pub(crate) has_id_in_location: bool,
}

/// Returns an annotation that names the action, such as `project.archive`.
#[must_use]
pub fn audited(action: impl Into<Action>) -> Annotation {
    Annotation {
        action: Some(action.into()),
        target_kind: None,
        target_param: None,
        mode: Mode::Background,
        has_id_in_location: false,
    }
}

/// Returns an annotation that keeps a route out of the trail, whatever happens on it. Around a handler
/// it comes too late where the [mode](crate::mode) of the layer, or of a rule, is `Strict`; in the table of the layer it
/// does not.
#[must_use]
pub fn unaudited() -> Annotation {
    Annotation {
        action: None,
        target_kind: None,
        target_param: None,
        mode: Mode::Background,
        has_id_in_location: false,
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

    /// Takes the id of the target from the `Location` header of a response of 201 or any other 2xx, as for
    /// something that was just created: the last segment of its path. A redirection may lead anywhere, and is not
    /// looked at. What the handler says goes before it. Defaults to not.
    ///
    /// ```
    /// use tower_audit::audited;
    ///
    /// let create = audited("project.create").target_kind("project").id_from_location();
    /// # let _ = create;
    /// ```
    #[must_use]
    pub fn id_from_location(mut self) -> Self {
        self.has_id_in_location = true;
        self
    }

    /// Sets how safe the record is before the client has its answer. Defaults to
    /// [`Mode::Background`], or what the [layer](crate::AuditLayer::mode) says, if that is more. See
    /// [`mode`](crate::mode).
    ///
    /// # Panics
    ///
    /// Panics for a route that is [`unaudited`]: it has no record that could be safe.
    #[must_use]
    #[track_caller]
    pub fn mode(mut self, mode: Mode) -> Self {
        assert!(
            !self.is_skip() || mode == Mode::Background,
            "an unaudited route has no record that could be {mode:?}"
        );
        self.mode = mode;
        self
    }

    pub(crate) fn is_skip(&self) -> bool {
        self.action.is_none()
    }
}
