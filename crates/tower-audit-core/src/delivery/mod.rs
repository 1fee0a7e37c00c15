//! Carries records from whoever makes them to a store.
//!
//! [`Delivery`] takes records without waiting; one worker task writes them in batches.
//!
//! # Guarantees
//!
//! - **Conservation.** At every moment
//!   `accepted = written + queued + spooled + dead_lettered + dropped`, exactly: [`Stats`] are taken
//!   under the lock that moves a record from one to the other.
//! - The queue is bounded in records and in bytes, what is being written included. [`Overflow`]
//!   says what happens to a record that finds no room.
//! - A record is written as soon as the store is idle, though not sooner than the
//!   [`pace`](DeliverySettings::pace) allows, and waits at most [`linger`](DeliverySettings::linger) for company
//!   while one batch is being written (group commit).
//! - A batch that meets a transient error is repeated, with full-jitter backoff, until it is
//!   written or the worker ends. Writers are idempotent, so a repeated batch is written once.
//! - A store that is down is tried by one batch at a time, ever more rarely up to
//!   [`retry`](DeliverySettings::retry). With a [spool](crate::spool) records go to disk meanwhile, and
//!   to the store afterwards, oldest first, taking turns with new ones.
//! - A record that the store rejects costs only itself: the batch around it is divided until the
//!   one record is found, put among the [dead letters](crate::dead_letters) or dropped, and counted.
//! - [`Delivery::record_durable`] returns when the record is committed, or synced to the spool. A
//!   record that somebody waits for does not linger.
//! - [`Delivery::shutdown`] ends within its deadline and says what was written, what went to the spool,
//!   and what was not saved.
//!
//! # Not guaranteed
//!
//! Records that are only in memory do not survive a killed process: what is queued, and nobody waits
//! for.
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
mod breaker;
mod builder;
mod counts;
mod deliver;
mod disk;
mod fate;
mod handle;
mod health;
mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
mod permit;
mod queue;
mod reaper;
mod record;
mod replay;
mod schedule;
mod settings;
mod state;
mod stats;
mod sync;
mod trouble;
mod worker;

#[cfg(test)]
mod tests;

pub use builder::DeliveryBuilder;
pub use fate::{Kept, NotKept};
pub use handle::Delivery;
pub use health::{Health, HealthReason, HealthStatus};
pub use permit::Permit;
pub use record::{Deferred, Record};
pub use settings::{Confirm, DeliverySettings, Overflow};
pub use stats::{DropReason, Dropped, ShutdownReport, Stats};
