//! How things are measured: side by side, in turns, and the median of the rounds.

use std::time::{Duration, Instant};

/// Returns the time that `work` takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Returns the median.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// Returns the medians of `N` things, each of which is measured once a round: what else the machine does then hits
/// all of them.
pub(crate) fn interleaved<const N: usize>(
    rounds: usize,
    mut measure: impl FnMut(usize) -> f64,
) -> [Rounds; N] {
    let mut values = [const { Vec::new() }; N];
    for round in 0..rounds {
        for turn in 0..N {
            // Nobody is always the first.
            let thing = (turn + round) % N;
            values[thing].push(measure(thing));
        }
    }
    values.map(Rounds)
}

/// What was measured of one thing, a figure a round.
#[derive(Clone, Debug)]
pub(crate) struct Rounds(pub(crate) Vec<f64>);

impl Rounds {
    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Returns the median of the differences, round by round.
    pub(crate) fn beyond(&self, other: &Self) -> f64 {
        median(
            self.pairs(other)
                .map(|(ours, theirs)| ours - theirs)
                .collect(),
        )
    }

    /// Returns the median of the ratios, round by round.
    pub(crate) fn times(&self, other: &Self) -> f64 {
        median(
            self.pairs(other)
                .map(|(ours, theirs)| ours / theirs)
                .collect(),
        )
    }

    fn pairs(&self, other: &Self) -> impl Iterator<Item = (f64, f64)> {
        self.0.iter().copied().zip(other.0.iter().copied())
    }
}
