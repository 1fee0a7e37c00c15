//! Records that left the queue together and are not settled yet.

use std::{ops::Range, sync::Arc};

use super::{
    fate::{Fate, Ticket},
    queue::Queue,
    record::Record,
    state::Cut,
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
        let (records, tickets): (Vec<R>, Vec<_>) = records
            .into_iter()
            .map(|(record, ticket)| (*record, ticket))
            .unzip();
        let unsettled = records.len();
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
        self.queue.put_back(self.first, left.map(|(left, _)| left));
    }
}
