//! What was counted.

use std::{fmt, ops::Index, time::Duration};

/// Why a record was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue was full.
    Full,
    /// It came after the shutdown.
    Closed,
    /// The store refused this very record, and there was no room among the
    /// [dead letters](crate::dead_letters).
    Rejected,
    /// It was still queued when the deadline of the shutdown passed, or when the runtime ended, and
    /// there was no spool that could take it.
    Abandoned,
    /// It was spooled and could not be read back. Its file is kept in the quarantine of the spool.
    Damaged,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Full,
        Self::Closed,
        Self::Rejected,
        Self::Abandoned,
        Self::Damaged,
    ];

    /// Returns the reason as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Rejected => "rejected",
            Self::Abandoned => "abandoned",
            Self::Damaged => "damaged",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many records were dropped, by reason.
///
/// ```
/// use tower_audit_core::delivery::{DropReason, Dropped};
///
/// let dropped = Dropped::default();
/// assert_eq!((dropped[DropReason::Full], dropped.total()), (0, 0));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// Returns how many were dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn add(&mut self, reason: DropReason, records: u64) {
        self.0[reason.index()] += records;
    }
}

impl Index<DropReason> for Dropped {
    type Output = u64;

    fn index(&self, reason: DropReason) -> &u64 {
        &self.0[reason.index()]
    }
}

impl fmt::Debug for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = DropReason::ALL.map(|reason| (reason, self[reason]));
        f.debug_map().entries(entries).finish()
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.total())?;
        let mut separator = " (";
        for reason in DropReason::ALL {
            if self[reason] > 0 {
                write!(f, "{separator}{reason} {}", self[reason])?;
                separator = ", ";
            }
        }
        f.write_str(if separator == ", " { ")" } else { "" })
    }
}

/// What was counted since the engine started. At every moment
/// `accepted = written + queued + spooled + dead_lettered + dropped.total()`.
///
/// What another process left in the spool is accepted when it is taken over. A request in `Strict`
/// mode hands over two records: its intent and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records that were handed over.
    pub accepted: u64,
    /// Records that the store has confirmed.
    pub written: u64,
    /// Records that wait or are being written.
    pub queued: u64,
    /// Records that are in the [spool](crate::spool), on disk.
    pub spooled: u64,
    /// Records that the store refused and that are among the [dead letters](crate::dead_letters).
    pub dead_lettered: u64,
    /// Records that were given up, by reason.
    pub dropped: Dropped,
    /// Bytes that the queued records take, roughly.
    pub queued_bytes: u64,
    /// Bytes that the spool takes on disk.
    pub spooled_bytes: u64,
    /// Batches that are being written.
    pub in_flight: u64,
    /// Writes that the store has confirmed.
    pub batches: u64,
    /// Writes that failed and were or will be repeated.
    pub retries: u64,
    /// Batches that the spool could not take: it was full, or its disk was. They stayed in the queue.
    pub spool_refused: u64,
    /// Requests that were answered although nobody could say that their record is kept: see
    /// [`Delivery::record_durable`](super::Delivery::record_durable).
    pub unconfirmed: u64,
    /// Requests that were refused because their record could not be kept. Their handler never ran.
    pub refused: u64,
    /// Pending records that nobody completed and that were turned into unknown ones.
    pub reaped: u64,
    /// How long the oldest record that waits or is being written has been there.
    pub oldest_queued: Option<Duration>,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            written,
            queued,
            spooled,
            dead_lettered,
            dropped,
            ..
        } = self;
        write!(
            f,
            "accepted {accepted}, written {written}, queued {queued}, spooled {spooled}, \
             dead-lettered {dead_lettered}, dropped {dropped}"
        )
    }
}

/// What a shutdown achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// All counts since the start. What is `spooled` is on disk, and written after the next start.
    pub stats: Stats,
    /// How many records the deadline cut off and no spool could take. They are counted as
    /// [`DropReason::Abandoned`]; one whose batch was under way may have reached the store.
    pub left: u64,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats {
            accepted,
            written,
            spooled,
            dead_lettered,
            dropped,
            ..
        } = self.stats;
        write!(
            f,
            "accepted {accepted}, written {written}, spooled {spooled}, dead-lettered {dead_lettered}, \
             dropped {dropped}, left {}",
            self.left
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_shown_with_their_reasons() {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.to_string(), "0");
        dropped.add(DropReason::Full, 2);
        dropped.add(DropReason::Rejected, 1);
        assert_eq!(dropped.to_string(), "3 (full 2, rejected 1)");
    }
}
