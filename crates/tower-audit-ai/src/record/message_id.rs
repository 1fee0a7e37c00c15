//! The identity of a trail.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The identity of a trail: the id of the message that the call answers, which the app chose. Cheap to clone.
///
/// ```
/// use tower_audit_ai::MessageId;
///
/// let id: MessageId = "msg_01JD".parse()?;
/// assert_eq!(id.as_str(), "msg_01JD");
/// # Ok::<_, tower_audit_ai::MessageIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// Returns it as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for MessageId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        is_id(text).then(|| Self(text.into())).ok_or(MessageIdError)
    }
}

impl TryFrom<String> for MessageId {
    type Error = MessageIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Returns whether text is an id that every database takes, and an index, and as a part of its path the page that shows it.
pub(crate) fn is_id(text: &str) -> bool {
    let is_in_the_way = matches!(text.trim(), "" | "." | "..");
    text.len() <= LONGEST_ID && !is_in_the_way && !text.chars().any(char::is_control)
}

/// How many bytes an id has at most.
pub(crate) const LONGEST_ID: usize = 255;

/// It is no message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a message id has 1 to {LONGEST_ID} bytes, no control characters, and more than blanks or dots"
)]
pub struct MessageIdError;
