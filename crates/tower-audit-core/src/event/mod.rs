//! The words: what an audit event says, and how it may say it.
//!
//! An [`AuditEvent`] is immutable plain data: *who* ([`Actor`]) did *what* ([`Action`]) to *which
//! resource* ([`Target`]), *from where*, and *how it ended* ([`Outcome`]).
//!
//! # Guarantees
//!
//! - Whatever goes in, every store accepts it: control characters are replaced and lengths are
//!   capped where the event is made. A value that was cut says so at its end.
//! - `created_at` is whole microseconds, which is what both databases keep: an event that is read
//!   back equals the one that was written.
//!
//! # Example
//!
//! ```
//! use tower_audit_core::{Actor, AuditEvent, Outcome, Target};
//!
//! let event = AuditEvent::builder(Actor::system(), "report.send", Target::new("report", 7))
//!     .metadata("recipients", 3)
//!     .build();
//! assert_eq!(event.action(), "report.send");
//! assert_eq!(event.outcome(), Outcome::Success);
//!
//! let json = serde_json::to_value(&event).unwrap();
//! assert_eq!(json["target_id"], "7"); // named like the columns of the table
//! ```
//!
//! # What it does not do
//!
//! It does not know which values are secret: what must not be stored must not be put in.

mod actor;
mod already_recorded;
mod audit_event;
mod builder;
mod captured;
mod id;
mod metadata;
mod row;
mod text;
mod words;

pub use actor::{Actor, ActorKind, ParseActorKindError};
pub use already_recorded::AlreadyRecorded;
pub use audit_event::AuditEvent;
pub use builder::AuditEventBuilder;
pub use captured::Captured;
pub use id::{EventId, ParseEventIdError};
pub use metadata::Metadata;
pub use text::Text;
pub(crate) use words::words;
pub use words::{Action, Outcome, ParseOutcomeError, Target};
