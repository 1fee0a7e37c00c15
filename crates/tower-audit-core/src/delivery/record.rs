//! What the engine needs to know of a record.

use std::fmt;

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
