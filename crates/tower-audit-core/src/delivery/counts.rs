//! What is counted of records that have left the queue.

use super::{
    fate::Fate,
    stats::{Dropped, Stats},
};

/// What is counted of records that have left the queue, and beside them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) spooled: u64,
    pub(super) dropped: Dropped,
    pub(super) retries: u64,
    pub(super) spool_bytes: u64,
    pub(super) spool_refused: u64,
    pub(super) unconfirmed: u64,
    pub(super) refused: u64,
    pub(super) reaped: u64,
    written: u64,
    dead_lettered: u64,
    batches: u64,
}

impl Counts {
    pub(super) fn add(&mut self, fate: Fate, records: u64) {
        match fate {
            Fate::Written => {
                self.written += records;
                self.batches += 1;
            }
            Fate::Spooled => self.spooled += records,
            Fate::DeadLettered => self.dead_lettered += records,
            Fate::Dropped(reason) => self.dropped.add(reason, records),
        }
    }

    /// Records leave the spool.
    pub(super) fn unspool(&mut self, fate: Fate, records: u64) {
        self.spooled -= records;
        self.add(fate, records);
    }

    /// Returns these counts; what the queue holds is not among them.
    pub(super) fn stats(&self) -> Stats {
        Stats {
            accepted: self.accepted,
            written: self.written,
            spooled: self.spooled,
            dead_lettered: self.dead_lettered,
            dropped: self.dropped,
            spooled_bytes: self.spool_bytes,
            batches: self.batches,
            retries: self.retries,
            spool_refused: self.spool_refused,
            unconfirmed: self.unconfirmed,
            refused: self.refused,
            reaped: self.reaped,
            ..Stats::default()
        }
    }
}
