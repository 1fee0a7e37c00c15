//! Why a function failed.

use std::fmt;

use tower_audit_core::{Outcome, Text};

use crate::privacy::Redaction;

/// Why something failed, for the trail: a stable code.
///
/// ```
/// use tower_audit::{Outcome, Text, call::AuditReason};
///
/// enum ArchiveError {
///     NotOwner,
///     Database(std::io::Error),
/// }
///
/// impl AuditReason for ArchiveError {
///     fn audit_reason(&self) -> Text {
///         Text::from_static(match self {
///             Self::NotOwner => "not_owner",
///             Self::Database(_) => "database", // not what it says: that is for the log
///         })
///     }
///
///     fn audit_outcome(&self) -> Outcome {
///         match self {
///             Self::NotOwner => Outcome::Denied,
///             Self::Database(_) => Outcome::Failure,
///         }
///     }
/// }
/// # let _ = ArchiveError::NotOwner.audit_reason();
/// ```
pub trait AuditReason {
    /// Returns the reason: a stable code such as `quota_exceeded`, never a secret.
    fn audit_reason(&self) -> Text;

    /// Returns how it ended: [`Outcome::Failure`], [`Outcome::Denied`] or [`Outcome::Aborted`]; anything else counts
    /// as a failure, because it is an error. Defaults to [`Outcome::Failure`].
    fn audit_outcome(&self) -> Outcome {
        Outcome::Failure
    }
}

/// How a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    outcome: Outcome,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    None,
    Code(Text),
    /// Whatever the error shows.
    Shown(String),
}

impl Failure {
    fn new(outcome: Outcome, reason: Reason) -> Self {
        // It is over, and it is an error.
        let outcome = match outcome {
            Outcome::Denied | Outcome::Aborted => outcome,
            _ => Outcome::Failure,
        };
        Self { outcome, reason }
    }

    /// Returns how it ended and why, without secrets.
    pub(super) fn redacted(self, redaction: &Redaction) -> (Outcome, Option<Text>) {
        let reason = match self.reason {
            Reason::None => None,
            Reason::Code(code) => Some(code),
            Reason::Shown(error) => Some(Text::from(redaction.shown(&error))),
        };
        (self.outcome, reason)
    }
}

/// Finds out what a result can say of its failure: the method call takes the first of the traits below that
/// the type has, because it tries the one with the most references first.
#[derive(Debug)]
pub struct Probe<'a, T>(pub &'a T);

/// A result whose error says its reason.
pub trait OfReason {
    /// Returns how it failed, if it did.
    fn __tower_audit_failure(&self) -> Option<Failure>;
}

impl<T, E: AuditReason> OfReason for &&&Probe<'_, Result<T, E>> {
    fn __tower_audit_failure(&self) -> Option<Failure> {
        let error = self.0.as_ref().err()?;
        let code = Reason::Code(error.audit_reason());
        Some(Failure::new(error.audit_outcome(), code))
    }
}

/// A result whose error can be shown.
pub trait OfDisplay {
    /// Returns how it failed, if it did.
    fn __tower_audit_failure(&self) -> Option<Failure>;
}

impl<T, E: fmt::Display> OfDisplay for &&Probe<'_, Result<T, E>> {
    fn __tower_audit_failure(&self) -> Option<Failure> {
        let error = self.0.as_ref().err()?.to_string();
        Some(Failure::new(Outcome::Failure, Reason::Shown(error)))
    }
}

/// A result whose error says nothing.
pub trait OfResult {
    /// Returns how it failed, if it did.
    fn __tower_audit_failure(&self) -> Option<Failure>;
}

impl<T, E> OfResult for &Probe<'_, Result<T, E>> {
    fn __tower_audit_failure(&self) -> Option<Failure> {
        self.0.as_ref().err()?;
        Some(Failure::new(Outcome::Failure, Reason::None))
    }
}

/// What cannot fail.
pub trait OfAnything {
    /// Returns nothing.
    fn __tower_audit_failure(&self) -> Option<Failure>;
}

impl<T> OfAnything for Probe<'_, T> {
    fn __tower_audit_failure(&self) -> Option<Failure> {
        None
    }
}
