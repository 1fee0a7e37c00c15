//! A page of events, and where the next one begins.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::event::{AuditEvent, EventId};

/// How many events a page holds at most: 1 to 1,000. Defaults to 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u16);

impl PageSize {
    /// The largest page.
    pub const MAX: Self = Self(1_000);

    /// Returns the page size.
    ///
    /// # Errors
    ///
    /// Returns an error that names the bounds if `events` is outside of them.
    pub const fn new(events: u16) -> Result<Self, PageSizeError> {
        match events {
            1..=1_000 => Ok(Self(events)),
            _ => Err(PageSizeError(events)),
        }
    }

    /// Returns the number of events.
    #[must_use]
    pub const fn events(self) -> u16 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(50)
    }
}

/// The page size is not between 1 and 1,000.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page holds 1 to 1000 events, not {0}")]
pub struct PageSizeError(u16);

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Seek {
    /// At the newest event.
    #[default]
    Newest,
    /// At the newest event that is older than this.
    OlderThan(Cursor),
    /// At the oldest event that is newer than this.
    NewerThan(Cursor),
    /// At the oldest event.
    Oldest,
}

impl Seek {
    /// Returns whether it goes from old to new.
    #[must_use]
    pub fn is_forward(self) -> bool {
        matches!(self, Self::NewerThan(_) | Self::Oldest)
    }

    /// Returns the position.
    #[must_use]
    pub fn cursor(self) -> Option<Cursor> {
        match self {
            Self::OlderThan(cursor) | Self::NewerThan(cursor) => Some(cursor),
            Self::Newest | Self::Oldest => None,
        }
    }

    /// Returns where to go on in the same direction after the page that was found, or `None` if it was the
    /// last one.
    #[must_use]
    pub fn after(self, page: &Page) -> Option<Self> {
        if self.is_forward() {
            page.newer.map(Self::NewerThan)
        } else {
            page.older.map(Self::OlderThan)
        }
    }

    /// Returns whether the position lies ahead.
    #[must_use]
    pub fn reaches(self, position: Cursor) -> bool {
        match self {
            Self::Newest | Self::Oldest => true,
            Self::OlderThan(cursor) => position < cursor,
            Self::NewerThan(cursor) => position > cursor,
        }
    }
}

/// Some events, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// The position after which older events are, or `None` if there are none.
    pub older: Option<Cursor>,
    /// The position after which newer events are, or `None` if there are none.
    pub newer: Option<Cursor>,
    /// Where the store stopped looking because few of many rows passed, or `None` if it did not. The page is
    /// short then, and [`older`](Self::older) or [`newer`](Self::newer) goes on from here.
    pub stopped_at: Option<DateTime<Utc>>,
}

impl Page {
    /// Returns the page of `events`, which were asked for from `seek` on and in its order, with one more than
    /// `size`: the surplus tells that there are more.
    #[must_use]
    pub fn cut(mut events: Vec<AuditEvent>, seek: Seek, size: PageSize) -> Self {
        let has_more = events.len() > usize::from(size.events());
        events.truncate(usize::from(size.events()));
        let ahead = events.last().filter(|_| has_more).map(Cursor::at);
        // Behind a position there was something when it was given out.
        let behind = seek
            .cursor()
            .map(|cursor| events.first().map_or(cursor, Cursor::at));
        if seek.is_forward() {
            events.reverse();
        }
        let (older, newer) = if seek.is_forward() {
            (behind, ahead)
        } else {
            (ahead, behind)
        };
        Self {
            events,
            older,
            newer,
            stopped_at: None,
        }
    }

    /// Returns the page of the events that were found, all there are up to a position at which the store
    /// stopped looking.
    #[must_use]
    pub fn stopped(events: Vec<AuditEvent>, seek: Seek, at: Cursor) -> Self {
        let mut page = Self::cut(events, seek, PageSize::MAX);
        if seek.is_forward() {
            page.newer = Some(at);
        } else {
            page.older = Some(at);
        }
        page.stopped_at = Some(at.created_at());
        page
    }
}

/// A position between two events, in the order of `(created_at, id)`.
///
/// A cursor is opaque text for whoever holds it and may be kept for as long as the rows are:
///
/// ```
/// use tower_audit_core::{Actor, AuditEvent, Cursor, Target};
///
/// let event = AuditEvent::builder(Actor::system(), "report.send", Target::none()).build();
/// let cursor = Cursor::at(&event);
/// assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    created_at: DateTime<Utc>,
    id: EventId,
}

impl Cursor {
    /// Returns the position of `event`.
    #[must_use]
    pub fn at(event: &AuditEvent) -> Self {
        Self {
            created_at: event.created_at(),
            id: event.id(),
        }
    }

    /// Returns the position of an event with this time and id.
    #[must_use]
    pub fn new(created_at: DateTime<Utc>, id: EventId) -> Self {
        Self { created_at, id }
    }

    /// Returns the time of the event at this position.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Returns the id of the event at this position.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{VERSION}{:016x}{}",
            self.created_at.timestamp_micros(),
            self.id.as_uuid().simple()
        )
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let text = text.strip_prefix(VERSION)?;
            let (micros, id) = text.split_at_checked(16)?;
            // A sign would parse too, and give one position two names.
            let micros = u64::from_str_radix(micros, 16)
                .ok()
                .filter(|_| !micros.starts_with('+'))?;
            let created_at = DateTime::from_timestamp_micros(micros.cast_signed())?;
            Some(Self {
                created_at,
                id: EventId::from_uuid(Uuid::try_parse(id).ok()?),
            })
        };
        parse().ok_or(ParseCursorError(()))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The text is not a cursor that this version made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this version made: begin again without one")]
pub struct ParseCursorError(());

/// The first character of a cursor names its form.
const VERSION: &str = "1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_before_1970_survives_its_text() {
        let created_at = DateTime::from_timestamp_micros(-1).unwrap();
        let cursor = Cursor {
            created_at,
            id: EventId::now(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn text_that_is_no_cursor_is_refused() {
        for text in [
            "",
            "1",
            "2",
            "1é",
            "1zzzzzzzzzzzzzzzz00000000000000000000000000000000",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(ParseCursorError(())), "{text}");
        }
        assert!("1".repeat(100).parse::<Cursor>().is_err());
    }

    #[test]
    fn a_page_of_nothing_is_refused() {
        assert_eq!(
            PageSize::new(0).unwrap_err().to_string(),
            "a page holds 1 to 1000 events, not 0"
        );
        assert!(PageSize::new(1_001).is_err());
    }
}
