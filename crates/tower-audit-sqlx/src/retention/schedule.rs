//! Runs at certain times, from one replica at a time.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use croner::Cron;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
};
use tower_audit_core::retention::RetentionReport;

use super::{Retention, RetentionError};

/// When the retention runs: a cron expression of five fields, in UTC, such as `0 2 * * *`.
///
/// The default is daily at 02:00.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// Returns the next time after this one, if there is one.
    #[must_use]
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_next_occurrence(&time, false).ok()
    }
}

impl Default for Schedule {
    fn default() -> Self {
        DAILY
            .parse()
            .expect("it is a cron expression, see the test")
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ScheduleError(text.chars().take(100).collect());
        if text.split_whitespace().count() != 5 {
            return Err(refused());
        }
        let cron = Cron::from_str(text).map_err(|_| refused())?;
        let schedule = Self(cron);
        // Such as the 31st of February.
        schedule.next_after(Utc::now()).ok_or_else(refused)?;
        Ok(schedule)
    }
}

/// A text that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no schedule, or one of a day that never comes: write five fields, minute, hour, day, month and day of the week, \
     such as \"0 2 * * *\""
)]
pub struct ScheduleError(String);

impl Retention {
    /// Starts a task that runs at these times, from one of all replicas that do.
    ///
    /// If the one that runs is killed, another one takes over when its [lease](super::RetentionBuilder::lease) has run out.
    /// A run that fails is tried again, after a minute and then less and less often, until the next time.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use = "dropping it ends the task"]
    pub fn start(self, schedule: Schedule) -> RetentionTask {
        let (stop, stopped) = watch::channel(false);
        let (tell, last) = watch::channel(None);
        let task = tokio::spawn(async move {
            let work = work(self, schedule, tell);
            let mut stopped = stopped;
            tokio::select! {
                () = work => {}
                _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
            }
        });
        RetentionTask {
            abort: task.abort_handle(),
            task: Some(task),
            stop,
            last,
        }
    }
}

/// The task that [`Retention::start`] starts. Dropping it ends the task.
#[derive(Debug)]
pub struct RetentionTask {
    task: Option<JoinHandle<()>>,
    abort: AbortHandle,
    stop: watch::Sender<bool>,
    last: watch::Receiver<Option<RetentionReport>>,
}

impl RetentionTask {
    /// Returns the report of the last run of this process, if there was one.
    #[must_use]
    pub fn last_report(&self) -> Option<RetentionReport> {
        self.last.borrow().clone()
    }

    /// Ends the task, and waits until it has ended: at most for the statement that is running. The lease of a run that was
    /// interrupted runs out by itself.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for RetentionTask {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// Runs at each time, for ever.
async fn work(
    retention: Retention,
    schedule: Schedule,
    tell: watch::Sender<Option<RetentionReport>>,
) {
    while let Some(time) = schedule.next_after(Utc::now()) {
        until(time).await;
        let end = schedule.next_after(time).unwrap_or(time);
        if let Some(report) = at(&retention, time, end).await {
            let _ = tell.send(Some(report));
        }
    }
}

/// Sees to it that somebody runs for this time; returns the report if it was this one.
async fn at(
    retention: &Retention,
    time: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Option<RetentionReport> {
    let mut backoff = FIRST_BACKOFF;
    while Utc::now() < end {
        match retention.run_for(time).await {
            Ok(Some(report)) => {
                tracing::info!(
                    retention.deleted = report.deleted,
                    retention.partitions = report.partitions.len(),
                    retention.is_complete = report.is_complete,
                    took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
                    "deleted the audit events that were due"
                );
                return Some(report);
            }
            Ok(None) => return None,
            // Whoever is at it may be killed.
            Err(RetentionError::Busy { .. }) => {
                tokio::time::sleep(retention.settings.lease / 4).await;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not delete the audit events that are due; trying again in {backoff:?}"
                );
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(LAST_BACKOFF);
            }
        }
    }
    None
}

/// Waits until then, also if the clock is set meanwhile.
async fn until(time: DateTime<Utc>) {
    while let Ok(left) = (time - Utc::now()).to_std() {
        tokio::time::sleep(left.min(CLOCK_STEP)).await;
    }
}

const DAILY: &str = "0 2 * * *";

const FIRST_BACKOFF: Duration = Duration::from_mins(1);
const LAST_BACKOFF: Duration = Duration::from_mins(30);

const CLOCK_STEP: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn by_default_it_is_daily_at_two() {
        let next = Schedule::default().next_after(at("2026-11-22T02:00:00Z"));
        assert_eq!(next, Some(at("2026-11-23T02:00:00Z")));
    }

    #[test]
    fn what_is_no_schedule_says_what_to_write() {
        for text in [
            "",
            "0 2 * *",
            "0 0 2 * * *",
            "61 * * * *",
            "0 2 31 2 *",
            "daily",
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains("write five fields"), "{error}");
        }
    }
}
