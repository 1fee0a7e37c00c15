//! The words, the store traits and the delivery engine of
//! [tower-audit](https://docs.rs/tower-audit): what a store, a command or a queue worker needs,
//! with no HTTP stack and no database.
//!
//! - [`event`]: what an audit event says ([`AuditEvent`], [`Actor`], [`Target`], [`Outcome`]).
//! - [`catalog`]: names for what is done to the usual resources.
//! - [`delivery`]: the bounded queue, the batches, the retries and the counting.
//! - [`spool`] and [`dead_letters`]: what is on disk while the store is away, or refuses it.
//! - [`store`]: the traits of whoever keeps events, and a store in memory.
//! - [`retention`]: how long events are kept.
//! - [`changes`]: which rows of the app each request changed.
//! - [`search`]: what to look for in a trail ([`Filter`]), and the text that people write it as.
//! - [`Auditor`]: the handle that joins the three.
//!
//! # Example
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use tower_audit_core::{Actor, AuditEvent, Auditor, EventReader, Filter, MemoryStore, Seek, Target};
//!
//! let store = MemoryStore::new();
//! let auditor = Auditor::new(store.clone());
//! auditor.record(
//!     AuditEvent::builder(Actor::user("alice"), "project.delete", Target::new("project", 7))
//!         .build(),
//! );
//! auditor.flush().await;
//!
//! let page = store.page(&Filter::new().actor_id("alice"), Seek::Newest, Default::default()).await?;
//! assert_eq!(page.events[0].action(), "project.delete");
//! # Ok::<_, tower_audit_core::StoreError>(()) }).unwrap();
//! ```

mod auditor;
pub mod catalog;
pub mod changes;
pub mod dead_letters;
pub mod delivery;
pub mod event;
mod private;
pub mod retention;
pub mod search;
pub mod spool;
pub mod store;

pub use auditor::{Auditor, AuditorBuilder};
pub use delivery::{DeliverySettings, Health, Overflow, ShutdownReport, Stats};
pub use event::{
    Action, Actor, ActorKind, AlreadyRecorded, AuditEvent, AuditEventBuilder, Captured, EventId,
    Metadata, Outcome, Target, Text,
};
pub use search::Filter;
pub use store::{
    BoxError, Cursor, EventReader, EventWriter, MemoryStore, Page, PageSize, Seek, StoreError,
};
