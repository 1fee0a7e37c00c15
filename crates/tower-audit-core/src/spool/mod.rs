//! Keeps records on disk while their store is away.
//!
//! A [`Spool`] is given to an auditor ([`AuditorBuilder::spool`](crate::AuditorBuilder::spool)), which
//! fills it when the store is down, when the queue fills up and when a shutdown runs out of time, and
//! writes it to the store afterwards, oldest first.
//!
//! # Guarantees
//!
//! - What counts as spooled is on the disk: one `fdatasync` a batch, and one of the folder a file.
//! - Several processes may use one folder. Each has a folder of its own in it, which it locks; what a
//!   process left behind when it ended, however it ended, is taken over by the next one to look.
//! - What is spooled is written oldest first; batches that were spooled at the same moment may change
//!   places.
//! - A tail that a crash cut off is cut off. A damaged record costs only itself: it is counted, and the
//!   file that it was in is kept in `quarantine`.
//! - Only the owner of the process may look into what it makes.
//! - It takes no more than [`max_bytes`](SpoolBuilder::max_bytes). A full disk is no failure: the spool
//!   takes no more until there is room, and says so in the counts.
//!
//! # Not guaranteed
//!
//! A record that was written to the store and whose file was not yet deleted is written again. Stores
//! are idempotent, so it is there once. What somebody deletes from the folder is counted as damaged when
//! its turn comes; the folder itself is made again. Network file systems whose locks do not work make two processes
//! write the same records, which is harmless too, but slow.
//!
//! # The files
//!
//! ```text
//! <folder>/<id of a process>/lock                      locked while the process lives
//! <folder>/<id of a process>/<id of a segment>.open    being written
//! <folder>/<id of a process>/<id of a segment>.seg     waiting to be read
//! <folder>/quarantine/<id of a segment>.seg            had damaged records; the good ones were read
//! <folder>/dead-letters.jsonl                          what the store refused
//! ```
//!
//! Ids are UUIDv7, so they sort by age. A segment is a header of 16 bytes (`TWRAUDIT`, the version as
//! two bytes, two that are zero, and the CRC-32 of these twelve), and then records: the length of the
//! payload, the CRC-32 of these four bytes, the CRC-32 of the payload, and the payload, which is an
//! event as JSON. Numbers have four bytes, lowest first. [`read_segment`] reads one.
//!
//! There is no ledger of what was read: a segment is sealed by a rename, written to the store as a
//! whole, and deleted. [`inspect`](fn@inspect) lists what lies there, without taking any of it.
//!
//! # Example
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use tower_audit_core::{Auditor, MemoryStore, spool::Spool};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let spool = Spool::builder(folder).max_bytes(256 << 20).open()?;
//! let auditor = Auditor::builder().spool(spool).start(MemoryStore::new());
//! # let _ = auditor;
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod files;
mod folder;
mod inspect;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use files::{Adopted, Files, Sealed};
pub use folder::{Spool, SpoolBuilder, SpoolError};
pub use inspect::{Inspection, ProcessFolder, ProcessState, inspect, segments};
pub(crate) use segment::push_record;
pub use segment::{Segment, UnknownVersion, read_segment};
