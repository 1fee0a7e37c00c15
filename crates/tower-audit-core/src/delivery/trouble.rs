//! What is wrong with the store: said in the log once a period, and to whoever asks for the health.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{health::HealthReason, log::Once};
use crate::store::StoreError;

/// What is wrong with the store.
pub(super) struct Trouble {
    log_period: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why the last write failed; none after one that did not.
    down: Option<HealthReason>,
    down_log: Once,
    rejected_log: Once,
}

impl Trouble {
    pub(super) fn new(log_period: Duration) -> Self {
        Self {
            log_period,
            state: Mutex::default(),
        }
    }

    /// Returns why the last write failed, if it did.
    pub(super) fn reason(&self) -> Option<HealthReason> {
        self.lock().down.clone()
    }

    /// Notes that a write failed and will be repeated.
    pub(super) fn down(&self, error: &StoreError, records: usize, queued: u64) {
        let mut state = self.lock();
        state.down = Some(HealthReason::of(error));
        let due = state.down_log.due(Instant::now(), self.log_period);
        drop(state);
        if let Some(held_back) = due {
            tracing::warn!(
                error = %Chain(error),
                batch.size = records,
                queued,
                held_back,
                "audit events wait and will be tried again"
            );
        }
    }

    /// Notes that the store answered a write.
    pub(super) fn up(&self) {
        let mut state = self.lock();
        if state.down.take().is_none() {
            return;
        }
        // The next outage is said at once.
        state.down_log = Once::default();
        drop(state);
        tracing::info!("the audit store takes events again");
    }

    /// Notes that the store refused a record, which is dropped.
    pub(super) fn rejected(&self, id: impl fmt::Display, error: &StoreError) {
        let due = self
            .lock()
            .rejected_log
            .due(Instant::now(), self.log_period);
        if let Some(held_back) = due {
            tracing::error!(
                event.id = %id,
                error = %Chain(error),
                held_back,
                "the audit store refused an event, which is dropped"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows an error with all its causes in one line.
struct Chain<'a>(&'a StoreError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
