//! Room that is reserved.

use std::{fmt, sync::Arc};

use super::{
    fate::Ticket,
    queue::Queue,
    record::{Deferred, Entry, Record},
};

/// Room for one record, reserved before the record exists. Dropping it gives the room back.
#[must_use = "dropping a permit gives the room back"]
pub struct Permit<R: Record> {
    queue: Arc<Queue<R>>,
    /// `None` once the permit was used.
    reserved_bytes: Option<usize>,
}

impl<R: Record> Permit<R> {
    pub(super) fn new(queue: Arc<Queue<R>>, reserved_bytes: usize) -> Self {
        Self {
            queue,
            reserved_bytes: Some(reserved_bytes),
        }
    }

    /// Hands over the record, which finds room even in a queue that has filled up since.
    pub fn send(self, record: impl Into<Box<R>>) {
        self.send_with(Entry::Made(record.into()), None);
    }

    /// Hands over something that the record is made of, into the room that is reserved.
    pub fn send_deferred(self, deferred: Box<dyn Deferred<R>>) {
        self.send_with(Entry::Deferred(deferred), None);
    }

    pub(super) fn send_with(mut self, record: Entry<R>, ticket: Option<Ticket>) {
        if let Some(reserved_bytes) = self.reserved_bytes.take() {
            self.queue.push_reserved(record, reserved_bytes, ticket);
        }
    }
}

impl<R: Record> Drop for Permit<R> {
    fn drop(&mut self) {
        if let Some(reserved_bytes) = self.reserved_bytes.take() {
            self.queue.give_back(reserved_bytes);
        }
    }
}

impl<R: Record> fmt::Debug for Permit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("reserved_bytes", &self.reserved_bytes)
            .finish_non_exhaustive()
    }
}
