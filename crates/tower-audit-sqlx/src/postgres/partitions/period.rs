//! How long the time of a partition is.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

/// How long the time of a partition is. It begins at midnight, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Period {
    /// A calendar month: for up to some ten million rows in it.
    Monthly,
    /// A day: for more than that, and where rows are kept for days. A year of days makes every question plan with 365
    /// partitions, so keep rows for weeks with it.
    Daily,
}

/// A time from its begin to before its end; `None` is without one.
pub(super) type Bounds = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl Period {
    /// Returns when the period with this moment in it begins.
    pub(super) fn begin(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let day = at.date_naive();
        midnight(match self {
            Self::Daily => day,
            Self::Monthly => day.with_day(1).unwrap_or(day),
        })
    }

    /// Returns when the period with this moment in it ends, which is when the next one begins.
    pub(super) fn end(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let begin = self.begin(at).date_naive();
        let end = match self {
            Self::Daily => begin.checked_add_days(Days::new(1)),
            Self::Monthly => begin.checked_add_months(Months::new(1)),
        };
        midnight(end.unwrap_or(NaiveDate::MAX))
    }

    /// Returns up to when there is to be a partition for everything: two whole months, or seven days, after this one.
    pub(super) fn horizon(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let ahead = match self {
            Self::Monthly => 2,
            Self::Daily => 7,
        };
        (0..ahead).fold(self.end(now), |end, _| self.end(end))
    }

    /// Returns the period of the newest of these partitions that has a begin and an end.
    pub(super) fn of(there: &[Bounds]) -> Option<Self> {
        let ended = there.iter().filter_map(|(from, until)| from.zip(*until));
        let (from, until) = ended.max_by_key(|(_, until)| *until)?;
        Some(if until - from <= TimeDelta::days(1) {
            Self::Daily
        } else {
            Self::Monthly
        })
    }

    /// Returns the times from now to the [horizon](Self::horizon) that no partition has.
    pub(super) fn missing_ahead(
        self,
        there: &[Bounds],
        now: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        self.missing(there, self.begin(now), self.horizon(now))
    }

    /// Returns the times between these two that no partition has, cut where a period ends.
    pub(super) fn missing(
        self,
        there: &[Bounds],
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let (mut missing, mut begin) = (Vec::new(), from);
        while begin < until {
            let has_it = |(from, until): &&Bounds| {
                from.is_none_or(|from| from <= begin) && until.is_none_or(|until| until > begin)
            };
            if let Some((_, end)) = there.iter().find(has_it) {
                match end {
                    Some(end) => begin = *end,
                    None => break,
                }
                continue;
            }
            let next = there.iter().filter_map(|(from, _)| *from);
            let next = next.filter(|from| *from > begin).min();
            let end = next.map_or(self.end(begin), |next| next.min(self.end(begin)));
            missing.push((begin, end));
            begin = end;
        }
        missing
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_is_as_long_as_the_calendar_says() {
        let december = Period::Monthly.begin(at("2027-12-31T23:59:59.999999Z"));
        assert_eq!(december, at("2027-12-01T00:00:00Z"));
        assert_eq!(Period::Monthly.end(december), at("2028-01-01T00:00:00Z"));
        let february = at("2028-02-28T12:00:00Z");
        assert_eq!(Period::Daily.end(february), at("2028-02-29T00:00:00Z"));
    }

    #[test]
    fn there_is_room_for_the_next_two_months_or_seven_days() {
        let now = at("2026-11-22T12:00:00Z");
        assert_eq!(Period::Monthly.horizon(now), at("2027-02-01T00:00:00Z"));
        assert_eq!(Period::Daily.horizon(now), at("2026-11-30T00:00:00Z"));
    }

    #[test]
    fn a_change_of_the_period_leaves_no_gap() {
        let there = [(None, Some(at("2026-11-23T00:00:00Z")))];
        let now = at("2026-11-22T12:00:00Z");
        let missing = Period::Monthly.missing(&there, now, at("2027-01-01T00:00:00Z"));
        let expected = [
            (at("2026-11-23T00:00:00Z"), at("2026-12-01T00:00:00Z")),
            (at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z")),
        ];
        assert_eq!(missing, expected);
    }

    #[test]
    fn the_period_is_that_of_the_newest_partition() {
        let day = (
            Some(at("2026-12-01T00:00:00Z")),
            Some(at("2026-12-02T00:00:00Z")),
        );
        let month = (Some(at("2026-11-01T00:00:00Z")), day.0);
        assert_eq!(Period::of(&[(None, month.0), month]), Some(Period::Monthly));
        assert_eq!(Period::of(&[day, month]), Some(Period::Daily));
        assert_eq!(Period::of(&[(None, month.0)]), None);
    }

    proptest! {
        /// Days, as offsets from one.
        #[test]
        fn what_is_missing_and_what_is_there_is_everything_once(
            begins in proptest::collection::btree_set(0_i64..200, 0..8),
            is_first_open: bool,
            from in 0_i64..200,
            length in 0_i64..100,
            is_daily: bool,
        ) {
            let period = if is_daily { Period::Daily } else { Period::Monthly };
            let day = |offset| at("2026-01-01T00:00:00Z") + TimeDelta::days(offset);
            let begins: Vec<i64> = begins.into_iter().collect();
            // Every other pair is a partition, what is between them a hole.
            let there: Vec<Bounds> = begins
                .chunks_exact(2)
                .enumerate()
                .map(|(index, pair)| {
                    let is_open = is_first_open && index == 0;
                    ((!is_open).then(|| day(pair[0])), Some(day(pair[1])))
                })
                .collect();
            let (from, until) = (day(from), day(from + length));
            let missing = period.missing(&there, from, until);
            let mut at = from;
            while at < until {
                let has = |(from, until): &&Bounds| {
                    from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until)
                };
                let is_there = there.iter().filter(has).count();
                let is_missing = missing.iter().filter(|(from, until)| *from <= at && at < *until).count();
                prop_assert_eq!(is_there + is_missing, 1, "{}", at);
                at += TimeDelta::days(1);
            }
            for (begin, end) in &missing {
                prop_assert!(begin < end && *end <= period.end(*begin));
            }
        }
    }
}
