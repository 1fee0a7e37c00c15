//! Whether the trail can be trusted right now.

use std::{fmt, time::Duration};

use crate::store::StoreError;

/// Whether the trail can be trusted right now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Events reach the store.
    Healthy,
    /// Events wait; nothing is lost so far.
    Degraded(HealthReason),
    /// Events are being lost.
    Failing(HealthReason),
}

impl Health {
    /// Returns `true` if events reach the store.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }

    /// Returns why it is not healthy.
    #[must_use]
    pub fn reason(&self) -> Option<&HealthReason> {
        match self {
            Self::Healthy => None,
            Self::Degraded(reason) | Self::Failing(reason) => Some(reason),
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Degraded(reason) => write!(f, "degraded: {reason}"),
            Self::Failing(reason) => write!(f, "failing: {reason}"),
        }
    }
}

/// Why the trail is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthReason {
    /// The store does not answer.
    Unavailable,
    /// The store did not answer within the [timeout](super::DeliverySettings::health_timeout).
    TimedOut(Duration),
    /// The store is there, but somebody has to do something first.
    NotReady(&'static str),
    /// What was spooled while the store was away is being written.
    Replaying,
    /// The spool cannot be written to: its limit is reached, or its disk is full or broken.
    SpoolRefuses,
    /// The queue is full.
    QueueFull,
    /// The auditor was shut down.
    Closed,
}

impl HealthReason {
    pub(super) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::NotReady { hint, .. } => Self::NotReady(hint),
            StoreError::Unavailable(_) | StoreError::Rejected(_) | StoreError::Unreadable(_) => {
                Self::Unavailable
            }
        }
    }
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable => f.write_str("the audit store is unavailable"),
            Self::TimedOut(time) => write!(f, "the audit store did not answer within {time:?}"),
            Self::NotReady(hint) => write!(f, "the audit store is not ready: {hint}"),
            Self::Replaying => f.write_str("spooled audit events wait to be written"),
            Self::SpoolRefuses => f.write_str("the audit spool takes no more"),
            Self::QueueFull => f.write_str("the audit queue is full"),
            Self::Closed => f.write_str("the auditor was shut down"),
        }
    }
}
