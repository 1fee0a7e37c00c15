//! What the engine needs to know of a record.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{event::AuditEvent, store::BoxError};

/// Something that the engine can deliver.
pub trait Record: Sized + Send + Sync + 'static {
    /// Returns the identity, for logs.
    fn id(&self) -> impl fmt::Display;

    /// Returns roughly how many bytes the record takes in memory, itself included.
    fn size(&self) -> usize;

    /// Appends the record as one JSON value without line breaks, for the spool and for dead letters.
    fn encode(&self, buffer: &mut Vec<u8>);

    /// Reads back what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// Returns an error if it is none, or one that a later version wrote.
    fn decode(json: &[u8]) -> Result<Self, BoxError>;
}

/// Something that a record is made of once it has left the queue: making it then costs whoever hands it over
/// nothing.
pub trait Deferred<R>: Send + 'static {
    /// Returns roughly how many bytes it takes in memory. Asked once, when it is handed over.
    fn size(&self) -> usize;

    /// Makes the record; called by the worker. If it panics or returns `None`, the record is dropped and counted as
    /// [`Rejected`](super::DropReason::Rejected).
    fn make(self: Box<Self>) -> Option<R>;
}

/// A record in the queue.
pub(super) enum Entry<R> {
    Made(Box<R>),
    Deferred(Box<dyn Deferred<R>>),
}

impl<R: Record> Entry<R> {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Made(record) => record.size(),
            Self::Deferred(deferred) => deferred.size(),
        }
    }

    /// Returns the record, or `None` if it could not be made.
    pub(super) fn make(self) -> Option<R> {
        match self {
            Self::Made(record) => Some(*record),
            Self::Deferred(deferred) => {
                let made = catch_unwind(AssertUnwindSafe(|| deferred.make()));
                let made = made.ok().flatten();
                if made.is_none() {
                    tracing::error!("an audit event could not be made of its request, and is lost");
                }
                made
            }
        }
    }
}

impl<R> From<R> for Entry<R> {
    fn from(record: R) -> Self {
        Self::Made(Box::new(record))
    }
}

impl Record for AuditEvent {
    fn id(&self) -> impl fmt::Display {
        Self::id(self)
    }

    fn size(&self) -> usize {
        Self::size(self)
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        // An event is made of texts, numbers and JSON values, all of which serialize.
        if serde_json::to_writer(&mut *buffer, self).is_err() {
            buffer.truncate(start);
        }
    }

    fn decode(json: &[u8]) -> Result<Self, BoxError> {
        Ok(serde_json::from_slice(json)?)
    }
}
