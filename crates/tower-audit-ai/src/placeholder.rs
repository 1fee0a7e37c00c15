//! How a trail begins.

use chrono::{DateTime, SubsecRound, Utc};
use tower_audit_core::{Actor, EventId, changes::ChangeContext};

use crate::{
    MessageId, MessageIdError, Trail,
    record::{LONGEST_ID, is_id},
};

/// A call that begins: what is known of it before the model has answered.
///
/// ```
/// use tower_audit_ai::Trail;
/// use tower_audit_core::Actor;
///
/// let placeholder = Trail::placeholder("msg_1", "project-7", "large-2026")?
///     .context_layers(3)
///     .actor(Actor::user("alice"));
/// # let _ = placeholder;
/// # Ok::<_, tower_audit_ai::PlaceholderError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it is recorded by `Trails::begin` or `Trails::start`"]
pub struct Placeholder {
    pub(crate) message_id: MessageId,
    pub(crate) project_id: String,
    pub(crate) model: String,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) context_layers: u32,
    pub(crate) actor: Option<Actor>,
    pub(crate) request_id: Option<String>,
    pub(crate) event_id: Option<EventId>,
}

impl Trail {
    /// Returns a call that begins now.
    ///
    /// # Errors
    ///
    /// Returns an error if the message id or the project id is none.
    pub fn placeholder(
        message_id: &str,
        project_id: impl Into<String>,
        model: impl Into<String>,
    ) -> Result<Placeholder, PlaceholderError> {
        let project_id = project_id.into();
        if !is_id(&project_id) {
            return Err(PlaceholderError::ProjectId);
        }
        Ok(Placeholder {
            message_id: message_id.parse()?,
            project_id,
            model: text(model.into(), LONGEST_NAME),
            started_at: Utc::now().trunc_subsecs(6),
            context_layers: 0,
            actor: None,
            request_id: None,
            event_id: None,
        })
    }
}

impl Placeholder {
    /// Sets when the call began. Defaults to when this was made.
    pub fn started_at(mut self, time: DateTime<Utc>) -> Self {
        self.started_at = time.trunc_subsecs(6);
        self
    }

    /// Sets how many layers of context the prompt has. Defaults to 0.
    pub fn context_layers(mut self, layers: u32) -> Self {
        self.context_layers = layers;
        self
    }

    /// Sets on whose behalf the call is made. Defaults to nobody.
    pub fn actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Sets the request that the call is made in. Defaults to none.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(text(id.into(), LONGEST_NAME));
        self
    }

    /// Sets the audit event of that request. Defaults to none.
    pub fn event_id(mut self, id: EventId) -> Self {
        self.event_id = Some(id);
        self
    }

    /// Sets the actor, the request and the event from a context, such as that of the request that is being answered.
    pub fn context(mut self, context: impl Into<ChangeContext>) -> Self {
        let context = context.into();
        self.request_id = context.request().map(str::to_owned);
        self.event_id = context.event();
        self.actor(context.actor().clone())
    }
}

/// A call cannot begin like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceholderError {
    /// It is no message id.
    #[error(transparent)]
    MessageId(#[from] MessageIdError),
    /// It is no project id. It is not cut: it would be another project's.
    #[error(
        "a project id has 1 to {LONGEST_ID} bytes, no control characters, and more than blanks or dots"
    )]
    ProjectId,
}

/// Returns text that every database takes, and that is not longer than so many bytes.
pub(crate) fn text(mut text: String, longest: usize) -> String {
    if text.contains('\0') {
        text = text.replace('\0', "\u{FFFD}");
    }
    if text.len() > longest {
        let end = (0..=longest)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or_default();
        text.truncate(end);
    }
    text
}

/// How many bytes a name has at most.
pub(crate) const LONGEST_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_id_is_taken_as_it_is_or_not_at_all() {
        let longest = "p".repeat(LONGEST_ID);
        let placeholder = Trail::placeholder("m", &longest, "model").unwrap();
        assert_eq!(placeholder.project_id, longest);
        let wrong = ["", "a\nb", "a\0b", " ", "..", &format!("{longest}p")];
        for wrong in wrong {
            assert_eq!(
                Trail::placeholder("m", wrong, "model"),
                Err(PlaceholderError::ProjectId)
            );
        }
        let no_message = Trail::placeholder("", "p", "model");
        assert_eq!(
            no_message.unwrap_err().to_string(),
            "a message id has 1 to 255 bytes, no control characters, and more than blanks or dots"
        );
    }
}
