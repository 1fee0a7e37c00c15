//! What the engine needs to know of a record.

use std::fmt;

use crate::event::AuditEvent;

/// Something that the engine can deliver.
pub trait Record: Send + Sync + 'static {
    /// Returns the identity, for logs.
    fn id(&self) -> impl fmt::Display;

    /// Returns roughly how many bytes the record takes in memory, itself included.
    fn size(&self) -> usize;
}

impl Record for AuditEvent {
    fn id(&self) -> impl fmt::Display {
        Self::id(self)
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}
