//! What is wrong with the store: said in the log once a period, and to whoever asks for the health.

use std::{
    error::Error,
    fmt, io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{fate::NotKept, health::HealthReason, log::Once};
use crate::{
    spool::{Adopted, Sealed},
    store::StoreError,
};

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
    /// The spool took no records the last time.
    is_spool_down: bool,
    spool_log: Once,
    reap_log: Once,
    refused_log: Once,
    unconfirmed_log: Once,
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

    /// Returns whether the spool refused the last records.
    pub(super) fn is_spool_down(&self) -> bool {
        self.lock().is_spool_down
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

    /// Notes that the store refused a record, and whether it is among the dead letters.
    pub(super) fn rejected(
        &self,
        id: impl fmt::Display,
        error: &StoreError,
        buried: &io::Result<bool>,
    ) {
        let due = self
            .lock()
            .rejected_log
            .due(Instant::now(), self.log_period);
        let Some(held_back) = due else { return };
        let error = Chain(error);
        match buried {
            Ok(true) => tracing::error!(
                event.id = %id,
                %error,
                held_back,
                "the audit store refused an event, which is among the dead letters now"
            ),
            Ok(false) => tracing::error!(
                event.id = %id,
                %error,
                held_back,
                "the audit store refused an event, which is dropped"
            ),
            Err(letters) => tracing::error!(
                event.id = %id,
                %error,
                dead_letters.error = %Chain(letters),
                held_back,
                "the audit store refused an event, which is dropped: the dead letters take no more"
            ),
        }
    }

    /// Notes that the spool took no records.
    pub(super) fn spool_down(&self, error: &io::Error) {
        self.lock().is_spool_down = true;
        self.spool_failed(error);
    }

    /// Notes that something about the files of the spool went wrong.
    pub(super) fn spool_failed(&self, error: &io::Error) {
        let mut state = self.lock();
        let due = state.spool_log.due(Instant::now(), self.log_period);
        drop(state);
        if let Some(held_back) = due {
            tracing::error!(
                error = %Chain(error),
                held_back,
                "the audit spool cannot be used and will be tried again"
            );
        }
    }

    /// Notes that the spool took records.
    pub(super) fn spool_up(&self) {
        let mut state = self.lock();
        if !std::mem::take(&mut state.is_spool_down) {
            return;
        }
        drop(state);
        tracing::info!("the audit spool takes events again");
    }

    /// Notes what was taken over from other processes.
    pub(super) fn adopted(&self, adopted: Adopted) {
        if adopted.records > 0 {
            tracing::info!(
                records = adopted.records,
                "audit events of an ended process were found in the spool and will be written"
            );
        }
        if adopted.damaged > 0 {
            tracing::error!(
                damaged = adopted.damaged,
                "audit events of an ended process are damaged and lost; their files go to quarantine"
            );
        }
    }

    /// Notes that a segment was read to its end.
    pub(super) fn replayed(&self, segment: &Sealed, lost: u64) {
        if lost > 0 {
            tracing::error!(
                segment = %segment.path().display(),
                lost,
                "spooled audit events could not be read back; their file goes to quarantine"
            );
        }
    }

    /// Notes that a request was refused.
    pub(super) fn refused(&self, reason: NotKept) {
        let due = self.lock().refused_log.due(Instant::now(), self.log_period);
        if let Some(held_back) = due {
            tracing::warn!(%reason, held_back, "requests are refused because they cannot be recorded");
        }
    }

    /// Notes that a request was answered although its record is not known to be kept.
    pub(super) fn unconfirmed(&self, reason: NotKept) {
        let due = self
            .lock()
            .unconfirmed_log
            .due(Instant::now(), self.log_period);
        if let Some(held_back) = due {
            tracing::error!(
                %reason,
                held_back,
                "requests were answered although their audit events are not known to be kept"
            );
        }
    }

    /// Notes that pending records could not be looked for.
    pub(super) fn not_reaped(&self, error: &StoreError) {
        let due = self.lock().reap_log.due(Instant::now(), self.log_period);
        if due.is_some() {
            tracing::warn!(error = %Chain(error), "pending audit events could not be looked for");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows an error with all its causes in one line.
pub(super) struct Chain<'a>(pub(super) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
