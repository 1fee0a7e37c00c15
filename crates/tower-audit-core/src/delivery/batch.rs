//! Records that left the queue together and are not settled yet.

use std::{ops::Range, sync::Arc};

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
    is_spill: bool,
    records: Vec<R>,
    tickets: Vec<Option<Ticket>>,
    is_settled: Vec<bool>,
    unsettled: usize,
}

impl<R: Record> Batch<R> {
    pub(super) fn new(queue: Arc<Queue<R>>, cut: Cut<R>) -> Self {
        let Cut {
            first,
            is_spill,
            records,
        } = cut;
        let cut = records.len();
        let (records, tickets) = made(records);
        let unsettled = records.len();
        if unsettled < cut {
            queue.settle(first, cut - unsettled, Fate::Dropped(DropReason::Rejected));
        }
        Self {
            queue,
            first,
            is_spill,
            records,
            tickets,
            is_settled: vec![false; unsettled],
            unsettled,
        }
    }

    pub(super) fn records(&self) -> &[R] {
        &self.records
    }

    /// Returns whether it goes to the spool.
    pub(super) fn is_spill(&self) -> bool {
        self.is_spill
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

/// Makes the records, but for those that cannot be made.
pub(super) fn made<R: Record>(entries: Vec<Left<R>>) -> (Vec<R>, Vec<Option<Ticket>>) {
    let mut records = Vec::with_capacity(entries.len());
    let mut tickets = Vec::with_capacity(entries.len());
    for (entry, ticket) in entries {
        if let Some(record) = entry.make() {
            records.push(record);
            tickets.push(ticket);
        }
    }
    (records, tickets)
}

impl<R: Record> Drop for Batch<R> {
    fn drop(&mut self) {
        if self.unsettled == 0 {
            return;
        }
        let records = std::mem::take(&mut self.records);
        let tickets = std::mem::take(&mut self.tickets);
        let settled = std::mem::take(&mut self.is_settled);
        let left = records.into_iter().zip(tickets).zip(settled);
        let left = left.filter(|(_, is_settled)| !is_settled);
        let left = left.map(|((record, ticket), _)| (Entry::from(record), ticket));
        self.queue.put_back(self.first, left);
    }
}
