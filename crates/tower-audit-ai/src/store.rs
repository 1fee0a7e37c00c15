//! Where trails are kept: one trait, whatever it is.

use std::{collections::BTreeMap, fmt, future::Future, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use tower_audit_core::{EventId, EventWriter, PageSize, StoreError};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::kept::around;
use crate::{MessageId, Tally, Trail, TrailChange};

/// Keeps trails.
///
/// Its [`append`](EventWriter::append) takes changes in whichever order and however often they arrive, and
/// [`reap`](EventWriter::reap) gives up the calls that nobody has ended. What it adds up, it adds up in the same step.
pub trait TrailStore: EventWriter<TrailChange> {
    /// Returns a trail, if its begin has arrived.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    fn get(
        &self,
        message_id: &MessageId,
    ) -> impl Future<Output = Result<Option<Trail>, StoreError>> + Send;

    /// Returns the trails of a project, the newest first.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    fn list(
        &self,
        project_id: &str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> impl Future<Output = Result<TrailPage, StoreError>> + Send;

    /// Returns the trails of one request, the oldest first, at most so many.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    fn of_event(
        &self,
        event_id: EventId,
        size: PageSize,
    ) -> impl Future<Output = Result<Vec<Trail>, StoreError>> + Send;

    /// Returns the projects of which there were calls, in the order of their bytes: those that come after one, at most so many.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    fn projects(
        &self,
        after: Option<&str>,
        size: PageSize,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Returns what the calls of a project on these days add up to, those of which the trails are deleted included.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    fn analytics(
        &self,
        project_id: &str,
        days: Days,
    ) -> impl Future<Output = Result<Analytics, StoreError>> + Send;

    /// Counts the trails of each day again, of which all are there, and replaces what they added up to; returns how many days those were. What is
    /// written meanwhile waits while a day is counted. It is for a table that somebody has changed by hand: nothing else makes it necessary.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of it: the days that were counted until then stay so.
    fn recount(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Deletes the trails that began before; returns how many. Those on their way stay, and so does what all of them add up to. From then on
    /// no trail is taken that began before and is not there: it was deleted, and what it adds up to would be counted twice.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of it: what was deleted until then stays so.
    fn cleanup(
        &self,
        older_than: DateTime<Utc>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Some days, the first and the last among them, in the time zone of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: NaiveDate,
    /// The last.
    pub last: NaiveDate,
}

impl Days {
    /// Returns the days from one to another.
    #[must_use]
    pub fn new(first: NaiveDate, last: NaiveDate) -> Self {
        Self { first, last }
    }

    /// Returns the first and the last one that a database has, too.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn within(&self) -> (NaiveDate, NaiveDate) {
        let first_of = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
        let within = |day: NaiveDate| day.clamp(first_of(1), first_of(9999));
        (within(self.first), within(self.last))
    }

    /// Returns two moments between which these days are, in any time zone.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn around(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let (first, last) = self.within();
        (around(first).0, around(last).1)
    }

    pub(crate) fn have(&self, day: NaiveDate) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// What the calls of a project add up to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Analytics {
    /// All of them.
    pub total: Tally,
    /// By day, of those on which there were some, the oldest first.
    pub by_day: Vec<(NaiveDate, Tally)>,
    /// By model, by its name.
    pub by_model: Vec<(String, Tally)>,
    /// The ten that took longest, of those whose trails are there.
    pub slowest: Vec<Trail>,
    /// The ten that began last.
    pub recent: Vec<Trail>,
}

impl Analytics {
    /// Returns what these days and models add up to. No trail is named yet.
    pub(crate) fn sum<'a>(tallies: impl Iterator<Item = (NaiveDate, &'a str, &'a Tally)>) -> Self {
        let mut total = Tally::default();
        let (mut by_day, mut by_model) = (BTreeMap::new(), BTreeMap::new());
        for (day, model, tally) in tallies {
            total += tally;
            *by_day.entry(day).or_insert_with(Tally::default) += tally;
            *by_model
                .entry(model.to_owned())
                .or_insert_with(Tally::default) += tally;
        }
        Self {
            total,
            by_day: by_day.into_iter().collect(),
            by_model: by_model.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// Trails, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TrailPage {
    /// The trails.
    pub trails: Vec<Trail>,
    /// Where to go on with older ones, or `None` if there are none.
    pub older: Option<TrailCursor>,
}

impl TrailPage {
    /// Returns the page of so many of these trails, the newest first: that there are more tells that there is another page.
    pub(crate) fn cut(mut trails: Vec<Trail>, size: PageSize) -> Self {
        let size = usize::from(size.events());
        let has_more = trails.len() > size;
        trails.truncate(size);
        let older = trails.last().filter(|_| has_more).map(TrailCursor::of);
        Self { trails, older }
    }
}

/// The position of a trail: when it began, then its message id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailCursor {
    started_at: DateTime<Utc>,
    message_id: MessageId,
}

impl TrailCursor {
    /// Returns the position of a trail.
    #[must_use]
    pub fn of(trail: &Trail) -> Self {
        Self {
            started_at: trail.started_at,
            message_id: trail.message_id.clone(),
        }
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl TrailCursor {
    pub(crate) fn started_at(&self) -> DateTime<Utc> {
        self.started_at
    }

    pub(crate) fn message_id(&self) -> &MessageId {
        &self.message_id
    }
}

impl fmt::Display for TrailCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}_{}",
            self.started_at.timestamp_micros(),
            self.message_id
        )
    }
}

impl FromStr for TrailCursor {
    type Err = ParseTrailCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('_').and_then(|(at, id)| {
            Some(Self {
                started_at: DateTime::from_timestamp_micros(at.parse().ok()?)?,
                message_id: id.parse().ok()?,
            })
        });
        parsed.ok_or(ParseTrailCursorError)
    }
}

/// It is no position that a page of trails has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no position of a trail: give what a page of trails says")]
pub struct ParseTrailCursorError;

/// How many trails [`Analytics`] names.
pub(crate) const NAMED: usize = 10;
