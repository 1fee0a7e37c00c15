//! The bounded queue, and all the counting: one lock, so that every snapshot adds up.

use std::{
    collections::VecDeque,
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    batch::Batch,
    log::Once,
    record::Record,
    schedule::{Decision, Limits, View, decide},
    settings::DeliverySettings,
    stats::{DropReason, Dropped, Stats},
};

/// The bounded queue between those who make records and the worker.
pub(super) struct Queue<R> {
    capacity: NonZeroUsize,
    capacity_bytes: NonZeroUsize,
    limits: Limits,
    log_period: Duration,
    state: Mutex<State<R>>,
    /// Tells the worker to decide again.
    pub(super) work: Notify,
    /// Tells those who wait for room, and for what they handed over to be settled.
    changed: Notify,
    /// Tells batches that wait for their next try that time is short.
    pub(super) closing: Notify,
}

struct State<R> {
    waiting: VecDeque<Waiting<R>>,
    waiting_bytes: usize,
    /// The number of the first waiting record; records are numbered as they enter.
    head: u64,
    under_way: Vec<UnderWay>,
    reserved: usize,
    reserved_bytes: usize,
    /// Records below this number are waited for.
    flush_to: u64,
    /// The worker wants to be told when this many records wait.
    wake_at: usize,
    is_closed: bool,
    is_finished: bool,
    accepted: u64,
    written: u64,
    dropped: Dropped,
    batches: u64,
    retries: u64,
    full_log: Once,
}

struct Waiting<R> {
    record: Box<R>,
    bytes: usize,
    since: Instant,
}

/// A batch that is being written.
struct UnderWay {
    first: u64,
    records: usize,
    bytes: usize,
}

/// What the worker does next.
pub(super) enum Next<R: Record> {
    Write(Batch<R>),
    Wait(Option<Duration>),
    Done,
}

impl<R: Record> Queue<R> {
    pub(super) fn new(settings: &DeliverySettings) -> Arc<Self> {
        let limits = Limits {
            batch_records: settings.batch_records,
            batch_bytes: settings.batch_bytes,
            in_flight: settings.in_flight,
            linger: settings.linger,
        };
        Arc::new(Self {
            capacity: settings.capacity,
            capacity_bytes: settings.capacity_bytes,
            limits,
            log_period: settings.log_period,
            state: Mutex::new(State::default()),
            work: Notify::new(),
            changed: Notify::new(),
            closing: Notify::new(),
        })
    }

    /// Takes the record, or drops and counts it.
    pub(super) fn push(&self, record: Box<R>) {
        let bytes = record.size();
        let state = self.lock();
        if self.has_room(&state, bytes) {
            self.enter(state, record, bytes);
        } else {
            self.refuse(state, DropReason::Full);
        }
    }

    fn enter(&self, mut state: MutexGuard<'_, State<R>>, record: Box<R>, bytes: usize) {
        if state.is_closed {
            return self.refuse(state, DropReason::Closed);
        }
        state.accepted += 1;
        state.waiting_bytes += bytes;
        state.waiting.push_back(Waiting {
            record,
            bytes,
            since: Instant::now(),
        });
        let is_batch =
            state.waiting_bytes >= self.limits.batch_bytes.get() && state.wake_at < usize::MAX;
        let wakes = state.waiting.len() >= state.wake_at || is_batch;
        if wakes {
            // Once is enough: the worker says anew what it waits for.
            state.wake_at = usize::MAX;
        }
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    fn refuse(&self, mut state: MutexGuard<'_, State<R>>, reason: DropReason) {
        state.accepted += 1;
        let reason = if state.is_closed {
            DropReason::Closed
        } else {
            reason
        };
        state.dropped.add(reason, 1);
        let due = state.full_log.due(Instant::now(), self.log_period);
        let dropped = state.dropped;
        drop(state);
        if due.is_some() {
            tracing::warn!(
                dropped.full = dropped[DropReason::Full],
                dropped.closed = dropped[DropReason::Closed],
                "audit events are being dropped: the queue is full or closed"
            );
        }
    }

    fn has_room(&self, state: &State<R>, bytes: usize) -> bool {
        let records = state.held();
        records < self.capacity.get()
            && (records == 0
                || state.held_bytes().saturating_add(bytes) <= self.capacity_bytes.get())
    }

    /// Reserves room for one record of about this size.
    pub(super) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Permit<R>> {
        let mut state = self.lock();
        // A closed queue has room for everything: it is dropped when it comes, not waited for.
        if !state.is_closed && !self.has_room(&state, bytes) {
            return None;
        }
        state.reserved += 1;
        state.reserved_bytes += bytes;
        drop(state);
        Some(Permit {
            queue: Arc::clone(self),
            reserved: Some(bytes),
        })
    }

    /// Waits until room for one record could be reserved.
    pub(super) async fn reserve(self: &Arc<Self>, bytes: usize) -> Permit<R> {
        self.until(|| self.try_reserve(bytes)).await
    }

    /// Waits until all that was handed over before is written or dropped.
    pub(super) async fn flush(&self) {
        let target = {
            let mut state = self.lock();
            let target = state.head + count(state.waiting.len());
            state.flush_to = state.flush_to.max(target);
            target
        };
        self.work.notify_one();
        self.until(|| (self.lock().settled_below() >= target).then_some(()))
            .await;
    }

    /// Waits until the worker has ended.
    pub(super) async fn finished(&self) {
        self.until(|| self.lock().is_finished.then_some(())).await;
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
        self.lock().is_closed = true;
        self.work.notify_one();
        self.closing.notify_waiters();
        self.changed.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    pub(super) fn is_full(&self) -> bool {
        !self.has_room(&self.lock(), 1)
    }

    /// Gives up what waits: nobody is left to write it.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.is_finished = true;
        let left = std::mem::take(&mut state.waiting);
        state.waiting_bytes = 0;
        state.head += count(left.len());
        state.dropped.add(DropReason::Abandoned, count(left.len()));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Decides what the worker does next, and cuts the batch if one is due.
    pub(super) fn next(self: &Arc<Self>, now: Instant) -> Next<R> {
        let mut state = self.lock();
        if state.is_closed && state.waiting.is_empty() && state.under_way.is_empty() {
            return Next::Done;
        }
        match decide(state.view(now), self.limits) {
            Decision::Write => {
                state.wake_at = usize::MAX;
                let (first, records) = state.cut(self.limits);
                drop(state);
                // Moved out of their boxes here, not under the lock.
                Next::Write(Batch::new(
                    Arc::clone(self),
                    first,
                    records.into_iter().map(|r| *r).collect(),
                ))
            }
            Decision::Wait {
                until_records,
                or_after,
            } => {
                state.wake_at = until_records;
                Next::Wait(or_after)
            }
            Decision::WaitForWrite => {
                state.wake_at = usize::MAX;
                Next::Wait(None)
            }
        }
    }

    /// Settles some records of the batch that begins at number `first`.
    pub(super) fn settle(&self, first: u64, records: usize, dropped: Option<DropReason>) {
        let mut state = self.lock();
        let Some(index) = state
            .under_way
            .iter()
            .position(|batch| batch.first == first)
        else {
            return;
        };
        state.under_way[index].records -= records;
        match dropped {
            Some(reason) => state.dropped.add(reason, count(records)),
            None => {
                state.written += count(records);
                state.batches += 1;
            }
        }
        if state.under_way[index].records == 0 {
            state.under_way.swap_remove(index);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn count_retry(&self) {
        self.lock().retries += 1;
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        let oldest = state.waiting.front().map(|oldest| oldest.since.elapsed());
        let under_way: usize = state.under_way.iter().map(|batch| batch.records).sum();
        Stats {
            accepted: state.accepted,
            written: state.written,
            queued: count(state.waiting.len() + under_way),
            dropped: state.dropped,
            queued_bytes: count(state.held_bytes() - state.reserved_bytes),
            in_flight: count(state.under_way.len()),
            batches: state.batches,
            retries: state.retries,
            oldest_queued: oldest,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> State<R> {
    fn held(&self) -> usize {
        let under_way: usize = self.under_way.iter().map(|batch| batch.records).sum();
        self.waiting.len() + under_way + self.reserved
    }

    fn held_bytes(&self) -> usize {
        let under_way: usize = self.under_way.iter().map(|batch| batch.bytes).sum();
        self.waiting_bytes + under_way + self.reserved_bytes
    }

    fn settled_below(&self) -> u64 {
        self.under_way
            .iter()
            .map(|batch| batch.first)
            .min()
            .unwrap_or(self.head)
    }

    fn view(&self, now: Instant) -> View {
        let oldest = self
            .waiting
            .front()
            .map(|oldest| now.saturating_duration_since(oldest.since));
        View {
            waiting: self.waiting.len(),
            waiting_bytes: self.waiting_bytes,
            oldest: oldest.unwrap_or_default(),
            in_flight: self.under_way.len(),
            is_urgent: self.is_closed || self.flush_to > self.head,
        }
    }

    fn give_back(&mut self, reserved: Option<usize>) {
        if let Some(bytes) = reserved {
            self.reserved -= 1;
            self.reserved_bytes -= bytes;
        }
    }

    /// Takes the oldest records, as many as a batch may hold.
    fn cut(&mut self, limits: Limits) -> (u64, Vec<Box<R>>) {
        let (mut records, mut bytes) = (0, 0);
        for waiting in self.waiting.iter().take(limits.batch_records.get()) {
            if records > 0 && bytes + waiting.bytes > limits.batch_bytes.get() {
                break;
            }
            records += 1;
            bytes += waiting.bytes;
        }
        let first = self.head;
        let batch = self
            .waiting
            .drain(..records)
            .map(|waiting| waiting.record)
            .collect();
        self.head += count(records);
        self.waiting_bytes -= bytes;
        self.under_way.push(UnderWay {
            first,
            records,
            bytes,
        });
        (first, batch)
    }
}

impl<R> Default for State<R> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            head: 0,
            under_way: Vec::new(),
            reserved: 0,
            reserved_bytes: 0,
            flush_to: 0,
            wake_at: 1,
            is_closed: false,
            is_finished: false,
            accepted: 0,
            written: 0,
            dropped: Dropped::default(),
            batches: 0,
            retries: 0,
            full_log: Once::default(),
        }
    }
}

fn count(records: usize) -> u64 {
    u64::try_from(records).unwrap_or(u64::MAX)
}

/// Room for one record, reserved before the record exists. Dropping it gives the room back.
#[must_use = "dropping a permit gives the room back"]
pub struct Permit<R: Record> {
    queue: Arc<Queue<R>>,
    /// `None` once the permit was used.
    reserved: Option<usize>,
}

impl<R: Record> Permit<R> {
    /// Hands over the record, which finds room even in a queue that has filled up since.
    pub fn send(mut self, record: impl Into<Box<R>>) {
        let record = record.into();
        let bytes = record.size();
        let mut state = self.queue.lock();
        state.give_back(self.reserved.take());
        self.queue.enter(state, record, bytes);
    }
}

impl<R: Record> Drop for Permit<R> {
    fn drop(&mut self) {
        if self.reserved.is_some() {
            self.queue.lock().give_back(self.reserved.take());
            self.queue.changed.notify_waiters();
        }
    }
}

impl<R: Record> fmt::Debug for Permit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}
