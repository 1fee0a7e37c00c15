//! Records that left the queue together and are not settled yet.

use std::{ops::Range, sync::Arc, vec};

use super::{
    fate::{Fate, Ticket},
    queue::Queue,
    record::{Entry, Record},
    state::{Cut, Left},
    stats::DropReason,
};

/// Records that left the queue together. Whatever becomes of it, each record is settled once: what is
/// not when the batch is dropped goes back, and whoever ends the worker settles it.
pub(super) struct Batch<R: Record> {
    queue: Arc<Queue<R>>,
    first: u64,
    /// Those that are still to be made.
    entries: vec::IntoIter<Left<R>>,
    records: Vec<R>,
    tickets: Vec<Option<Ticket>>,
    is_settled: Vec<bool>,
    unsettled: usize,
}

impl<R: Record> Batch<R> {
    pub(super) fn new(queue: Arc<Queue<R>>, cut: Cut<R>) -> Self {
        let size = cut.records.len();
        Self {
            queue,
            first: cut.first,
            entries: cut.records.into_iter(),
            records: Vec::with_capacity(size),
            tickets: Vec::with_capacity(size),
            is_settled: Vec::with_capacity(size),
            unsettled: 0,
        }
    }

    /// Makes some of the records, at most so many, and returns whether those were the last. One that cannot be made
    /// is dropped and counted.
    pub(super) fn make(&mut self, most: usize) -> bool {
        for (entry, ticket) in self.entries.by_ref().take(most) {
            if let Some(record) = entry.make() {
                self.records.push(record);
                self.tickets.push(ticket);
                self.is_settled.push(false);
                self.unsettled += 1;
            } else {
                let fate = Fate::Dropped(DropReason::Rejected);
                self.queue.settle(self.first, 1, fate);
            }
        }
        self.entries.len() == 0
    }

    pub(super) fn records(&self) -> &[R] {
        &self.records
    }

    /// Returns the number of its first record.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Counts these records, and then tells whoever waits for them.
    pub(super) fn settle(&mut self, part: &Range<usize>, fate: Fate) {
        self.unsettled -= part.len();
        self.is_settled[part.clone()].fill(true);
        self.queue.settle(self.first, part.len(), fate);
        for ticket in self.tickets[part.clone()]
            .iter_mut()
            .filter_map(Option::take)
        {
            // Whoever waited may be gone.
            let _ = ticket.send(fate);
        }
    }
}

impl<R: Record> Drop for Batch<R> {
    fn drop(&mut self) {
        if self.unsettled == 0 && self.entries.len() == 0 {
            return;
        }
        let unmade = std::mem::take(&mut self.entries);
        let records = std::mem::take(&mut self.records);
        let tickets = std::mem::take(&mut self.tickets);
        let settled = std::mem::take(&mut self.is_settled);
        let left = records.into_iter().zip(tickets).zip(settled);
        let left = left.filter(|(_, is_settled)| !is_settled);
        let left = left.map(|((record, ticket), _)| (Entry::from(record), ticket));
        self.queue.put_back(self.first, left.chain(unmade));
    }
}
