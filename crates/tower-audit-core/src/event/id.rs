//! The identity of an event.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

/// The identity of an event: a UUIDv7 of the time when its request arrived.
///
/// It is the idempotency key everywhere: a batch may be written twice, a row exists once.
///
/// ```
/// use tower_audit_core::EventId;
///
/// let id = EventId::now();
/// assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// Returns a new id for something that happens now.
    #[must_use]
    pub fn now() -> Self {
        Self::at(Utc::now())
    }

    /// Returns a new id for something that happened at `time`.
    ///
    /// A time before 1970 counts as 1970: UUIDv7 knows none.
    #[must_use]
    pub fn at(time: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
        let nanos = time.timestamp_subsec_nanos().min(999_999_999);
        Self(Uuid::new_v7(Timestamp::from_unix(
            NoContext, seconds, nanos,
        )))
    }

    /// Returns the id with this value, of whatever UUID version it is.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// Returns the UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| ParseEventIdError(()))
    }
}

/// The text is not an event id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id is a UUID, such as 019a9e3c-7d2e-7c4b-8f00-0123456789ab")]
pub struct ParseEventIdError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_the_time_of_its_arrival() {
        let time = DateTime::from_timestamp_millis(1_795_000_000_123).unwrap();
        let (seconds, nanos) = EventId::at(time)
            .as_uuid()
            .get_timestamp()
            .unwrap()
            .to_unix();
        assert_eq!((seconds, nanos), (1_795_000_000, 123_000_000));
    }

    #[test]
    fn an_id_for_a_time_before_1970_exists() {
        let time = DateTime::from_timestamp(-5, 0).unwrap();
        assert_eq!(EventId::at(time).as_uuid().get_version_num(), 7);
    }
}
