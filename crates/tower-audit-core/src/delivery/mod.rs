//! Carries records from whoever makes them to a store.
//!
//! [`Delivery`] takes records without waiting; one worker task writes them in batches.
//!
//! # Guarantees
//!
//! - **Conservation.** At every moment `accepted = written + queued + dropped`, exactly:
//!   [`Stats`] are taken under the lock that moves a record from one to the other.
//! - The queue is bounded in records and in bytes, what is being written included. [`Overflow`]
//!   says what happens to a record that finds no room.
//! - A record is written as soon as the store is idle, and waits at most
//!   [`linger`](DeliverySettings::linger) for company while one batch is being written (group
//!   commit).
//! - A batch that meets a transient error is repeated, with full-jitter backoff, until it is
//!   written or the worker ends. Writers are idempotent, so a repeated batch is written once.
//! - A record that the store rejects costs only itself: the batch around it is divided until the
//!   one record is found, dropped and counted.
//! - [`Delivery::shutdown`] ends within its deadline and says what was written and what was not.
//!
//! # Not guaranteed
//!
//! Records in memory do not survive a killed process.
//!
//! # Example
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::{num::NonZeroUsize, time::Duration};
//! use tower_audit_core::{
//!     Actor, AuditEvent, Auditor, DeliverySettings, MemoryStore, Overflow, Target,
//! };
//!
//! let settings = DeliverySettings::new()
//!     .capacity(NonZeroUsize::new(50_000).unwrap())
//!     .overflow(Overflow::Wait(Duration::from_millis(100)));
//! let auditor = Auditor::builder().delivery(settings).start(MemoryStore::new());
//!
//! auditor.record(AuditEvent::builder(Actor::system(), "report.send", Target::none()).build());
//! let report = auditor.shutdown(Duration::from_secs(10)).await;
//! assert_eq!((report.stats.accepted, report.stats.written, report.left), (1, 1, 0));
//! # });
//! ```

mod backoff;
mod batch;
mod handle;
mod health;
mod log;
mod permit;
mod queue;
mod record;
mod schedule;
mod settings;
mod state;
mod stats;
mod trouble;
mod worker;

#[cfg(test)]
mod tests;

pub use handle::Delivery;
pub use health::{Health, HealthReason};
pub use permit::Permit;
pub use record::Record;
pub use settings::{DeliverySettings, Overflow};
pub use stats::{DropReason, Dropped, ShutdownReport, Stats};
