//! Numbers that are the same again with the same seed.

use std::time::Duration;

/// SplitMix64: good enough to choose whom to kill, and without a dependency.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Returns those of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns one of these, unless there are none.
    pub(super) fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let count = u64::try_from(items.len()).ok()?;
        let chosen = self.next().checked_rem(count)?;
        items.get(usize::try_from(chosen).ok()?).copied()
    }

    /// Returns `true` so many times of four.
    pub(super) fn quarters(&mut self, count: u64) -> bool {
        self.next() % 4 < count
    }

    /// Returns a time of at least so many milliseconds, and less than so many.
    pub(super) fn millis(&mut self, least: u64, below: u64) -> Duration {
        Duration::from_millis(least + self.next() % (below - least))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
