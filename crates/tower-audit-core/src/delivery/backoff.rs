//! How long to wait before a write is repeated.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Returns the wait before repetition number `attempt` (from 0), for a `random` number.
pub(super) fn full_jitter(attempt: u32, first: Duration, most: Duration, random: u64) -> Duration {
    let ceiling = first
        .saturating_mul(2_u32.saturating_pow(attempt))
        .min(most);
    // The upper 32 bits as a fraction of one.
    let fraction = f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    ceiling.mul_f64(fraction)
}

/// Returns a random number. Not for secrets.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(30);

    #[test]
    fn the_ceiling_doubles_up_to_the_most() {
        let ceiling = |attempt| full_jitter(attempt, FIRST, MOST, u64::MAX);
        assert_eq!(ceiling(0), FIRST);
        assert_eq!(ceiling(3), FIRST * 8);
        assert_eq!(ceiling(60), MOST);
        assert_eq!(ceiling(u32::MAX), MOST);
    }

    #[test]
    fn the_wait_is_anywhere_below_the_ceiling() {
        assert_eq!(full_jitter(5, FIRST, MOST, 0), Duration::ZERO);
        let half = full_jitter(1, FIRST, MOST, u64::MAX / 2);
        assert!((99..=101).contains(&half.as_millis()), "{half:?}");
    }

    #[test]
    fn two_random_numbers_differ() {
        assert_ne!(random(), random());
    }
}
