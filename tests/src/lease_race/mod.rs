//! Two replicas and a command race for the lease of the retention, while they are killed and stopped.
//!
//! Triggers note who takes the lease and who deletes, in the transactions that do, and somebody looks at the row of the lease
//! all the time. From that it is told whether two were ever at it at once, and for how long nobody was.
//!
//! A process that is stopped in the middle of a transaction keeps what that has locked, until the database gives up on it, which it
//! does after five seconds. So that is how long the leases are.

mod alone;
mod contender;
mod gaps;
mod race;
mod random;
mod replica;
mod report;
mod seen;
mod trail;
mod watcher;

use std::time::Duration;

use chrono::TimeDelta;
use tower_audit::retention::Keep;

pub use self::{race::race, replica::replica, report::Report};

/// How long everybody's lease is.
const LEASE: Duration = Duration::from_secs(5);

/// What it may take to notice that the lease is free, for a process that may have to be started first.
const ALLOWANCE: Duration = Duration::from_secs(1);

/// For how long nobody may be at it.
const BOUND: TimeDelta = TimeDelta::seconds(6);

/// What the policy of everybody keeps: more than the floor, which is 30 days.
const KEEP: Keep = Keep::days(60);

#[expect(
    clippy::disallowed_methods,
    reason = "this is no test: it may take its time"
)]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_lease_and_the_allowance() {
        assert_eq!(BOUND.to_std().unwrap(), LEASE + ALLOWANCE);
    }
}
