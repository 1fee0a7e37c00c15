//! A page of changes, and where the next one begins.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::RowChange;

/// The position of a change: its time, then its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeCursor {
    at: DateTime<Utc>,
    id: Uuid,
}

impl ChangeCursor {
    /// Returns the position of a change.
    #[must_use]
    pub fn of(change: &RowChange) -> Self {
        Self {
            at: change.at,
            id: change.id,
        }
    }

    /// Returns the time of the change.
    #[must_use]
    pub fn at(self) -> DateTime<Utc> {
        self.at
    }

    /// Returns the id of the change.
    #[must_use]
    pub fn id(self) -> Uuid {
        self.id
    }
}

impl fmt::Display for ChangeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl FromStr for ChangeCursor {
    type Err = ParseChangeCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (at, id) = text.split_once('_').ok_or(ParseChangeCursorError)?;
        let micros = at.parse().map_err(|_| ParseChangeCursorError)?;
        Ok(Self {
            at: DateTime::from_timestamp_micros(micros).ok_or(ParseChangeCursorError)?,
            id: Uuid::try_parse(id).map_err(|_| ParseChangeCursorError)?,
        })
    }
}

/// It is no position that a page of changes has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no position of a change: give what a page of changes says")]
pub struct ParseChangeCursorError;

/// Some changes, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChangePage {
    /// The changes.
    pub changes: Vec<RowChange>,
    /// Where to go on with older ones, or `None` if there are none.
    pub older: Option<ChangeCursor>,
}

impl ChangePage {
    /// Returns the page of so many of these changes, the newest first: that there are more tells that there is another page.
    #[must_use]
    pub fn cut(mut changes: Vec<RowChange>, size: usize) -> Self {
        let has_more = changes.len() > size;
        changes.truncate(size);
        let older = changes.last().filter(|_| has_more).map(ChangeCursor::of);
        Self { changes, older }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_is_written_is_read_back() {
        let at = DateTime::from_timestamp_micros(-7).unwrap();
        let cursor = ChangeCursor {
            at,
            id: Uuid::from_u128(9),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "_", "7", "7_x", "99999999999999999999_0"] {
            assert_eq!(
                wrong.parse::<ChangeCursor>(),
                Err(ParseChangeCursorError),
                "{wrong}"
            );
        }
    }
}
