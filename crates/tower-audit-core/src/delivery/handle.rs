//! The handle to a running engine.

use std::{fmt, sync::Arc, time::Duration};

use chrono::Utc;
use tokio::{
    sync::oneshot,
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    builder::{DeliveryBuilder, Store},
    fate::{Fate, Kept, NotKept},
    health::{Health, HealthReason, HealthStatus},
    permit::Permit,
    queue::Queue,
    record::{Deferred, Entry, Record},
    settings::{Confirm, Overflow},
    state::Phase,
    stats::{DropReason, ShutdownReport, Stats},
    trouble::Trouble,
};

/// The handle to a running engine; cheap to clone. See the [module page](crate::delivery).
///
/// When the last clone is dropped without [`shutdown`](Self::shutdown), the worker still writes
/// what is queued for as long as the runtime lives; what is left when the runtime ends goes to the
/// spool, if there is one. Nobody learns whether it could.
pub struct Delivery<R: Record> {
    pub(super) running: Arc<Running<R>>,
}

pub(super) struct Running<R: Record> {
    pub(super) queue: Arc<Queue<R>>,
    pub(super) worker: AbortHandle,
    pub(super) store: Box<dyn Store>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) has_spool: bool,
    pub(super) overflow: Overflow,
    pub(super) confirm: Confirm,
    pub(super) confirm_timeout: Duration,
    pub(super) health_timeout: Duration,
}

impl<R: Record> Delivery<R> {
    /// Returns a builder.
    pub fn builder() -> DeliveryBuilder<R> {
        DeliveryBuilder::default()
    }

    /// Hands over a record and never waits. A record that finds no room is dropped and counted.
    pub fn record(&self, record: impl Into<Box<R>>) {
        self.running.queue.push(Entry::Made(record.into()));
    }

    /// Takes something that the record is made of once it has left the queue; else as [`record`](Self::record).
    pub fn record_deferred(&self, deferred: Box<dyn Deferred<R>>) {
        self.running.queue.push(Entry::Deferred(deferred));
    }

    /// Hands over a record; waits for room as [`Overflow::Wait`] says.
    ///
    /// Dropping the future before it is done drops the record, uncounted.
    pub async fn record_wait(&self, record: impl Into<Box<R>>) {
        let record = record.into();
        match self.reserve(record.size()).await {
            Some(permit) => permit.send(record),
            None => self.record(record),
        }
    }

    /// Hands over a record, and waits until it is kept: committed by the store or, as
    /// [`confirm`](super::DeliverySettings::confirm) says, synced to the spool.
    ///
    /// Waits for room as [`Overflow::Wait`] says, and then at most
    /// [`confirm_timeout`](super::DeliverySettings::confirm_timeout). Dropping the future before the record
    /// was handed over drops it, uncounted; later it makes no difference to the record.
    ///
    /// # Errors
    ///
    /// Says why it is not known to be kept, and whether it is still on its way: see [`NotKept`].
    pub async fn record_durable(&self, record: impl Into<Box<R>>) -> Result<Kept, NotKept> {
        let record = record.into();
        let Some(permit) = self.reserve(record.size()).await else {
            self.running.queue.drop_one(DropReason::Full);
            return Err(NotKept::Full);
        };
        self.send_durable(permit, record).await
    }

    /// Hands over a record in the room that was reserved for it, and waits until it is kept, as
    /// [`record_durable`](Self::record_durable) does.
    ///
    /// # Errors
    ///
    /// See [`record_durable`](Self::record_durable).
    pub async fn send_durable(
        &self,
        permit: Permit<R>,
        record: impl Into<Box<R>>,
    ) -> Result<Kept, NotKept> {
        let deadline = after(self.running.confirm_timeout);
        let (ticket, fate) = oneshot::channel();
        permit.send_with(Entry::Made(record.into()), Some(ticket));
        match timeout_at(deadline, fate).await {
            Err(_) => Err(NotKept::TimedOut),
            Ok(Ok(Fate::Written)) => Ok(Kept::Written),
            Ok(Ok(Fate::Spooled)) if self.running.confirm == Confirm::Store => {
                Err(NotKept::OnlySpooled)
            }
            Ok(Ok(Fate::Spooled)) => Ok(Kept::Spooled),
            Ok(Ok(Fate::DeadLettered | Fate::Dropped(DropReason::Rejected))) => {
                Err(NotKept::Rejected)
            }
            Ok(Ok(Fate::Dropped(_)) | Err(_)) => Err(NotKept::Closed),
        }
    }

    /// Says whether a record that is handed over now could be kept, `in_store` or in whatever counts:
    /// looks at how the last writes went, asks nobody and never waits.
    ///
    /// # Errors
    ///
    /// Returns why it could not.
    pub fn can_keep(&self, in_store: bool) -> Result<(), NotKept> {
        let Running {
            queue,
            confirm,
            has_spool,
            ..
        } = &*self.running;
        if queue.phase() > Phase::Open {
            return Err(NotKept::Closed);
        }
        let may_spool = !in_store && *confirm == Confirm::StoreOrSpool && *has_spool;
        if queue.is_store_down() && !(may_spool && queue.would_spool()) {
            return Err(NotKept::Unavailable);
        }
        Ok(())
    }

    /// Reserves room for one record of about this many bytes, if there is some now.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<Permit<R>> {
        let [permit] = self.running.queue.try_reserve(bytes)?;
        Some(permit)
    }

    /// Reserves room for one record of about this many bytes.
    ///
    /// Waits as [`Overflow::Wait`] says, and returns `None` when there was none in that time.
    /// Dropping the future reserves nothing.
    pub async fn reserve(&self, bytes: usize) -> Option<Permit<R>> {
        let [permit] = self.reserve_all(bytes).await?;
        Some(permit)
    }

    /// Reserves room for `N` records of about this many bytes each, for all of them or for none: whoever
    /// holds one and waits for the next can make everybody wait. Else as [`reserve`](Self::reserve).
    pub async fn reserve_all<const N: usize>(&self, bytes: usize) -> Option<[Permit<R>; N]> {
        let queue = &self.running.queue;
        match self.running.overflow {
            Overflow::Drop | Overflow::Spill | Overflow::Reject => queue.try_reserve(bytes),
            Overflow::Wait(limit) => timeout(limit, queue.reserve(bytes)).await.ok(),
        }
    }

    /// Returns whether there would be room for so many records of this size in an empty queue.
    #[must_use]
    pub fn could_hold(&self, records: usize, bytes: usize) -> bool {
        self.running.queue.could_hold(records, bytes)
    }

    /// Returns what happens to a record that finds no room.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.running.overflow
    }

    /// Counts a request that was refused because its record could not be kept, and logs it once a
    /// period.
    pub fn note_refused(&self, reason: NotKept) {
        self.running.queue.count(|counts| counts.refused += 1);
        self.running.trouble.refused(reason);
    }

    /// Counts a request that was answered although nobody could say that its record is kept, and logs
    /// it once a period.
    pub fn note_unconfirmed(&self, reason: NotKept) {
        self.running.queue.count(|counts| counts.unconfirmed += 1);
        self.running.trouble.unconfirmed(reason);
    }

    /// Asks for pending records to be looked after from now on: those that nobody completes within
    /// [`pending_timeout`](super::DeliverySettings::pending_timeout) become unknown.
    pub fn reap_pending(&self) {
        self.running.queue.start_reaping();
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.running.queue.stats()
    }

    /// Returns the writer, if it is of this type.
    #[must_use]
    pub fn writer<W: 'static>(&self) -> Option<&W> {
        self.running.store.as_any().downcast_ref()
    }

    /// Asks the store whether a write could work now, and looks at the queue, the spool and the last
    /// write.
    ///
    /// Takes at most [`health_timeout`](super::DeliverySettings::health_timeout).
    pub async fn health(&self) -> Health {
        let running = &*self.running;
        if running.queue.phase() > Phase::Open {
            return Health::new(HealthStatus::Failing(HealthReason::Closed), None);
        }
        if running.queue.is_full() {
            return Health::new(HealthStatus::Failing(HealthReason::QueueFull), None);
        }
        let limit = running.health_timeout;
        let (reason, store) = match timeout(limit, running.store.check()).await {
            // A store may look well and yet refuse to write, as a read-only one does.
            Ok(Ok(store)) => (running.trouble.reason(), Some(store)),
            Ok(Err(error)) => (Some(HealthReason::of(&error)), None),
            Err(_) => (Some(HealthReason::TimedOut(limit)), None),
        };
        let is_replaying = || (self.stats().spooled > 0).then_some(HealthReason::Replaying);
        let is_spool_down = running.trouble.is_spool_down();
        let reason = reason
            .or(is_spool_down.then_some(HealthReason::SpoolRefuses))
            .or_else(is_replaying)
            .or_else(|| HealthReason::of_room(store.as_ref()?, Utc::now()));
        let status = reason.map_or(HealthStatus::Healthy, HealthStatus::Degraded);
        Health::new(status, store)
    }

    /// Waits until every record that was handed over before has left the memory: it is written,
    /// spooled, dead-lettered or dropped.
    ///
    /// With a store that is down, and no spool, it waits until the store is back: put a timeout
    /// around it. Dropping the future is harmless.
    pub async fn flush(&self) {
        self.running.queue.flush().await;
    }

    /// Takes no more records, writes what is queued, and ends the worker.
    ///
    /// Shortly before the deadline what is left goes to the spool; without one, and at the deadline,
    /// it is given up and counted as [`DropReason::Abandoned`]. A second call waits for the same end.
    /// Dropping the future leaves the worker draining.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let Running {
            queue,
            worker,
            has_spool,
            ..
        } = &*self.running;
        queue.enter_phase(Phase::Closed);
        let to_spool = if *has_spool {
            (deadline / 4).min(TIME_TO_SPOOL)
        } else {
            Duration::ZERO
        };
        let end = after(deadline);
        if timeout_at(end.checked_sub(to_spool).unwrap_or(end), queue.finished())
            .await
            .is_err()
        {
            queue.enter_phase(Phase::GivingUp);
            if timeout_at(end, queue.finished()).await.is_err() {
                queue.enter_phase(Phase::CutOff);
                worker.abort();
                queue.finished().await;
            }
        }
        let stats = queue.stats();
        ShutdownReport {
            stats,
            left: stats.dropped[DropReason::Abandoned],
        }
    }
}

impl<R: Record> Clone for Delivery<R> {
    fn clone(&self) -> Self {
        Self {
            running: Arc::clone(&self.running),
        }
    }
}

impl<R: Record> fmt::Debug for Delivery<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl<R: Record> Drop for Running<R> {
    fn drop(&mut self) {
        self.queue.enter_phase(Phase::Closed);
    }
}

/// Returns the moment after this time. One that nobody lives to see is as good as never.
fn after(time: Duration) -> Instant {
    let never = Duration::from_secs(100 * 365 * 24 * 3_600);
    Instant::now() + time.min(never)
}

/// How much of its deadline a shutdown keeps for the spool, at most.
const TIME_TO_SPOOL: Duration = Duration::from_secs(2);
