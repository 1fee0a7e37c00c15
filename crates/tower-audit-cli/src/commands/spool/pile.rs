//! What some segments hold.

use std::{fs, io, path::PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tower_audit_core::{AuditEvent, spool::read_segment};

/// What some segments hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Pile {
    pub(super) segments: u64,
    pub(super) events: u64,
    pub(super) bytes: u64,
    /// Stretches of bytes that are no events any more.
    pub(super) damaged: u64,
    /// Segments that a later version wrote.
    pub(super) unknown: u64,
    pub(super) oldest: Option<DateTime<Utc>>,
    pub(super) newest: Option<DateTime<Utc>>,
}

impl Pile {
    /// Counts what is in these segments. One of them is in memory at a time.
    pub(super) fn of<'a>(segments: impl IntoIterator<Item = &'a PathBuf>) -> anyhow::Result<Self> {
        let mut pile = Self::default();
        for path in segments {
            match fs::read(path) {
                Ok(content) => pile.add(&content),
                // It was written to the database meanwhile, or taken over.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("the file {} cannot be read", path.display()));
                }
            }
        }
        Ok(pile)
    }

    /// Returns whether nobody has to do anything about it.
    pub(super) fn is_empty(&self) -> bool {
        self.events == 0 && self.damaged == 0 && self.unknown == 0
    }

    fn add(&mut self, content: &[u8]) {
        self.segments += 1;
        self.bytes += content.len() as u64;
        let Ok(segment) = read_segment(content) else {
            self.unknown += 1;
            return;
        };
        self.damaged += segment.damaged;
        for record in segment.records {
            match serde_json::from_slice::<AuditEvent>(&content[record]) {
                Ok(event) => self.add_event(event.created_at()),
                Err(_) => self.damaged += 1,
            }
        }
    }

    fn add_event(&mut self, created_at: DateTime<Utc>) {
        self.events += 1;
        self.oldest = Some(self.oldest.map_or(created_at, |time| time.min(created_at)));
        self.newest = self.newest.max(Some(created_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_counted_and_the_times_span_all_events() {
        let mut pile = Pile::default();
        pile.add(b"these are sixteen bytes and some more, and no segment");
        pile.add(b"TWRAUDIT");
        let time = |seconds| DateTime::from_timestamp(seconds, 0);
        for seconds in [20, 10, 30] {
            pile.add_event(time(seconds).unwrap());
        }
        assert_eq!((pile.segments, pile.damaged, pile.events), (2, 1, 3));
        assert_eq!((pile.oldest, pile.newest), (time(10), time(30)));
        assert!(!pile.is_empty() && Pile::default().is_empty());
    }
}
