//! Finds the calls that took longest without looking at every day.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::NaiveDate;

use crate::{MessageId, Trail, store::NAMED};

/// The calls that took longest, and the days that may have more of them.
///
/// Of each day is known how long a call took at most. The ten slowest calls are of those ten days of which that is most: an eleventh day would have
/// none that took longer than the slowest of each of them. That holds unless such a call was deleted, or was said to have taken less; then the
/// days that still may have one are looked at, all at once.
#[derive(Debug)]
pub(crate) struct Slowest {
    /// The slowest first, at most ten.
    found: Vec<(i64, MessageId)>,
    /// The days that were not looked at, those with the slowest calls first.
    days: Vec<(i64, NaiveDate)>,
    is_begun: bool,
}

impl Slowest {
    /// Begins with how many microseconds a call of each day took at most.
    pub(crate) fn new(at_most: BTreeMap<NaiveDate, i64>) -> Self {
        let mut days: Vec<_> = at_most.into_iter().map(|(day, most)| (most, day)).collect();
        days.sort_unstable_by_key(|day| Reverse(*day));
        Self {
            found: Vec::new(),
            days,
            is_begun: false,
        }
    }

    /// Returns the days to be looked at now; none if all is found.
    pub(crate) fn days(&mut self) -> Vec<NaiveDate> {
        let enough = self.found.get(NAMED - 1).map(|(latency, _)| *latency);
        let worth = |most: i64| enough.is_none_or(|enough| most > enough);
        let count = self.days.partition_point(|(most, _)| worth(*most));
        let count = if self.is_begun {
            count
        } else {
            count.min(NAMED)
        };
        self.is_begun = true;
        self.days.drain(..count).map(|(_, day)| day).collect()
    }

    /// Adds the slowest calls of those days.
    pub(crate) fn add(&mut self, found: Vec<(i64, MessageId)>) {
        self.found.extend(found);
        self.found.sort_by_key(|(latency, _)| Reverse(*latency));
        self.found.truncate(NAMED);
    }

    /// Returns which calls they are.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.found.iter().map(|(_, id)| id.as_str()).collect()
    }

    /// Puts them in order.
    pub(crate) fn sort(trails: &mut [Trail]) {
        trails.sort_by_key(|trail| Reverse((trail.latency(), trail.started_at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, n).unwrap()
    }

    fn calls(latencies: &[i64]) -> Vec<(i64, MessageId)> {
        let id = |latency: &i64| (*latency, format!("took-{latency}").parse().unwrap());
        latencies.iter().map(id).collect()
    }

    #[test]
    fn ten_days_are_enough_if_each_has_the_call_that_it_is_known_for() {
        let mut slowest = Slowest::new((1..=20).map(|n| (day(n), i64::from(n) * 10)).collect());

        assert_eq!(slowest.days(), (11..=20).rev().map(day).collect::<Vec<_>>());
        slowest.add(calls(&[
            200, 190, 180, 170, 160, 150, 140, 130, 120, 110, 109, 108,
        ]));

        assert_eq!(slowest.days(), []);
    }

    #[test]
    fn days_whose_slowest_call_was_deleted_make_room_for_others_that_may_have_slower_ones() {
        let mut slowest = Slowest::new((1..=20).map(|n| (day(n), i64::from(n) * 10)).collect());

        slowest.days();
        slowest.add(calls(&[200, 190, 180, 170, 160, 150, 140, 130, 95, 85]));

        assert_eq!(slowest.days(), [day(10), day(9)]);
        slowest.add(calls(&[100, 90]));
        assert_eq!(slowest.days(), []);
        assert_eq!(slowest.ids().last(), Some(&"took-95"));
    }

    #[test]
    fn every_day_is_looked_at_while_there_are_fewer_than_ten_calls() {
        let mut slowest = Slowest::new((1..=20).map(|n| (day(n), 1_000)).collect());

        slowest.days();
        slowest.add(calls(&[7]));

        assert_eq!(slowest.days().len(), 10);
        assert_eq!(slowest.days(), []);
    }
}
