//! How a store is.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// What a store says of itself when it is [asked](super::EventWriter::check) whether a write could work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStatus {
    /// How long it took to answer, once there was a connection.
    pub latency: Option<Duration>,
    /// How its pool of connections is, if it has one.
    pub pool: Option<PoolStatus>,
    /// Up to when there is room for events, if it has to be made: in Postgres the end of the last partition.
    pub room_until: Option<DateTime<Utc>>,
}

impl StoreStatus {
    /// Returns the status of a store that has answered after this time.
    #[must_use]
    pub const fn new(latency: Duration, pool: Option<PoolStatus>) -> Self {
        Self {
            latency: Some(latency),
            pool,
            room_until: None,
        }
    }

    /// Sets up to when there is room for events.
    #[must_use]
    pub const fn room_until(mut self, time: Option<DateTime<Utc>>) -> Self {
        self.room_until = time;
        self
    }
}

/// How a pool of connections is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// How many connections there are.
    pub size: u32,
    /// How many of them nobody uses.
    pub idle: u32,
    /// How many there may be.
    pub max: u32,
    /// How long it took to get one.
    pub wait: Duration,
}

impl PoolStatus {
    /// Returns the status of a pool, for whoever has one.
    #[must_use]
    pub const fn new(size: u32, idle: u32, max: u32, wait: Duration) -> Self {
        Self {
            size,
            idle,
            max,
            wait,
        }
    }
}
