//! Records that left the queue together and are not settled yet.

use std::{ops::Range, sync::Arc};

use super::{queue::Queue, record::Record, state::Cut, stats::DropReason};

/// Records that left the queue together. Whatever becomes of it, each record is settled once: what
/// is not written or rejected when the batch is dropped counts as abandoned.
pub(super) struct Batch<R: Record> {
    queue: Arc<Queue<R>>,
    first: u64,
    records: Vec<R>,
    unsettled: usize,
}

impl<R: Record> Batch<R> {
    pub(super) fn new(queue: Arc<Queue<R>>, cut: Cut<R>) -> Self {
        let Cut { first, records } = cut;
        let records: Vec<R> = records.into_iter().map(|record| *record).collect();
        let unsettled = records.len();
        Self {
            queue,
            first,
            records,
            unsettled,
        }
    }

    pub(super) fn records(&self) -> &[R] {
        &self.records
    }

    pub(super) fn written(&mut self, part: &Range<usize>) {
        self.settle(part.len(), None);
    }

    pub(super) fn rejected(&mut self, part: &Range<usize>) {
        self.settle(part.len(), Some(DropReason::Rejected));
    }

    fn settle(&mut self, records: usize, dropped: Option<DropReason>) {
        self.unsettled -= records;
        self.queue.settle(self.first, records, dropped);
    }
}

impl<R: Record> Drop for Batch<R> {
    fn drop(&mut self) {
        if self.unsettled > 0 {
            self.settle(self.unsettled, Some(DropReason::Abandoned));
        }
    }
}
