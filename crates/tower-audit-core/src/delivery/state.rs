//! What the lock of the queue guards: the records that wait, and every count.
//!
//! No IO, no waiting and no clock in here: the time is handed in.

use std::{collections::VecDeque, num::NonZeroUsize};

use tokio::time::Instant;

use super::{
    schedule::{Decision, Limits, View, decide},
    settings::DeliverySettings,
    stats::{DropReason, Dropped, Stats},
};

/// What the lock of the queue guards. Whoever moves a record from one count to another does both in
/// one call.
pub(super) struct State<R> {
    capacity: NonZeroUsize,
    capacity_bytes: NonZeroUsize,
    limits: Limits,
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
    /// The last record that came found no room.
    is_refusing: bool,
    is_closed: bool,
    is_finished: bool,
    accepted: u64,
    written: u64,
    dropped: Dropped,
    batches: u64,
    retries: u64,
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

/// Records that left the queue together, and the number of the first.
pub(super) struct Cut<R> {
    pub(super) first: u64,
    pub(super) records: Vec<Box<R>>,
}

impl<R> State<R> {
    pub(super) fn new(settings: &DeliverySettings) -> Self {
        let limits = Limits {
            batch_records: settings.batch_records,
            batch_bytes: settings.batch_bytes,
            in_flight: settings.in_flight,
            linger: settings.linger,
        };
        Self {
            capacity: settings.capacity,
            capacity_bytes: settings.capacity_bytes,
            limits,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            head: 0,
            under_way: Vec::new(),
            reserved: 0,
            reserved_bytes: 0,
            flush_to: 0,
            wake_at: 1,
            is_refusing: false,
            is_closed: false,
            is_finished: false,
            accepted: 0,
            written: 0,
            dropped: Dropped::default(),
            batches: 0,
            retries: 0,
        }
    }

    /// Takes a record in; returns whether the worker has to be told.
    pub(super) fn enter(&mut self, record: Box<R>, bytes: usize, now: Instant) -> bool {
        self.accepted += 1;
        self.is_refusing = false;
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting {
            record,
            bytes,
            since: now,
        });
        let is_batch = self.waiting_bytes >= self.limits.batch_bytes.get();
        let wakes = self.wake_at < usize::MAX && (is_batch || self.waiting.len() >= self.wake_at);
        if wakes {
            // Once is enough: the worker says anew what it waits for.
            self.wake_at = usize::MAX;
        }
        wakes
    }

    /// Counts a record that is not taken in.
    pub(super) fn refuse(&mut self, reason: DropReason) {
        self.accepted += 1;
        self.is_refusing |= reason == DropReason::Full;
        self.dropped.add(reason, 1);
    }

    /// Reserves room for a record; returns whether there was some. A closed queue has room for
    /// everything: it is dropped when it comes, not waited for.
    pub(super) fn reserve(&mut self, bytes: usize) -> bool {
        let has_room =
            self.is_closed || self.has_room_beside(self.reserved, self.reserved_bytes, bytes);
        if has_room {
            self.reserved += 1;
            self.reserved_bytes += bytes;
        }
        has_room
    }

    pub(super) fn give_back(&mut self, reserved_bytes: usize) {
        self.reserved -= 1;
        self.reserved_bytes -= reserved_bytes;
    }

    /// Cuts a batch if one is due, and says otherwise what the worker waits for.
    pub(super) fn next(&mut self, now: Instant) -> Result<Cut<R>, Decision> {
        match decide(self.view(now), self.limits) {
            Decision::Write => {
                self.wake_at = usize::MAX;
                Ok(self.cut())
            }
            wait => {
                self.wake_at = match wait {
                    Decision::Wait { until_records, .. } => until_records,
                    Decision::Write | Decision::WaitForWrite => usize::MAX,
                };
                Err(wait)
            }
        }
    }

    /// Takes the oldest records, as many as a batch may hold and at least one.
    fn cut(&mut self) -> Cut<R> {
        let (mut records, mut bytes) = (0, 0);
        for waiting in self.waiting.iter().take(self.limits.batch_records.get()) {
            if records > 0 && bytes + waiting.bytes > self.limits.batch_bytes.get() {
                break;
            }
            records += 1;
            bytes += waiting.bytes;
        }
        let first = self.head;
        self.head += count(records);
        self.waiting_bytes -= bytes;
        self.under_way.push(UnderWay {
            first,
            records,
            bytes,
        });
        Cut {
            first,
            records: self
                .waiting
                .drain(..records)
                .map(|waiting| waiting.record)
                .collect(),
        }
    }

    /// Settles some records of the batch that begins at number `first`: written, or dropped for a
    /// reason.
    pub(super) fn settle(&mut self, first: u64, records: usize, dropped: Option<DropReason>) {
        let Some(index) = self.under_way.iter().position(|batch| batch.first == first) else {
            return;
        };
        self.under_way[index].records -= records;
        match dropped {
            Some(reason) => self.dropped.add(reason, count(records)),
            None => {
                self.written += count(records);
                self.batches += 1;
            }
        }
        self.is_refusing = false;
        if self.under_way[index].records == 0 {
            self.under_way.swap_remove(index);
        }
    }

    pub(super) fn count_retry(&mut self) {
        self.retries += 1;
    }

    /// Asks for what waits to be written without delay; returns the number below which everything
    /// has to be settled.
    pub(super) fn flush(&mut self) -> u64 {
        let target = self.head + count(self.waiting.len());
        self.flush_to = self.flush_to.max(target);
        target
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Gives up what waits: nobody is left to write it.
    pub(super) fn finish(&mut self) -> VecDeque<impl Sized + use<R>> {
        self.is_closed = true;
        self.is_finished = true;
        let left = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.head += count(left.len());
        self.dropped.add(DropReason::Abandoned, count(left.len()));
        left
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Returns `true` if nothing waits, is under way or will come.
    pub(super) fn is_done(&self) -> bool {
        self.is_closed && self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Returns whether everything below this number is settled.
    pub(super) fn is_settled(&self, target: u64) -> bool {
        self.under_way
            .iter()
            .map(|batch| batch.first)
            .min()
            .unwrap_or(self.head)
            >= target
    }

    /// Returns whether a record of this size may enter. One that is larger than the whole queue may,
    /// when nothing else is there.
    ///
    /// What is reserved does not count: requests that take their time, and hold their room
    /// meanwhile, must not make others lose their records while nothing waits.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.has_room_beside(0, 0, bytes)
    }

    fn has_room_beside(&self, reserved: usize, reserved_bytes: usize, bytes: usize) -> bool {
        let records = self.waiting.len() + self.writing() + reserved;
        let held_bytes = self.held_bytes() + reserved_bytes;
        records < self.capacity.get()
            && (records == 0 || held_bytes.saturating_add(bytes) <= self.capacity_bytes.get())
    }

    /// Returns whether records are being lost for want of room.
    pub(super) fn is_full(&self) -> bool {
        self.is_refusing || !self.has_room(1)
    }

    pub(super) fn dropped(&self) -> Dropped {
        self.dropped
    }

    pub(super) fn stats(&self, now: Instant) -> Stats {
        let oldest = self.waiting.front();
        Stats {
            accepted: self.accepted,
            written: self.written,
            queued: count(self.waiting.len() + self.writing()),
            dropped: self.dropped,
            queued_bytes: count(self.held_bytes()),
            in_flight: count(self.under_way.len()),
            batches: self.batches,
            retries: self.retries,
            oldest_queued: oldest.map(|oldest| now.saturating_duration_since(oldest.since)),
        }
    }

    fn writing(&self) -> usize {
        self.under_way.iter().map(|batch| batch.records).sum()
    }

    fn held_bytes(&self) -> usize {
        self.waiting_bytes
            + self
                .under_way
                .iter()
                .map(|batch| batch.bytes)
                .sum::<usize>()
    }

    fn view(&self, now: Instant) -> View {
        let oldest = self.waiting.front();
        View {
            waiting: self.waiting.len(),
            waiting_bytes: self.waiting_bytes,
            oldest: oldest
                .map(|oldest| now.saturating_duration_since(oldest.since))
                .unwrap_or_default(),
            in_flight: self.under_way.len(),
            is_urgent: self.is_closed || self.flush_to > self.head,
        }
    }
}

fn count(records: usize) -> u64 {
    u64::try_from(records).unwrap_or(u64::MAX)
}
