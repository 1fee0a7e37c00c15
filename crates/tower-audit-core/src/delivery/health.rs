//! Whether the trail can be trusted right now.

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::{StoreError, StoreStatus};

/// Whether the trail can be trusted right now, and how its store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    status: HealthStatus,
    store: Option<StoreStatus>,
}

/// Whether the trail can be trusted right now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthStatus {
    /// Events reach the store.
    Healthy,
    /// Events wait; nothing is lost so far.
    Degraded(HealthReason),
    /// Events are being lost.
    Failing(HealthReason),
}

impl Health {
    pub(super) fn new(status: HealthStatus, store: Option<StoreStatus>) -> Self {
        Self { status, store }
    }

    /// Returns whether the trail can be trusted right now.
    #[must_use]
    pub fn status(&self) -> &HealthStatus {
        &self.status
    }

    /// Returns `true` if events reach the store.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.status == HealthStatus::Healthy
    }

    /// Returns why it is not healthy.
    #[must_use]
    pub fn reason(&self) -> Option<&HealthReason> {
        match &self.status {
            HealthStatus::Healthy => None,
            HealthStatus::Degraded(reason) | HealthStatus::Failing(reason) => Some(reason),
        }
    }

    /// Returns how the store is, if it has answered.
    #[must_use]
    pub fn store(&self) -> Option<&StoreStatus> {
        self.store.as_ref()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.status {
            HealthStatus::Healthy => f.write_str("healthy"),
            HealthStatus::Degraded(reason) => write!(f, "degraded: {reason}"),
            HealthStatus::Failing(reason) => write!(f, "failing: {reason}"),
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
    /// There is room for the events of less than three days: see
    /// [`StoreStatus::room_until`](crate::store::StoreStatus::room_until).
    RoomEnds(DateTime<Utc>),
    /// The auditor was shut down.
    Closed,
}

impl HealthReason {
    /// Says whether room has to be made soon.
    pub(super) fn of_room(store: &StoreStatus, now: DateTime<Utc>) -> Option<Self> {
        let ends = |until: &DateTime<Utc>| *until < now + ROOM;
        store.room_until.filter(ends).map(Self::RoomEnds)
    }

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
            Self::RoomEnds(time) => write!(
                f,
                "the audit table has partitions up to {time} only: make more of them"
            ),
            Self::Closed => f.write_str("the auditor was shut down"),
        }
    }
}

/// For how long there is to be room at least.
const ROOM: TimeDelta = TimeDelta::days(3);
