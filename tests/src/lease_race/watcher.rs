//! Looks at the row of the lease, all the time.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use tokio::{sync::watch, time::MissedTickBehavior};

use super::seen::Sample;

/// Looks every five milliseconds, on a connection of its own, until it is told to stop.
pub(super) async fn watch_lease(
    pool: PgPool,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<Vec<Sample>> {
    let mut connection = pool.acquire().await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples = Vec::new();
    while !*stopped.borrow() {
        ticks.tick().await;
        let sample: Sample = sqlx::query_as(LOOK)
            .fetch_one(&mut *connection)
            .await
            .context("could not look at the lease")?;
        samples.push(sample);
    }
    Ok(samples)
}

/// The clock is asked after the row is: whatever is seen was committed before `at`.
const LOOK: &str =
    "SELECT clock_timestamp() AS at, token, coalesce(holder, '') AS holder, leased_until
    FROM control_plane.audit_logs_retention";
