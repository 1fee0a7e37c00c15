//! The time of day, for less than it costs to ask for it.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime},
};

thread_local! {
    /// What the clock on the wall said last, and when that was.
    static LAST: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
}

/// Returns the time of day at this moment. The clock on the wall is asked every [`FRESH`] in each thread, and what has
/// passed since is added: both clocks run at the same pace, and if somebody sets the one on the wall it shows after
/// that time.
pub(super) fn time_of_day(now: Instant) -> SystemTime {
    let asked = || {
        let (time, then) = (SystemTime::now(), Instant::now());
        // A thread that ends remembers nothing.
        let _ = LAST.try_with(|last| last.set(Some((then, time))));
        time - then.saturating_duration_since(now)
    };
    let last = LAST.try_with(Cell::get).ok().flatten();
    last.and_then(|(then, time)| {
        let passed = now.checked_duration_since(then)?;
        (passed < FRESH).then(|| time + passed)
    })
    .unwrap_or_else(asked)
}

const FRESH: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_that_of_the_clock_on_the_wall() {
        // Asked, and then added to.
        for _ in 0..2 {
            let before = SystemTime::now();
            let time = time_of_day(Instant::now());
            let after = SystemTime::now();
            // The two clocks are read one after the other, and something may come between.
            let slack = Duration::from_secs(60);
            assert!((before - slack..=after + slack).contains(&time));
        }
    }

    #[test]
    fn what_was_asked_long_ago_is_asked_again() {
        let now = Instant::now();
        let wrong = SystemTime::now() - Duration::from_secs(3_600);
        LAST.set(Some((now, wrong)));
        assert!(time_of_day(now) == wrong);
        assert!(time_of_day(now + FRESH) > wrong + Duration::from_secs(3_000));
    }
}
