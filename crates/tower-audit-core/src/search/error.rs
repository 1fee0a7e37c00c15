//! What is wrong with the text of a search.

use std::{fmt, ops::Range};

/// What is wrong with the text of a search, where, and what to write instead.
///
/// ```
/// use tower_audit_core::Filter;
///
/// let error = "actr:alice".parse::<Filter>().unwrap_err();
/// assert_eq!(error.to_string(), "character 1: there is no key `actr`; did you mean `actor`?");
/// assert_eq!(error.span(), 0..4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchError {
    pub(super) span: Range<usize>,
    /// In characters, from 1 on.
    pub(super) character: usize,
    pub(super) problem: String,
    pub(super) hint: String,
}

impl SearchError {
    /// Returns the part of the text that is wrong, in bytes.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns where that part begins, in characters, from 1 on.
    #[must_use]
    pub fn character(&self) -> usize {
        self.character
    }

    /// Returns what is wrong.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns what to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            character,
            problem,
            hint,
            ..
        } = self;
        write!(f, "character {character}: {problem}; {hint}")
    }
}

impl std::error::Error for SearchError {}
