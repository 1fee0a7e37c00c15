//! Answers in numbers.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    event::{AuditEvent, Outcome},
    search::Field,
};

/// The spans of time that a [`Histogram`] counts: `count` of the same width, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buckets {
    from: i64,
    width: i64,
    count: u16,
}

/// The spans of time cannot be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a histogram counts 1 to 1000 spans of at least a millisecond, in a time that ends after it begins"
)]
pub struct BucketsError(());

impl Buckets {
    /// Returns so many spans of the same width, which together cover the time from `from` to `until`.
    ///
    /// # Errors
    ///
    /// Returns an error if `count` is not 1 to 1,000, if `until` is not after `from`, or if the spans would be
    /// shorter than a millisecond.
    pub fn covering(
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        count: u16,
    ) -> Result<Self, BucketsError> {
        let (from, until) = (from.timestamp_micros(), until.timestamp_micros());
        let length = until.checked_sub(from).filter(|length| *length > 0);
        let (Some(length), 1..=1_000) = (length, count) else {
            return Err(BucketsError(()));
        };
        // Rounded up, so that the last one reaches the end.
        let width = (length - 1) / i64::from(count) + 1;
        if width < 1_000 {
            return Err(BucketsError(()));
        }
        Ok(Self { from, width, count })
    }

    /// Returns the spans of this width, in microseconds, the first of which begins at a whole number of them.
    /// That is how a person expects to see hours and days.
    ///
    /// # Errors
    ///
    /// Returns an error as [`covering`](Self::covering) does.
    pub fn aligned(
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        width_us: i64,
    ) -> Result<Self, BucketsError> {
        let (from, until) = (from.timestamp_micros(), until.timestamp_micros());
        if width_us < 1_000 || until <= from {
            return Err(BucketsError(()));
        }
        let first = from - from.rem_euclid(width_us);
        let count = until
            .checked_sub(first)
            .map(|length| (length - 1) / width_us + 1);
        match count.and_then(|count| u16::try_from(count).ok()) {
            Some(count @ 1..=1_000) => Ok(Self {
                from: first,
                width: width_us,
                count,
            }),
            _ => Err(BucketsError(())),
        }
    }

    /// Returns when the first span begins, in microseconds since 1970.
    #[must_use]
    pub fn from_us(self) -> i64 {
        self.from
    }

    /// Returns when the last span ends, in microseconds since 1970.
    #[must_use]
    pub fn until_us(self) -> i64 {
        self.from
            .saturating_add(self.width.saturating_mul(i64::from(self.count)))
    }

    /// Returns how long a span is, in microseconds.
    #[must_use]
    pub fn width_us(self) -> i64 {
        self.width
    }

    /// Returns how many spans there are.
    #[must_use]
    pub fn count(self) -> u16 {
        self.count
    }

    /// Returns in which span a moment lies, counted from 0.
    #[must_use]
    pub fn of(self, micros: i64) -> Option<usize> {
        let distance = micros
            .checked_sub(self.from)
            .filter(|distance| *distance >= 0)?;
        usize::try_from(distance / self.width)
            .ok()
            .filter(|n| *n < usize::from(self.count))
    }
}

/// How many events there are over time, by outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Histogram {
    /// How long a bucket is, in microseconds.
    pub width_us: i64,
    /// The buckets, oldest first.
    pub buckets: Vec<Bucket>,
    /// The moment back to which events were counted, or `None` if all were: a store counts a bounded number,
    /// the newest.
    pub counted_from: Option<DateTime<Utc>>,
}

/// How many events there are in a span of time, by outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bucket {
    /// When the span begins.
    pub from: DateTime<Utc>,
    /// How many ended so.
    pub success: u64,
    /// How many ended so.
    pub denied: u64,
    /// How many ended so.
    pub failure: u64,
    /// How many ended so.
    pub aborted: u64,
    /// How many have not ended.
    pub pending: u64,
    /// Of how many nobody knows how they ended.
    pub unknown: u64,
}

impl Bucket {
    /// Returns how many ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Success => self.success,
            Outcome::Denied => self.denied,
            Outcome::Failure => self.failure,
            Outcome::Aborted => self.aborted,
            Outcome::Pending => self.pending,
            Outcome::Unknown => self.unknown,
        }
    }

    /// Returns how many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        Outcome::ALL
            .iter()
            .map(|outcome| self.count(*outcome))
            .sum()
    }

    fn add(&mut self, outcome: Outcome, more: u64) {
        let count = match outcome {
            Outcome::Success => &mut self.success,
            Outcome::Denied => &mut self.denied,
            Outcome::Failure => &mut self.failure,
            Outcome::Aborted => &mut self.aborted,
            Outcome::Pending => &mut self.pending,
            Outcome::Unknown => &mut self.unknown,
        };
        *count += more;
    }
}

impl Histogram {
    /// Returns the histogram of empty buckets.
    #[must_use]
    pub fn empty(buckets: Buckets) -> Self {
        let bucket = |n: u16| Bucket {
            from: DateTime::from_timestamp_micros(
                buckets
                    .from
                    .saturating_add(buckets.width.saturating_mul(i64::from(n))),
            )
            .unwrap_or_default(),
            success: 0,
            denied: 0,
            failure: 0,
            aborted: 0,
            pending: 0,
            unknown: 0,
        };
        Self {
            width_us: buckets.width,
            buckets: (0..buckets.count).map(bucket).collect(),
            counted_from: None,
        }
    }

    /// Counts so many more in the bucket of this number. One that is not there is left out.
    pub fn add(&mut self, bucket: usize, outcome: Outcome, more: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.add(outcome, more);
        }
    }

    /// Returns how many events were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.buckets.iter().map(Bucket::total).sum()
    }
}

/// The most frequent values of a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Top {
    /// The values, the most frequent first.
    pub values: Vec<TopValue>,
    /// The moment back to which events were counted, or `None` if all were.
    pub counted_from: Option<DateTime<Utc>>,
}

impl Top {
    /// Returns the answer.
    #[must_use]
    pub fn new(values: Vec<TopValue>, counted_from: Option<DateTime<Utc>>) -> Self {
        Self {
            values,
            counted_from,
        }
    }
}

/// A value, and how many events have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopValue {
    /// The value, as text.
    pub value: String,
    /// How many events have it.
    pub events: u64,
}

impl TopValue {
    /// Returns the value with its count.
    #[must_use]
    pub fn new(value: impl Into<String>, events: u64) -> Self {
        Self {
            value: value.into(),
            events,
        }
    }
}

/// Returns whether [`EventReader::top`](super::EventReader::top) counts the values of the field: those by
/// which people group, not the ones that are another for each event.
#[must_use]
pub fn can_be_grouped(field: Field) -> bool {
    use crate::search::FieldKind;
    matches!(
        field.kind(),
        FieldKind::Text | FieldKind::Word | FieldKind::Number | FieldKind::Address
    )
}

/// Roughly how many events there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "events", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Count {
    /// So many.
    Exactly(u64),
    /// About so many, as the statistics of the database have it.
    About(u64),
    /// So many, or more.
    AtLeast(u64),
}

/// What happened around an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Related {
    /// Other events of the same request, newest first.
    pub same_request: Vec<AuditEvent>,
    /// What the same actor did before, newest first.
    pub before: Vec<AuditEvent>,
    /// What the same actor did afterwards, newest first.
    pub after: Vec<AuditEvent>,
}
