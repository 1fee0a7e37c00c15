//! What a race has shown.

use std::fmt;

use anyhow::ensure;
use chrono::TimeDelta;

use super::{
    BOUND, LEASE, alone,
    contender::Outcomes,
    gaps::{Gap, gaps},
    seen::{FaultKind, Seen, contender_of},
    trail::{Counts, YOUNG},
};

/// What a race has shown, to be printed.
#[derive(Clone, Debug)]
pub struct Report {
    seed: u64,
    took: TimeDelta,
    looks: usize,
    held_up: usize,
    lines: Vec<Line>,
    gaps: [Gap; 4],
    rows: Rows,
    violations: Vec<String>,
}

/// A contender.
#[derive(Clone, Debug)]
struct Line {
    outcomes: Outcomes,
    killed: usize,
    stopped: usize,
    leases: usize,
    deleted: i64,
}

/// Where the rows went.
#[derive(Clone, Copy, Debug)]
struct Rows {
    fed: i64,
    deleted: i64,
    left: Counts,
}

impl Report {
    /// Judges what was seen.
    pub(super) fn new(
        seed: u64,
        outcomes: Vec<Outcomes>,
        seen: &Seen,
        fed: i64,
        left: Counts,
    ) -> Self {
        let lines: Vec<_> = outcomes
            .into_iter()
            .map(|outcomes| Line::of(outcomes, seen))
            .collect();
        let rows = Rows {
            fed,
            deleted: seen.deletions.iter().map(|deletion| deletion.rows).sum(),
            left,
        };
        let gaps = gaps(seen);
        let mut violations = alone::violations(seen);
        violations.extend(rows.violations());
        violations.extend(lines.iter().filter_map(Line::violation));
        let too_long = gaps.iter().filter(|gap| gap.is_too_long());
        violations.extend(too_long.map(|gap| {
            let (longest, most) = (shown(gap.longest), shown(BOUND));
            format!("{}: {longest}, and {most} is the most", gap.what)
        }));
        let faults = seen.faults.iter();
        Self {
            seed,
            took: seen.race.length(),
            looks: seen.samples.len(),
            held_up: faults.filter(|fault| fault.kind.held_others_up()).count(),
            lines,
            gaps,
            rows,
            violations,
        }
    }

    /// Returns whether everything was as it has to be.
    ///
    /// # Errors
    ///
    /// Returns an error with what was not.
    pub fn verdict(&self) -> anyhow::Result<()> {
        let count = self.violations.len();
        let first: Vec<_> = self.violations.iter().take(MOST_SHOWN).collect();
        ensure!(
            first.is_empty(),
            "{count} things were seen that must not be, such as:{}",
            first
                .iter()
                .map(|violation| format!("\n  {violation}"))
                .collect::<String>()
        );
        Ok(())
    }
}

impl Line {
    fn of(outcomes: Outcomes, seen: &Seen) -> Self {
        let name = outcomes.name;
        let is_its = |child: &str| contender_of(child) == name;
        let faults = seen.faults.iter().filter(|fault| is_its(&fault.child));
        let (killed, stopped): (Vec<_>, Vec<_>) =
            faults.partition(|fault| fault.kind == FaultKind::Killed);
        let takes = seen.takes.iter().filter(|take| is_its(&take.child));
        let deletions = seen.deletions.iter();
        let deletions = deletions.filter(|deletion| is_its(&deletion.child));
        Self {
            outcomes,
            killed: killed.len(),
            stopped: stopped.len(),
            leases: takes.count(),
            deleted: deletions.map(|deletion| deletion.rows).sum(),
        }
    }

    /// Without everybody in it, it was no race.
    fn violation(&self) -> Option<String> {
        let Outcomes { name, failure, .. } = &self.outcomes;
        let said = failure.as_deref().unwrap_or("it has said nothing");
        (self.leases == 0).then(|| format!("{name} never had the lease: {said}"))
    }

    /// Says what went wrong that nobody expects of a race.
    fn failure(&self) -> Option<String> {
        let Outcomes { name, failure, .. } = &self.outcomes;
        let failure = failure.as_ref()?;
        Some(format!("The first failure of {name}: {failure}"))
    }
}

impl Rows {
    /// Nothing went but what is due, and all of that went by a statement that was noted.
    fn violations(self) -> impl Iterator<Item = String> {
        let Self { fed, deleted, left } = self;
        let young =
            (left.young != YOUNG).then(|| format!("of {YOUNG} young rows {} are left", left.young));
        let old = (fed - deleted != left.old).then(|| {
            let left = left.old;
            format!("of {fed} old rows {deleted} were deleted, and {left} are left")
        });
        young.into_iter().chain(old)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, rows, .. } = self;
        writeln!(
            f,
            "Seed {seed}: a race of {}, with leases of {LEASE:?}.\n\n{CONTENDERS}",
            shown(self.took)
        )?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\n{GAPS}")?;
        for gap in &self.gaps {
            writeln!(f, "{gap}")?;
        }
        writeln!(
            f,
            "\n{} times one that was stopped was in a transaction that others waited for; the lease was looked at {} times.",
            self.held_up, self.looks
        )?;
        let Counts { old, young } = rows.left;
        writeln!(
            f,
            "Of {} old rows {} were deleted, and {old} are left; of {YOUNG} young ones {young}.",
            rows.fed, rows.deleted
        )?;
        let mut failures = self.lines.iter().filter_map(Line::failure);
        failures.try_for_each(|failure| writeln!(f, "{failure}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcomes {
            name,
            starts,
            done,
            busy,
            lost,
            failed,
            ..
        } = &self.outcomes;
        let Self {
            killed,
            stopped,
            leases,
            deleted,
            ..
        } = self;
        write!(
            f,
            "{name:<10} {starts:>7} {killed:>7} {stopped:>8} {leases:>7} {deleted:>13} {done:>10} {busy:>7} {lost:>11} {failed:>7}"
        )
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, count) = (self.what, self.count);
        let (longest, most) = (shown(self.longest), shown(BOUND));
        write!(f, "{what:<50} {count:>6} {longest:>9} {most:>9}")
    }
}

fn shown(time: TimeDelta) -> String {
    format!("{} ms", time.num_milliseconds())
}

/// How many violations are shown.
const MOST_SHOWN: usize = 10;

const CONTENDERS: &str = "\
contender  started  killed  stopped  leases  rows deleted  runs done    busy  lease lost  failed
---------- ------- ------- -------- ------- ------------- ---------- ------- ----------- -------";

const GAPS: &str = "\
how long                                            times   longest   at most
-------------------------------------------------- ------ --------- ---------";
