//! Whether the store is worth a try: a dead one is probed, not hammered. Pure, the time is handed in.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::full_jitter;

/// Remembers how the last tries went. After a failure nobody tries until a while has passed, and
/// then only one at a time, until one gets an answer.
#[derive(Debug)]
pub(super) struct Breaker {
    first: Duration,
    most: Duration,
    failures: u32,
    /// When somebody may try; `None` while the store answers.
    next_try: Option<Instant>,
    is_trying: bool,
    is_closing: bool,
}

/// What whoever wants to try is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Try now, and say how it went.
    Try,
    /// Ask again after this time, or when somebody else has tried.
    Wait(Option<Duration>),
}

impl Breaker {
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self {
            // Never zero, which would leave nobody else a turn, and never for ever.
            first: first.clamp(SHORTEST, LONGEST),
            most: most.clamp(SHORTEST, LONGEST),
            failures: 0,
            next_try: None,
            is_trying: false,
            is_closing: false,
        }
    }

    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        match self.next_try {
            None => Turn::Try,
            Some(_) if self.is_trying => Turn::Wait(None),
            Some(at) if at <= now => {
                self.is_trying = true;
                Turn::Try
            }
            Some(at) => Turn::Wait(Some(at - now)),
        }
    }

    /// Returns whether [`turn`](Self::turn) would say to try.
    pub(super) fn could_try(&self, now: Instant) -> bool {
        self.next_try.is_none_or(|at| at <= now && !self.is_trying)
    }

    /// The store answered, be it with a refusal.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
        self.next_try = None;
        self.is_trying = false;
    }

    /// The store did not answer. A try that `took_long` says as much as several that were quick.
    pub(super) fn failed(&mut self, now: Instant, took_long: bool, random: u64) {
        let most = if self.is_closing {
            CLOSING_RETRY.min(self.most)
        } else {
            self.most
        };
        let wait = full_jitter(self.failures, self.first, most, random);
        self.failures = self.failures.saturating_add(1);
        if took_long {
            self.failures = self.failures.max(OPENS_AFTER);
        }
        self.next_try = Some(now + wait);
        self.is_trying = false;
    }

    /// Whoever had the turn went away without an answer.
    pub(super) fn given_back(&mut self) {
        self.is_trying = false;
    }

    /// Time is short: the next try is now, and no wait is long.
    pub(super) fn close(&mut self, now: Instant) {
        self.is_closing = true;
        if self.next_try.is_some() {
            self.next_try = Some(now);
        }
    }

    /// Returns whether the store has failed often enough to be taken for dead.
    pub(super) fn is_open(&self) -> bool {
        self.failures >= OPENS_AFTER
    }
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// So many failures in a row open it: one may be a connection that went stale in the pool.
const OPENS_AFTER: u32 = 3;

/// The longest wait between two tries while the worker shuts down.
const CLOSING_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(5);

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(FIRST, MOST), Instant::now())
    }

    #[test]
    fn while_the_store_answers_everybody_may_try() {
        let (mut breaker, now) = breaker();
        assert_eq!([breaker.turn(now), breaker.turn(now)], [Turn::Try; 2]);
    }

    #[test]
    fn after_a_failure_nobody_tries_for_a_while_and_then_only_one() {
        let (mut breaker, now) = breaker();
        breaker.failed(now, false, u64::MAX);
        assert_eq!(breaker.turn(now), Turn::Wait(Some(FIRST)));
        let later = now + FIRST;
        assert_eq!(
            [breaker.turn(later), breaker.turn(later)],
            [Turn::Try, Turn::Wait(None)]
        );
    }

    #[test]
    fn one_answer_lets_everybody_try_again() {
        let (mut breaker, now) = breaker();
        (0..5).for_each(|_| breaker.failed(now, false, 0));
        breaker.answered();
        assert_eq!((breaker.turn(now), breaker.is_open()), (Turn::Try, false));
    }

    #[test]
    fn it_opens_after_three_failures_or_one_that_took_long() {
        let (mut quick, now) = breaker();
        let opened = [0, 1, 2].map(|_| {
            quick.failed(now, false, 0);
            quick.is_open()
        });
        assert_eq!(opened, [false, false, true]);
        let (mut slow, now) = breaker();
        slow.failed(now, true, 0);
        assert!(slow.is_open());
    }

    #[test]
    fn the_wait_grows_up_to_the_most() {
        let (mut breaker, now) = breaker();
        (0..40).for_each(|_| breaker.failed(now, false, u64::MAX));
        assert_eq!(breaker.turn(now), Turn::Wait(Some(MOST)));
    }

    #[test]
    fn a_wait_of_nothing_still_leaves_others_their_turn() {
        let now = Instant::now();
        let mut breaker = Breaker::new(Duration::ZERO, Duration::ZERO);
        breaker.failed(now, false, u64::MAX);
        assert_eq!(breaker.turn(now), Turn::Wait(Some(SHORTEST)));
    }

    #[test]
    fn a_turn_that_is_given_back_goes_to_the_next() {
        let (mut breaker, now) = breaker();
        breaker.failed(now, false, 0);
        assert_eq!(breaker.turn(now), Turn::Try);
        breaker.given_back();
        assert_eq!(breaker.turn(now), Turn::Try);
    }

    #[test]
    fn a_shutdown_makes_the_next_try_be_now_and_the_ones_after_it_soon() {
        let (mut breaker, now) = breaker();
        (0..40).for_each(|_| breaker.failed(now, false, u64::MAX));
        breaker.close(now);
        assert_eq!(breaker.turn(now), Turn::Try);
        breaker.failed(now, false, u64::MAX);
        assert_eq!(breaker.turn(now), Turn::Wait(Some(CLOSING_RETRY)));
    }
}
