//! Closed vocabularies, and the short words of an event.

use std::{borrow::Borrow, fmt};

use super::text::{MAX_ID, Text};

/// The longest action, kind or code, in bytes.
pub(super) const MAX_WORD: usize = 128;

/// Lists the words of a closed vocabulary. The text of a word is what the database checks.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $error:ident, $message:literal {
        $($(#[$word_doc:meta])* $word:ident = $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl $name {
            /// Every word, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// Returns the word as it is stored.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or($error(()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        /// The text is not one of the known words.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error(());
    };
}

pub(crate) use words;

words! {
    /// How it ended.
    ///
    /// ```
    /// use tower_audit_core::Outcome;
    ///
    /// assert_eq!(Outcome::of_status(302), Outcome::Success);
    /// assert_eq!(Outcome::of_status(403), Outcome::Denied);
    /// assert_eq!(Outcome::of_status(404), Outcome::Failure);
    /// ```
    Outcome, ParseOutcomeError,
    "an outcome is `success`, `denied`, `failure`, `aborted`, `pending` or `unknown`" {
        /// It was done: 1xx, 2xx or 3xx.
        Success = "success",
        /// It was refused: 401 or 403.
        Denied = "denied",
        /// It failed: any other 4xx, 5xx, an error of the inner service, a panic.
        Failure = "failure",
        /// The client left, or the future or the response body was dropped.
        Aborted = "aborted",
        /// The intent is stored and the handler is still running.
        Pending = "pending",
        /// A pending row that nobody completed.
        Unknown = "unknown",
    }
}

impl Outcome {
    /// Returns the outcome that an HTTP status stands for.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Denied,
            0..=399 => Self::Success,
            _ => Self::Failure,
        }
    }
}

/// What was done: `resource.verb` in base form, such as `project.delete`.
///
/// Attempts fail too, so the verb has no past tense; the [`Outcome`] says how it ended. The form is
/// a convention that readers rely on (`project.*`), not a rule that is enforced. An action is cut
/// to 128 bytes, and an empty one becomes `unnamed`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action(Text);

impl Action {
    /// Returns the action of this name.
    #[must_use]
    pub fn new(name: impl Into<Text>) -> Self {
        let name = name.into();
        if name.as_str().is_empty() {
            return Self(Text::from_static("unnamed"));
        }
        Self(name.cap(MAX_WORD))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns how many bytes its text takes beside itself.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.0.heap_size()
    }
}

impl<T: Into<Text>> From<T> for Action {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}

impl Borrow<str> for Action {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Action {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Action {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What it was done to: a kind of resource, and which one.
///
/// What nobody knows is the empty string, never NULL.
///
/// ```
/// use tower_audit_core::Target;
///
/// let target = Target::new("project", 7);
/// assert_eq!((target.kind(), target.id()), ("project", "7"));
/// assert_eq!(Target::none().id(), "");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    kind: Text,
    id: Text,
}

impl Target {
    /// Returns the resource of the same kind with another id, which is cut to 512 bytes.
    #[must_use]
    pub fn with_id(self, id: impl Into<Text>) -> Self {
        Self {
            id: id.into().cap(MAX_ID),
            ..self
        }
    }

    /// Returns the resource of this kind with this id. The kind is cut to 128 bytes, the id to
    /// 512.
    #[must_use]
    pub fn new(kind: impl Into<Text>, id: impl Into<Text>) -> Self {
        Self {
            kind: kind.into().cap(MAX_WORD),
            id: id.into().cap(MAX_ID),
        }
    }

    /// Returns the target that nobody knows.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the kind of the resource, or the empty string.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_str()
    }

    /// Returns the id of the resource, or the empty string.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Returns how many bytes its text takes beside itself.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.kind.heap_size() + self.id.heap_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_parses_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
        }
        assert!("Success".parse::<Outcome>().is_err());
    }

    #[test]
    fn an_empty_action_is_unnamed() {
        assert_eq!(Action::new(""), "unnamed");
    }
}
