//! Deletes what is old, by itself.

use std::{fmt, future::Future, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{task::JoinHandle, time::sleep};
use tower_audit_core::StoreError;

/// How long trails are kept, and how often those are deleted that are older.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) keep: Duration,
    pub(crate) every: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep: 7 * DAY,
            every: DAY,
        }
    }
}

/// The task that deletes. It ends when this is dropped.
pub(crate) struct Cleaner(JoinHandle<()>);

impl Cleaner {
    /// Starts it. What goes wrong is said, and tried again after a minute.
    #[track_caller]
    pub(crate) fn start<C, F>(retention: Retention, clean: C) -> Self
    where
        C: Fn(DateTime<Utc>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<u64, StoreError>> + Send + 'static,
    {
        Self(tokio::spawn(async move {
            loop {
                let keep = TimeDelta::from_std(retention.keep).unwrap_or(TimeDelta::MAX);
                let older_than = Utc::now()
                    .checked_sub_signed(keep)
                    .unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
                let next = match clean(older_than).await {
                    Ok(trails) => {
                        tracing::debug!(trails, %older_than, "old trails were deleted");
                        retention.every
                    }
                    Err(error) => {
                        tracing::warn!(%error, "old trails cannot be deleted now");
                        retention.every.min(AGAIN)
                    }
                };
                sleep(next).await;
            }
        }))
    }

    /// Deletes no more.
    pub(crate) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cleaner")
    }
}

const DAY: Duration = Duration::from_hours(24);

/// After which time is tried again what went wrong.
const AGAIN: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use tokio::{sync::mpsc, time::Instant};

    use super::*;

    /// Starts a cleaner; returns what tells when it tried, and what it was to delete.
    fn started() -> (Cleaner, mpsc::Receiver<(Instant, DateTime<Utc>)>) {
        let (told, tries) = mpsc::channel(8);
        let cleaner = Cleaner::start(Retention::default(), move |older_than| {
            let _ = told.try_send((Instant::now(), older_than));
            async { Ok(0) }
        });
        (cleaner, tries)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_week_is_deleted_once_a_day() {
        let (_cleaner, mut tries) = started();
        let (first, older_than) = tries.recv().await.unwrap();
        let (second, _) = tries.recv().await.unwrap();
        assert_eq!(second - first, DAY);
        let age = Utc::now() - older_than;
        assert_eq!(age.num_days(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn what_went_wrong_is_tried_again_after_a_minute() {
        let (told, mut tries) = mpsc::channel(8);
        let _cleaner = Cleaner::start(Retention::default(), move |_| {
            told.try_send(Instant::now()).unwrap();
            async { Err(StoreError::Unavailable("gone".into())) }
        });
        let first = tries.recv().await.unwrap();
        assert_eq!(tries.recv().await.unwrap() - first, AGAIN);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_deleted_by_what_was_dropped() {
        let (cleaner, mut tries) = started();
        tries.recv().await.unwrap();
        drop(cleaner);
        assert!(tries.recv().await.is_none());
    }
}
