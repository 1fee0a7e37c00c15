//! Keeps the events that a store refused, with the reason.
//!
//! A store refuses an event when the event itself is at fault: the database has a check that it does
//! not pass. The other events of its batch are written; this one goes to a file, one JSON object a
//! line. With a [spool](crate::spool) the file is `dead-letters.jsonl` in its folder; without one it is
//! what [`AuditorBuilder::dead_letters`](crate::AuditorBuilder::dead_letters) says, or nowhere, and the
//! event is counted as dropped.
//!
//! # Guarantees
//!
//! - A letter that is counted as dead-lettered is on the disk.
//! - Several processes may append to one file, which only its owner may read. Letters that are done with can be
//!   [removed](fn@remove) meanwhile.
//! - The file takes no more than [`max_bytes`](DeadLetters::max_bytes); what comes then is counted as
//!   dropped.
//!
//! # Example
//!
//! Try again what was refused, once the reason is gone:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use tower_audit_core::{Actor, AuditEvent, Auditor, MemoryStore, Target, dead_letters::{self, DeadLetters}};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("dead-letters.jsonl");
//! # let event = AuditEvent::builder(Actor::system(), "report.send", Target::none()).build();
//! # DeadLetters::open(&path)?.append("a check failed", serde_json::to_string(&event)?.as_bytes())?;
//! // Out of the way first, so that what is refused again goes to a new file. Keep the old one until
//! // you are sure: an auditor that was just about to append to it may have done so behind you.
//! let taken = path.with_extension("taken");
//! std::fs::rename(&path, &taken)?;
//! let auditor = Auditor::new(MemoryStore::new());
//! for letter in dead_letters::read(&taken)? {
//!     match letter {
//!         // One after the other: a file may hold more than the queue has room for.
//!         Ok(letter) => drop(auditor.record_durable(letter.event).await?),
//!         Err(line) => eprintln!("{line}"), // say so and go on: the others are good
//!     }
//! }
//! # let report = auditor.shutdown(std::time::Duration::from_secs(10)).await;
//! # assert_eq!(report.stats.written, 1);
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod read;
mod remove;
mod write;

pub use read::{BadLetter, DeadLetter, Letters, read};
pub use remove::remove;
pub use write::DeadLetters;
