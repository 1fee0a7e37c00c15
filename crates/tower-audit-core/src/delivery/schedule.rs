//! When a batch is due: a pure function of the state of the queue.

use std::{num::NonZeroUsize, time::Duration};

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Records that wait.
    pub(super) waiting: usize,
    /// The bytes that they take.
    pub(super) waiting_bytes: usize,
    /// How long the oldest of them has waited.
    pub(super) oldest: Duration,
    /// Batches that are being written.
    pub(super) in_flight: usize,
    /// Somebody waits for the queue to be empty.
    pub(super) is_urgent: bool,
}

/// What the decision is measured against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) batch_records: NonZeroUsize,
    pub(super) batch_bytes: NonZeroUsize,
    pub(super) in_flight: NonZeroUsize,
    pub(super) linger: Duration,
}

/// What the worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Cut a batch and write it.
    Write,
    /// Wait until this many records or a full batch of bytes are there, or this much time passed.
    Wait {
        until_records: usize,
        or_after: Option<Duration>,
    },
    /// Wait for a batch that is being written.
    WaitForWrite,
}

/// Decides what the worker does next.
pub(super) fn decide(view: View, limits: Limits) -> Decision {
    if view.in_flight >= limits.in_flight.get() {
        return Decision::WaitForWrite;
    }
    if view.waiting == 0 {
        return Decision::Wait {
            until_records: 1,
            or_after: None,
        };
    }
    let is_full = view.waiting >= limits.batch_records.get()
        || view.waiting_bytes >= limits.batch_bytes.get();
    let is_idle = view.in_flight == 0;
    if is_idle || is_full || view.is_urgent || view.oldest >= limits.linger {
        return Decision::Write;
    }
    Decision::Wait {
        until_records: limits.batch_records.get(),
        or_after: Some(limits.linger.saturating_sub(view.oldest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        batch_records: NonZeroUsize::new(500).unwrap(),
        batch_bytes: NonZeroUsize::new(1_000_000).unwrap(),
        in_flight: NonZeroUsize::new(2).unwrap(),
        linger: Duration::from_millis(200),
    };

    const QUIET: View = View {
        waiting: 0,
        waiting_bytes: 0,
        oldest: Duration::ZERO,
        in_flight: 0,
        is_urgent: false,
    };

    fn check(view: View, expected: Decision) {
        assert_eq!(decide(view, LIMITS), expected, "{view:?}");
    }

    #[test]
    fn one_record_is_written_at_once_when_the_store_is_idle() {
        check(
            View {
                waiting: 1,
                ..QUIET
            },
            Decision::Write,
        );
    }

    #[test]
    fn an_empty_queue_waits_for_the_first_record() {
        check(
            QUIET,
            Decision::Wait {
                until_records: 1,
                or_after: None,
            },
        );
        check(
            View {
                in_flight: 1,
                is_urgent: true,
                ..QUIET
            },
            Decision::Wait {
                until_records: 1,
                or_after: None,
            },
        );
    }

    #[test]
    fn beside_a_batch_under_way_records_wait_for_company_but_not_longer_than_the_linger() {
        let view = View {
            waiting: 3,
            in_flight: 1,
            oldest: Duration::from_millis(50),
            ..QUIET
        };
        let rest = Some(Duration::from_millis(150));
        check(
            view,
            Decision::Wait {
                until_records: 500,
                or_after: rest,
            },
        );
        check(
            View {
                oldest: LIMITS.linger,
                ..view
            },
            Decision::Write,
        );
    }

    #[test]
    fn a_full_batch_does_not_wait() {
        check(
            View {
                waiting: 500,
                in_flight: 1,
                ..QUIET
            },
            Decision::Write,
        );
        check(
            View {
                waiting: 1,
                waiting_bytes: 1_000_000,
                in_flight: 1,
                ..QUIET
            },
            Decision::Write,
        );
    }

    #[test]
    fn a_flush_does_not_wait_for_company() {
        check(
            View {
                waiting: 1,
                in_flight: 1,
                is_urgent: true,
                ..QUIET
            },
            Decision::Write,
        );
    }

    #[test]
    fn no_more_batches_are_under_way_than_allowed() {
        check(
            View {
                waiting: 5_000,
                in_flight: 2,
                is_urgent: true,
                ..QUIET
            },
            Decision::WaitForWrite,
        );
    }
}
