//! What a check of the coverage found.

use std::fmt;

use http::StatusCode;

/// What a [`Coverage`](super::Coverage) found. Shown as text it has a line for each problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a report that nobody looks at finds nothing: call `assert_complete`"]
pub struct CoverageReport {
    pub(super) calls: Vec<(String, StatusCode)>,
    pub(super) allowed: usize,
    problems: Vec<String>,
}

impl CoverageReport {
    pub(super) fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    /// Asserts that every route left a row, or is rightly allowed not to.
    ///
    /// # Panics
    ///
    /// Panics with all problems if not.
    #[track_caller]
    pub fn assert_complete(&self) {
        assert!(self.problems.is_empty(), "{self}");
    }

    /// Returns how many routes were called.
    #[must_use]
    pub fn checked(&self) -> usize {
        self.calls.len()
    }

    /// Returns the routes that were called, as in `DELETE /projects/{id}`, and what they answered: a row of a call
    /// that was refused does not say that one that succeeds would leave one.
    #[must_use]
    pub fn calls(&self) -> &[(String, StatusCode)] {
        &self.calls
    }

    /// Returns what is wrong, a line each.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for CoverageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (problems, checked) = (self.problems.len(), self.calls.len());
        write!(
            f,
            "{checked} routes called, {} allowed to leave no row, {problems} problems",
            self.allowed
        )?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
