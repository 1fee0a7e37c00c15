//! The bounded queue: one lock around the state, and the wake-ups.

mod turns;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    batch::Batch,
    counts::Counts,
    fate::{Fate, Ticket},
    log::Once,
    permit::Permit,
    record::{Entry, Record},
    schedule::Decision,
    settings::DeliverySettings,
    state::{Left, Phase, State},
    stats::{DropReason, Stats},
    sync::{Mutex, MutexGuard},
};

pub(super) use turns::{Tried, Way};

/// The bounded queue between those who make records and the worker. The lock is held for a push, a
/// cut or a settle, never across an await, and nothing is logged or freed under it.
pub(super) struct Queue<R> {
    state: Mutex<State<R>>,
    /// Tells the worker to decide again.
    pub(super) work: Notify,
    /// Tells those who want to write that it may be their turn, or that time is short.
    turns: Notify,
    /// Tells those who wait for room, and for what they handed over to be settled.
    changed: Notify,
    log_period: Duration,
    drop_log: Mutex<Once>,
    #[cfg(feature = "metrics")]
    pub(super) meter: super::metrics::Meter,
}

/// What the worker does next.
pub(super) enum Next<R: Record> {
    Work(Batch<R>),
    Wait(Option<Duration>),
    Done,
}

impl<R: Record> Queue<R> {
    pub(super) fn new(settings: &DeliverySettings, has_spool: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(settings, has_spool)),
            work: Notify::new(),
            turns: Notify::new(),
            changed: Notify::new(),
            log_period: settings.log_period,
            drop_log: Mutex::new(Once::default()),
            #[cfg(feature = "metrics")]
            meter: super::metrics::Meter::default(),
        })
    }

    /// Takes the record, or drops and counts it. A ticket is dropped with it.
    pub(super) fn push(&self, record: Entry<R>) {
        let bytes = record.size();
        let state = self.lock();
        if state.is_closed() {
            self.refuse(state, DropReason::Closed);
        } else if state.has_room(bytes) {
            self.enter(state, record, bytes, None);
        } else {
            self.refuse(state, DropReason::Full);
        }
    }

    /// Takes the record into the room that was reserved for it.
    pub(super) fn push_reserved(
        &self,
        record: Entry<R>,
        reserved_bytes: usize,
        ticket: Option<Ticket>,
    ) {
        let bytes = record.size();
        let mut state = self.lock();
        state.give_back(reserved_bytes);
        if state.is_closed() {
            self.refuse(state, DropReason::Closed);
        } else {
            self.enter(state, record, bytes, ticket);
        }
        // A record is rarely as large as what was reserved for it.
        self.changed.notify_waiters();
    }

    fn enter(
        &self,
        mut state: MutexGuard<'_, State<R>>,
        record: Entry<R>,
        bytes: usize,
        ticket: Option<Ticket>,
    ) {
        // To ask for the time is as dear as all the rest of this.
        let now = state.needs_time().then(Instant::now);
        let wakes = state.enter(record, bytes, ticket, now);
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    /// Counts a record that cannot be taken.
    pub(super) fn drop_one(&self, reason: DropReason) {
        self.refuse(self.lock(), reason);
    }

    fn refuse(&self, mut state: MutexGuard<'_, State<R>>, reason: DropReason) {
        state.refuse(reason);
        let dropped = state.counts.dropped;
        let has_ended = state.phase() == Phase::Finished;
        drop(state);
        if has_ended {
            self.publish_last();
        }
        let mut log = self.drop_log.lock().unwrap_or_else(PoisonError::into_inner);
        let due = log.due(Instant::now(), self.log_period);
        drop(log);
        if due.is_some() {
            tracing::warn!(
                dropped.full = dropped[DropReason::Full],
                dropped.closed = dropped[DropReason::Closed],
                "audit events are being dropped: the queue is full or closed"
            );
        }
    }

    /// Reserves room for so many records of about this size, or for none.
    pub(super) fn try_reserve<const N: usize>(
        self: &Arc<Self>,
        bytes: usize,
    ) -> Option<[Permit<R>; N]> {
        let has_room = self.lock().reserve(N, bytes);
        has_room.then(|| std::array::from_fn(|_| Permit::new(Arc::clone(self), bytes)))
    }

    /// Waits until room for so many records could be reserved.
    pub(super) async fn reserve<const N: usize>(self: &Arc<Self>, bytes: usize) -> [Permit<R>; N] {
        until(&self.changed, || self.try_reserve(bytes)).await
    }

    pub(super) fn give_back(&self, reserved_bytes: usize) {
        self.lock().give_back(reserved_bytes);
        self.changed.notify_waiters();
    }

    /// Waits until all that was handed over before has left the memory.
    pub(super) async fn flush(&self) {
        let target = self.lock().flush();
        self.work.notify_one();
        until(&self.changed, || {
            self.lock().is_settled(target).then_some(())
        })
        .await;
    }

    /// Waits until the worker has ended.
    pub(super) async fn finished(&self) {
        self.reached(Phase::Finished).await;
    }

    /// Waits until the shutdown has come this far.
    pub(super) async fn reached(&self, phase: Phase) {
        until(&self.changed, || (self.phase() >= phase).then_some(())).await;
    }

    /// Takes the shutdown one step further.
    pub(super) fn enter_phase(&self, phase: Phase) {
        self.lock().enter_phase(phase, Instant::now());
        self.work.notify_one();
        self.turns.notify_waiters();
        self.changed.notify_waiters();
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock().phase()
    }

    /// Takes what is left: nobody will write it.
    pub(super) fn take_left(&self) -> Vec<Left<R>> {
        self.lock().take_left()
    }

    pub(super) fn settle_left(&self, records: usize, fate: Fate) {
        self.lock().settle_left(records, fate);
    }

    /// Publishes the counts, now that nobody does so any more.
    fn publish_last(&self) {
        #[cfg(feature = "metrics")]
        self.meter.publish(self.stats());
    }

    /// Says that the worker has ended.
    pub(super) fn finish(&self) {
        self.lock().finish();
        self.publish_last();
        self.changed.notify_waiters();
    }

    pub(super) fn could_hold(&self, records: usize, bytes: usize) -> bool {
        self.lock().could_hold(records, bytes)
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().is_full()
    }

    /// Decides what the worker does next, and cuts the batch if one is due.
    pub(super) fn next(self: &Arc<Self>, now: Instant) -> Next<R> {
        let mut state = self.lock();
        if state.is_done() {
            return Next::Done;
        }
        let next = state.next(now);
        drop(state);
        match next {
            Ok(cut) => Next::Work(Batch::new(Arc::clone(self), cut)),
            Err(Decision::Wait { or_after, .. } | Decision::WaitForWrite { or_after }) => {
                Next::Wait(or_after)
            }
            Err(Decision::Write | Decision::Spill) => Next::Wait(None),
        }
    }

    /// Settles some records of the batch that begins at number `first`.
    pub(super) fn settle(&self, first: u64, records: usize, fate: Fate) {
        self.lock().settle(first, records, fate);
        self.changed.notify_waiters();
        self.turns.notify_waiters();
    }

    pub(super) fn put_back(&self, first: u64, left: impl Iterator<Item = Left<R>>) {
        self.lock().put_back(first, left);
    }

    /// Waits until so many records count as spooled.
    pub(super) async fn until_spooled(&self, records: u64) {
        let is_so = || self.lock().counts.spooled >= records;
        until(&self.changed, || is_so().then_some(())).await;
    }

    /// Asks for pending records to be looked after from now on.
    pub(super) fn start_reaping(&self) {
        self.lock().is_reaping = true;
        self.changed.notify_waiters();
    }

    /// Waits until somebody asked for that.
    pub(super) async fn until_reaping(&self) {
        until(&self.changed, || self.lock().is_reaping.then_some(())).await;
    }

    /// Changes what is counted beside the queue.
    pub(super) fn count<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        let result = change(&mut self.lock().counts);
        self.changed.notify_waiters();
        self.turns.notify_waiters();
        result
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stats(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until `ready` has something; looks again whenever `changed` says so.
async fn until<T>(changed: &Notify, mut ready: impl FnMut() -> Option<T>) -> T {
    loop {
        let changed = changed.notified();
        tokio::pin!(changed);
        // Registered before the look, so that no change between the two is missed.
        changed.as_mut().enable();
        if let Some(value) = ready() {
            return value;
        }
        changed.await;
    }
}
