//! Where events are kept, and how they are asked for.
//!
//! Whoever wants to keep events somewhere else implements [`EventWriter`]; whoever wants to read
//! them back through this library's tools implements [`EventReader`] too. Both are written so that
//! an `async fn` implements them.
//!
//! # Example
//!
//! A writer that prints:
//!
//! ```
//! use chrono::{DateTime, Utc};
//! use tower_audit_core::{AuditEvent, EventWriter, StoreError, store::StoreStatus};
//!
//! struct Printer;
//!
//! impl EventWriter for Printer {
//!     async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
//!         for event in batch {
//!             println!("{} {}", event.actor().id(), event.action());
//!         }
//!         Ok(())
//!     }
//!
//!     async fn check(&self) -> Result<StoreStatus, StoreError> {
//!         Ok(StoreStatus::default())
//!     }
//!
//!     async fn reap(&self, _created_before: DateTime<Utc>) -> Result<u64, StoreError> {
//!         Ok(0) // nothing printed is pending
//!     }
//! }
//! ```
//!
//! # Guarantees
//!
//! A page is cut by position, never by count: rows that arrive while somebody reads neither repeat
//! nor hide a row ([`Cursor`]).

mod counts;
mod error;
mod memory;
mod page;
mod reader;
mod status;
mod stream;
mod tail;
mod writer;

pub use counts::{
    Bucket, Buckets, BucketsError, Count, Histogram, Related, Top, TopValue, can_be_grouped,
};
pub use error::{BoxError, StoreError};
pub use memory::MemoryStore;
pub use page::{Cursor, Page, PageSize, PageSizeError, ParseCursorError, Seek};
pub use reader::EventReader;
pub use status::{PoolStatus, StoreStatus};
pub use stream::EventStream;
pub use tail::{ParseTailPositionError, Tail, TailPosition};
pub use writer::EventWriter;
