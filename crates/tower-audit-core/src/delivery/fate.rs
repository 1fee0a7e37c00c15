//! What became of a record, and how whoever waits for it is told.

use tokio::sync::oneshot;

use super::stats::DropReason;

/// What became of a record that left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Written,
    Spooled,
    DeadLettered,
    Dropped(DropReason),
}

/// Tells whoever waits for a record what became of it.
pub(super) type Ticket = oneshot::Sender<Fate>;

/// Where a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// The store has committed it.
    Written,
    /// It is on the disk of this machine, and will be written.
    Spooled,
}

/// Why nobody can say that a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// The store is down, and there is no spool that could take the record. It was not taken.
    #[error("the audit store is down, and there is no spool that can take the event")]
    Unavailable,
    /// The queue is full. The record was not taken.
    #[error("the audit queue is full")]
    Full,
    /// The auditor was shut down before the record was written.
    #[error("the auditor was shut down")]
    Closed,
    /// The store refused this very record. It is a dead letter, or counted as dropped.
    #[error("the audit store refused the event")]
    Rejected,
    /// It took too long. The record is still on its way, and may or may not arrive.
    #[error("the event was not written in time; it is still on its way")]
    TimedOut,
    /// It is in the spool, which does not count: see [`Confirm::Store`](super::Confirm::Store).
    #[error("the event is in the spool, not in the audit store")]
    OnlySpooled,
}
