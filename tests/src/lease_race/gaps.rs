//! Never none for longer than the lease: how long nobody was at it.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    BOUND,
    seen::{Fault, FaultKind, Seen, Span},
};

/// How long something lasted at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) what: &'static str,
    pub(super) count: usize,
    pub(super) longest: TimeDelta,
}

impl Gap {
    /// Returns whether it was too long.
    pub(super) fn is_too_long(&self) -> bool {
        self.longest > BOUND
    }
}

/// Returns what can be said of the times in which nobody was at it.
pub(super) fn gaps(seen: &Seen) -> [Gap; 4] {
    let is_killed = |kind: FaultKind| kind == FaultKind::Killed;
    let is_stopped = |kind: FaultKind| kind != FaultKind::Killed;
    [
        ("nobody has the lease, by its row", vacancies(seen)),
        (
            "who had it is killed, until the next one has it",
            takeovers(seen, is_killed),
        ),
        (
            "who had it is stopped, until the next one has it",
            takeovers(seen, is_stopped),
        ),
        ("nobody takes it, and nobody deletes", silences(seen)),
    ]
    .map(|(what, spans)| Gap {
        what,
        count: spans.len(),
        longest: spans
            .iter()
            .map(|span| span.length())
            .max()
            .unwrap_or(TimeDelta::zero()),
    })
}

/// Returns the times in which the row said that nobody had the lease.
fn vacancies(seen: &Seen) -> Vec<Span> {
    let (mut vacancies, mut vacant_from) = (Vec::new(), None);
    let mut before = seen.race.from;
    for sample in &seen.samples {
        let is_vacant = sample.leased_until <= sample.at;
        match vacant_from {
            // It ended between two looks, and the row says when.
            None if is_vacant => vacant_from = Some(sample.leased_until.max(before)),
            Some(from) if !is_vacant => {
                vacancies.push(Span {
                    from,
                    until: sample.at,
                });
                vacant_from = None;
            }
            _ => {}
        }
        before = sample.at;
    }
    let until = seen.race.until;
    // The last look may be a little later than the end.
    let last = vacant_from.filter(|from| *from < until);
    vacancies.extend(last.map(|from| Span { from, until }));
    vacancies
}

/// Returns the times from a fault of the one that took the lease last until the next one took it.
fn takeovers(seen: &Seen, is_meant: impl Fn(FaultKind) -> bool) -> Vec<Span> {
    let faults = seen.faults.iter().filter(|fault| is_meant(fault.kind));
    let takeover = |fault: &Fault| {
        let count = seen.takes.partition_point(|take| take.at <= fault.at);
        let (before, after) = seen.takes.split_at(count);
        before.last().filter(|take| take.child == fault.child)?;
        let end = seen.race.until;
        Some(Span {
            from: fault.at,
            until: after.first().map_or(end, |take| take.at.min(end)),
        })
    };
    faults.filter_map(takeover).collect()
}

/// Returns the times between two signs that somebody is at it.
fn silences(seen: &Seen) -> Vec<Span> {
    let Span { from, until } = seen.race;
    let takes = seen.takes.iter().map(|take| take.at);
    let deletions = seen.deletions.iter().map(|deletion| deletion.at);
    let during = |at: &DateTime<Utc>| (from..until).contains(at);
    let mut signs: Vec<_> = takes.chain(deletions).filter(during).collect();
    signs.extend([from, until]);
    signs.sort_unstable();
    let spans = signs.windows(2).map(|pair| Span {
        from: pair[0],
        until: pair[1],
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease_race::seen::tests::{at, killed, lease_until, race, stopped, take};

    fn longest_of(seen: &Seen) -> [i64; 4] {
        gaps(seen).map(|gap| gap.longest.num_milliseconds())
    }

    #[test]
    fn a_holder_that_is_killed_leaves_a_gap_until_the_next_take() {
        let mut seen = race(10_000);
        seen.takes = vec![take(1, 100, "a.1"), take(2, 2_600, "b.1")];
        seen.faults = vec![killed(500, "a.1"), killed(9_000, "a.2")];
        assert_eq!(longest_of(&seen)[1], 2_100);
        assert_eq!(gaps(&seen)[1].count, 1);
        assert!(!gaps(&seen)[1].is_too_long());
    }

    #[test]
    fn a_holder_that_nobody_follows_is_waited_for_until_the_end() {
        let mut seen = race(10_000);
        seen.takes = vec![take(1, 100, "a.1")];
        seen.faults = vec![killed(500, "a.1")];
        assert_eq!(longest_of(&seen)[1], 9_500);
        assert!(gaps(&seen)[1].is_too_long());
    }

    #[test]
    fn the_row_says_from_when_on_it_is_vacant() {
        let mut seen = race(10_000);
        seen.samples = vec![
            lease_until(100, 1, 2_000),
            lease_until(2_005, 1, 2_000),
            lease_until(2_010, 1, 2_000),
            lease_until(2_050, 2, 4_000),
            lease_until(4_010, 2, 4_000),
        ];
        assert_eq!(longest_of(&seen)[0], 6_000);
        assert_eq!(gaps(&seen)[0].count, 2);
        seen.race.until = at(4_020);
        assert_eq!(longest_of(&seen)[0], 50);
    }

    #[test]
    fn who_is_stopped_is_followed_as_one_who_is_killed() {
        let mut seen = race(6_000);
        seen.takes = vec![take(1, 100, "a.1"), take(2, 5_200, "b.1")];
        seen.faults = vec![stopped(1_000, "a.1", 5_000, true)];
        assert_eq!(longest_of(&seen)[2], 4_200);
        assert_eq!(longest_of(&seen)[3], 5_100);
    }
}
