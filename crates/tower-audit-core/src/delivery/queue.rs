//! The bounded queue: one lock around the state, and the wake-ups.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    batch::Batch,
    log::Once,
    permit::Permit,
    record::Record,
    schedule::Decision,
    settings::DeliverySettings,
    state::State,
    stats::{DropReason, Stats},
};

/// The bounded queue between those who make records and the worker. The lock is held for a push, a
/// cut or a settle, never across an await, and nothing is logged or freed under it.
pub(super) struct Queue<R> {
    state: Mutex<State<R>>,
    /// Tells the worker to decide again.
    pub(super) work: Notify,
    /// Tells batches that wait for their next try that time is short.
    pub(super) closing: Notify,
    /// Tells those who wait for room, and for what they handed over to be settled.
    changed: Notify,
    log_period: Duration,
    drop_log: Mutex<Once>,
}

/// What the worker does next.
pub(super) enum Next<R: Record> {
    Write(Batch<R>),
    Wait(Option<Duration>),
    Done,
}

impl<R: Record> Queue<R> {
    pub(super) fn new(settings: &DeliverySettings) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(settings)),
            work: Notify::new(),
            closing: Notify::new(),
            changed: Notify::new(),
            log_period: settings.log_period,
            drop_log: Mutex::default(),
        })
    }

    /// Takes the record, or drops and counts it.
    pub(super) fn push(&self, record: Box<R>) {
        let bytes = record.size();
        let state = self.lock();
        if state.is_closed() {
            self.refuse(state, DropReason::Closed);
        } else if state.has_room(bytes) {
            self.enter(state, record, bytes);
        } else {
            self.refuse(state, DropReason::Full);
        }
    }

    /// Takes the record into the room that was reserved for it.
    pub(super) fn push_reserved(&self, record: Box<R>, reserved_bytes: usize) {
        let bytes = record.size();
        let mut state = self.lock();
        state.give_back(reserved_bytes);
        if state.is_closed() {
            self.refuse(state, DropReason::Closed);
        } else {
            self.enter(state, record, bytes);
        }
        // A record is rarely as large as what was reserved for it.
        self.changed.notify_waiters();
    }

    fn enter(&self, mut state: MutexGuard<'_, State<R>>, record: Box<R>, bytes: usize) {
        let wakes = state.enter(record, bytes, Instant::now());
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    fn refuse(&self, mut state: MutexGuard<'_, State<R>>, reason: DropReason) {
        state.refuse(reason);
        let dropped = state.dropped();
        drop(state);
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

    /// Reserves room for one record of about this size.
    pub(super) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Permit<R>> {
        let has_room = self.lock().reserve(bytes);
        has_room.then(|| Permit::new(Arc::clone(self), bytes))
    }

    /// Waits until room for one record could be reserved.
    pub(super) async fn reserve(self: &Arc<Self>, bytes: usize) -> Permit<R> {
        self.until(|| self.try_reserve(bytes)).await
    }

    pub(super) fn give_back(&self, reserved_bytes: usize) {
        self.lock().give_back(reserved_bytes);
        self.changed.notify_waiters();
    }

    /// Waits until all that was handed over before is written or dropped.
    pub(super) async fn flush(&self) {
        let target = self.lock().flush();
        self.work.notify_one();
        self.until(|| self.lock().is_settled(target).then_some(()))
            .await;
    }

    /// Waits until the worker has ended.
    pub(super) async fn finished(&self) {
        self.until(|| self.lock().is_finished().then_some(())).await;
    }

    async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change between the two is missed.
            changed.as_mut().enable();
            if let Some(value) = ready() {
                return value;
            }
            changed.await;
        }
    }

    /// Takes no more records; what waits is still written.
    pub(super) fn close(&self) {
        self.lock().close();
        self.work.notify_one();
        self.closing.notify_waiters();
        self.changed.notify_waiters();
    }

    /// Gives up what waits: nobody is left to write it.
    pub(super) fn finish(&self) {
        let left = self.lock().finish();
        drop(left);
        self.changed.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed()
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
            Ok(cut) => Next::Write(Batch::new(Arc::clone(self), cut)),
            Err(Decision::Wait { or_after, .. }) => Next::Wait(or_after),
            Err(Decision::Write | Decision::WaitForWrite) => Next::Wait(None),
        }
    }

    /// Settles some records of the batch that begins at number `first`.
    pub(super) fn settle(&self, first: u64, records: usize, dropped: Option<DropReason>) {
        self.lock().settle(first, records, dropped);
        self.changed.notify_waiters();
    }

    pub(super) fn count_retry(&self) {
        self.lock().count_retry();
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stats(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
