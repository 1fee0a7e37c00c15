//! What can be seen of the state: the counts, the room that is left, and what a decision depends on.

use std::time::Duration;

use tokio::time::Instant;

use super::{Phase, State, count};
use crate::delivery::{
    schedule::{Spill, View},
    stats::Stats,
};

impl<R> State<R> {
    /// Returns whether a record of this size may enter. One that is larger than the whole queue may,
    /// when nothing else is there.
    ///
    /// What is reserved does not count: requests that take their time, and hold their room
    /// meanwhile, must not make others lose their records while nothing waits.
    pub(in crate::delivery) fn has_room(&self, bytes: usize) -> bool {
        self.has_room_beside(0, 0, bytes)
    }

    pub(super) fn has_room_beside(
        &self,
        reserved: usize,
        reserved_bytes: usize,
        bytes: usize,
    ) -> bool {
        let records = self.waiting.len() + self.held() + reserved;
        let held_bytes = self.held_bytes() + reserved_bytes;
        records < self.room.records
            && (records == 0 || held_bytes.saturating_add(bytes) <= self.room.bytes)
    }

    /// Returns whether so many records of this size would find room in an empty queue.
    pub(in crate::delivery) fn could_hold(&self, records: usize, bytes: usize) -> bool {
        records <= self.room.records && records.saturating_mul(bytes) <= self.room.bytes
    }

    /// Returns whether records are being lost for want of room.
    pub(in crate::delivery) fn is_full(&self) -> bool {
        self.is_refusing || !self.has_room(1)
    }

    pub(in crate::delivery) fn stats(&self, now: Instant) -> Stats {
        let waiting = self.waiting.front().map(|oldest| oldest.since);
        let under_way = self.under_way.iter().filter_map(|batch| batch.since);
        let oldest = under_way.chain(waiting).min();
        Stats {
            queued: count(self.waiting.len() + self.held()),
            queued_bytes: count(self.held_bytes()),
            in_flight: count(self.under_way.len()),
            oldest_queued: oldest.map(|since| now.saturating_duration_since(since)),
            ..self.counts.stats()
        }
    }

    /// Records that have left the queue and are not settled.
    pub(super) fn held(&self) -> usize {
        let under_way: usize = self.under_way.iter().map(|batch| batch.records).sum();
        under_way + self.returned.len()
    }

    fn held_bytes(&self) -> usize {
        let under_way = self.under_way.iter().map(|batch| batch.bytes);
        self.waiting_bytes + under_way.sum::<usize>()
    }

    /// Batches that are being written to the store.
    pub(super) fn writing(&self) -> usize {
        self.under_way
            .iter()
            .filter(|batch| !batch.is_spill)
            .count()
    }

    pub(super) fn view(&self, now: Instant) -> View {
        let oldest = self.waiting.front();
        let is_spilling = self.under_way.iter().any(|batch| batch.is_spill);
        let spill = match self.spool_retry(now) {
            _ if !self.spool.is_there || is_spilling => Spill::Never,
            Some(time) if !self.can_spool(now) => Spill::NotBefore(time),
            _ if self.phase >= Phase::GivingUp => Spill::Always,
            _ if self.spool.is_overflow => Spill::WhenSlow {
                is_half_full: self.is_half_full(),
            },
            _ => Spill::Never,
        };
        let wants = self.replay.wants && !self.replay.was_last && self.breaker.could_try(now);
        View {
            waiting: self.waiting.len(),
            waiting_bytes: self.waiting_bytes,
            oldest: oldest
                .map(|oldest| now.saturating_duration_since(oldest.since))
                .unwrap_or_default(),
            // What the spool refused is older than what waits, and has the next place.
            in_flight: self.writing() + usize::from(self.has_refused()),
            last_write: self
                .last_write
                .map_or(Duration::MAX, |begun| now.saturating_duration_since(begun)),
            is_replaying: self.replay.is_writing || wants,
            is_urgent: self.is_closed() || self.awaited > 0 || self.flush_to > self.head,
            spill,
        }
    }

    fn is_half_full(&self) -> bool {
        self.waiting.len() * 2 >= self.room.records || self.waiting_bytes * 2 >= self.room.bytes
    }
}
