//! What the lock of the queue guards: the records that wait, every count, and whether the store is
//! worth a try.
//!
//! No IO, no waiting and no clock in here: the time is handed in.

mod turns;
mod view;

use std::{collections::VecDeque, num::NonZeroUsize};

use tokio::time::Instant;

use super::{
    breaker::Breaker,
    counts::Counts,
    fate::{Fate, Ticket},
    record::Entry,
    schedule::{Decision, Limits, decide},
    settings::{DeliverySettings, Overflow},
    stats::DropReason,
};

/// What the lock of the queue guards. Whoever moves a record from one count to another does both in
/// one call.
pub(super) struct State<R> {
    room: Room,
    /// What a batch may hold.
    batch: Room,
    limits: Limits,
    waiting: VecDeque<Waiting<R>>,
    waiting_bytes: usize,
    /// How many of them somebody waits for.
    awaited: usize,
    /// The number of the first waiting record; records are numbered as they enter.
    head: u64,
    under_way: Vec<UnderWay>,
    /// When the last batch was begun.
    last_write: Option<Instant>,
    /// Records whose batch was given up unsettled, for [`take_left`](Self::take_left).
    returned: Vec<Left<R>>,
    reserved: usize,
    reserved_bytes: usize,
    /// Records below this number are waited for.
    flush_to: u64,
    /// The worker wants to be told when this many records wait.
    wake_at: usize,
    /// The last record that came found no room.
    is_refusing: bool,
    /// How far the shutdown has come.
    phase: Phase,
    pub(super) breaker: Breaker,
    pub(super) spool: SpoolState,
    replay: Replay,
    /// Pending records are looked after.
    pub(super) is_reaping: bool,
    pub(super) counts: Counts,
}

/// The bounds.
struct Room {
    records: usize,
    bytes: usize,
}

/// How far the shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Records are taken.
    Open,
    /// No more are taken; what waits is still written.
    Closed,
    /// There is no time left to write: what waits goes to the spool.
    GivingUp,
    /// There is no time left at all.
    CutOff,
    /// The worker has ended.
    Finished,
}

/// Whether the spool takes records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpoolState {
    pub(super) is_there: bool,
    /// Records that find no room in a batch go there too.
    is_overflow: bool,
    /// It took no records the last time, and is not asked before then.
    blocked_until: Option<Instant>,
}

/// Whether the replay of the spool takes one of the places of the batches under way.
#[derive(Clone, Copy, Debug, Default)]
struct Replay {
    wants: bool,
    is_writing: bool,
    /// The last place went to it.
    was_last: bool,
}

struct Waiting<R> {
    record: Entry<R>,
    bytes: usize,
    since: Instant,
    ticket: Option<Ticket>,
}

/// A batch that has left the queue.
struct UnderWay {
    /// Since when the oldest of its records waits.
    since: Option<Instant>,
    first: u64,
    records: usize,
    bytes: usize,
    /// It goes to the spool, and takes no place from those that are written.
    is_spill: bool,
}

/// Records that left the queue together, and the number of the first.
pub(super) struct Cut<R> {
    pub(super) first: u64,
    pub(super) records: Vec<Left<R>>,
}

/// A record that nobody has settled, and who waits for it.
pub(super) type Left<R> = (Entry<R>, Option<Ticket>);

impl<R> State<R> {
    pub(super) fn new(settings: &DeliverySettings, has_spool: bool) -> Self {
        Self {
            room: Room {
                records: settings.capacity.get(),
                bytes: settings.capacity_bytes.get(),
            },
            batch: Room {
                records: settings.batch_records.get(),
                bytes: settings.batch_bytes.get(),
            },
            limits: limits(settings),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            awaited: 0,
            head: 0,
            under_way: Vec::new(),
            last_write: None,
            returned: Vec::new(),
            reserved: 0,
            reserved_bytes: 0,
            flush_to: 0,
            wake_at: 1,
            is_refusing: false,
            phase: Phase::Open,
            breaker: Breaker::new(settings.retry_first, settings.retry_most),
            spool: SpoolState {
                is_there: has_spool,
                is_overflow: has_spool && settings.overflow_with(has_spool) == Overflow::Spill,
                blocked_until: None,
            },
            replay: Replay::default(),
            is_reaping: false,
            counts: Counts::default(),
        }
    }

    /// Returns whether the next record that enters has to come with the time: of those that come together only a few
    /// do.
    pub(super) fn needs_time(&self) -> bool {
        self.waiting.is_empty() || self.counts.accepted.is_multiple_of(TIMELESS)
    }

    /// Takes a record in; returns whether the worker has to be told. Without a time it counts as old as the one before
    /// it.
    pub(super) fn enter(
        &mut self,
        record: Entry<R>,
        bytes: usize,
        ticket: Option<Ticket>,
        now: Option<Instant>,
    ) -> bool {
        let before = self.waiting.back().map(|before| before.since);
        let since = now.or(before).unwrap_or_else(Instant::now);
        self.counts.accepted += 1;
        self.is_refusing = false;
        self.waiting_bytes += bytes;
        let is_awaited = ticket.is_some();
        self.awaited += usize::from(is_awaited);
        self.waiting.push_back(Waiting {
            record,
            bytes,
            since,
            ticket,
        });
        let is_batch = self.waiting_bytes >= self.limits.due_bytes;
        let is_due = is_batch || is_awaited || self.waiting.len() >= self.wake_at;
        let wakes = self.wake_at < usize::MAX && is_due;
        if wakes {
            // Once is enough: the worker says anew what it waits for.
            self.wake_at = usize::MAX;
        }
        wakes
    }

    /// Counts a record that is not taken in.
    pub(super) fn refuse(&mut self, reason: DropReason) {
        self.counts.accepted += 1;
        self.is_refusing |= reason == DropReason::Full;
        self.counts.add(Fate::Dropped(reason), 1);
    }

    /// Reserves room for so many records of this size, or for none; returns whether there was some. A
    /// closed queue has room for everything: it is dropped when it comes, not waited for.
    pub(super) fn reserve(&mut self, records: usize, bytes: usize) -> bool {
        let (others, other_bytes) = (records - 1, (records - 1) * bytes);
        let reserved = (self.reserved + others, self.reserved_bytes + other_bytes);
        let has_room = self.is_closed() || self.has_room_beside(reserved.0, reserved.1, bytes);
        if has_room {
            self.reserved += records;
            self.reserved_bytes += records * bytes;
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
                self.replay.was_last = false;
                self.last_write = Some(now);
                Ok(self.cut(false))
            }
            Decision::Spill => {
                self.wake_at = usize::MAX;
                Ok(self.cut(true))
            }
            wait => {
                self.wake_at = match wait {
                    Decision::Wait { until_records, .. } => until_records,
                    Decision::WaitForWrite { or_after: Some(_) } => self.room.records / 2,
                    Decision::Write | Decision::Spill | Decision::WaitForWrite { .. } => usize::MAX,
                };
                Err(wait)
            }
        }
    }

    /// Takes the oldest records, as many as a batch may hold and at least one.
    fn cut(&mut self, is_spill: bool) -> Cut<R> {
        let (mut records, mut bytes) = (0, 0);
        for waiting in self.waiting.iter().take(self.batch.records) {
            if records > 0 && bytes + waiting.bytes > self.batch.bytes {
                break;
            }
            records += 1;
            bytes += waiting.bytes;
            self.awaited -= usize::from(waiting.ticket.is_some());
        }
        let (first, since) = (self.head, self.waiting.front().map(|oldest| oldest.since));
        self.head += count(records);
        self.waiting_bytes -= bytes;
        self.under_way.push(UnderWay {
            since,
            first,
            records,
            bytes,
            is_spill,
        });
        let records = self.waiting.drain(..records);
        Cut {
            first,
            records: records
                .map(|waiting| (waiting.record, waiting.ticket))
                .collect(),
        }
    }

    /// Settles some records of the batch that begins at number `first`.
    pub(super) fn settle(&mut self, first: u64, records: usize, fate: Fate) {
        let Some(index) = self.under_way.iter().position(|batch| batch.first == first) else {
            return;
        };
        self.under_way[index].records -= records;
        self.counts.add(fate, count(records));
        self.is_refusing = false;
        if self.under_way[index].records == 0 {
            self.under_way.swap_remove(index);
        }
    }

    /// Takes back the unsettled records of a batch that nobody works on any more.
    pub(super) fn put_back(&mut self, first: u64, left: impl Iterator<Item = Left<R>>) {
        self.under_way.retain(|batch| batch.first != first);
        self.returned.extend(left);
    }

    /// Asks for what waits to be written without delay; returns the number below which everything
    /// has to be settled.
    pub(super) fn flush(&mut self) -> u64 {
        let target = self.head + count(self.waiting.len());
        self.flush_to = self.flush_to.max(target);
        target
    }

    pub(super) fn enter_phase(&mut self, phase: Phase, now: Instant) {
        self.phase = self.phase.max(phase);
        self.breaker.close(now);
    }

    /// Takes everything that is left: nobody will write it. It still counts as queued, until
    /// [`settle_left`](Self::settle_left).
    pub(super) fn take_left(&mut self) -> Vec<Left<R>> {
        self.phase = self.phase.max(Phase::Closed);
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.awaited = 0;
        let mut left = std::mem::take(&mut self.returned);
        left.extend(
            waiting
                .into_iter()
                .map(|waiting| (waiting.record, waiting.ticket)),
        );
        self.under_way.push(UnderWay {
            since: None,
            first: self.head,
            records: left.len(),
            bytes: 0,
            is_spill: true,
        });
        left
    }

    /// Settles some of what was left.
    pub(super) fn settle_left(&mut self, records: usize, fate: Fate) {
        self.settle(self.head, records, fate);
    }

    pub(super) fn finish(&mut self) {
        self.under_way.clear();
        self.phase = Phase::Finished;
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn is_closed(&self) -> bool {
        self.phase > Phase::Open
    }

    /// Returns `true` if nothing waits, is under way or will come.
    pub(super) fn is_done(&self) -> bool {
        self.is_closed() && self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Returns whether everything below this number is settled.
    pub(super) fn is_settled(&self, target: u64) -> bool {
        let oldest = self.under_way.iter().map(|batch| batch.first).min();
        self.phase == Phase::Finished || oldest.unwrap_or(self.head) >= target
    }
}

fn limits(settings: &DeliverySettings) -> Limits {
    Limits {
        due_records: due(settings.batch_records, settings.capacity),
        due_bytes: due(settings.batch_bytes, settings.capacity_bytes),
        in_flight: settings.in_flight,
        linger: settings.linger,
        pace: settings.pace,
        spill_after: settings.spill_after,
    }
}

/// Returns how much is written without waiting for more: a full batch, or half of a queue that is smaller, so that
/// none fills up beside a store that has nothing to do.
fn due(batch: NonZeroUsize, capacity: NonZeroUsize) -> usize {
    batch.get().min(capacity.get().div_ceil(2))
}

/// So many records share a time.
const TIMELESS: u64 = 16;

fn count(records: usize) -> u64 {
    u64::try_from(records).unwrap_or(u64::MAX)
}
