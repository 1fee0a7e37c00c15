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
    /// How long ago the last batch was begun.
    pub(super) last_write: Duration,
    /// The replay of the spool writes, or wants to and has its turn.
    pub(super) is_replaying: bool,
    /// Somebody waits for what waits.
    pub(super) is_urgent: bool,
    /// What to do about records for which there is no batch to go with.
    pub(super) spill: Spill,
}

/// What to do about records that the store is too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spill {
    /// They wait.
    Never,
    /// They wait, and after this time the spool may take them.
    NotBefore(Duration),
    /// They are spooled when the queue is half full or they have waited for too long.
    WhenSlow { is_half_full: bool },
    /// They are spooled at once: there is no time left.
    Always,
}

/// What the decision is measured against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So many records are written without waiting for more.
    pub(super) due_records: usize,
    /// So many bytes are.
    pub(super) due_bytes: usize,
    pub(super) in_flight: NonZeroUsize,
    pub(super) linger: Duration,
    pub(super) pace: Duration,
    pub(super) spill_after: Duration,
}

/// What the worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Cut a batch and write it.
    Write,
    /// Cut a batch and spool it.
    Spill,
    /// Wait until this many records or a full batch of bytes are there, or this much time passed.
    Wait {
        until_records: usize,
        or_after: Option<Duration>,
    },
    /// Wait for a batch that is being written, for this time at most.
    WaitForWrite { or_after: Option<Duration> },
}

/// Decides what the worker does next.
pub(super) fn decide(view: View, limits: Limits) -> Decision {
    if view.waiting == 0 {
        return Decision::Wait {
            until_records: 1,
            or_after: None,
        };
    }
    if view.spill == Spill::Always {
        return Decision::Spill;
    }
    if view.in_flight + usize::from(view.is_replaying) >= limits.in_flight.get() {
        return while_busy(view, limits);
    }
    let is_due = view.waiting >= limits.due_records || view.waiting_bytes >= limits.due_bytes;
    // Without the pace a store that is quick would get a batch a record, and the worker a wake-up.
    let rest = if view.in_flight == 0 {
        limits.pace.saturating_sub(view.last_write)
    } else {
        limits.linger.saturating_sub(view.oldest)
    };
    if is_due || view.is_urgent || rest.is_zero() {
        return Decision::Write;
    }
    Decision::Wait {
        until_records: limits.due_records,
        or_after: Some(rest),
    }
}

/// Decides what to do while no more batches may be written.
fn while_busy(view: View, limits: Limits) -> Decision {
    let is_half_full = match view.spill {
        Spill::WhenSlow { is_half_full } => is_half_full,
        Spill::NotBefore(time) => {
            return Decision::WaitForWrite {
                or_after: Some(time),
            };
        }
        Spill::Never | Spill::Always => return Decision::WaitForWrite { or_after: None },
    };
    if is_half_full || view.oldest >= limits.spill_after {
        return Decision::Spill;
    }
    Decision::WaitForWrite {
        or_after: Some(limits.spill_after.saturating_sub(view.oldest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        due_records: 500,
        due_bytes: 1_000_000,
        in_flight: NonZeroUsize::new(2).unwrap(),
        linger: Duration::from_millis(200),
        pace: Duration::from_millis(5),
        spill_after: Duration::from_secs(1),
    };

    const QUIET: View = View {
        waiting: 0,
        waiting_bytes: 0,
        oldest: Duration::ZERO,
        in_flight: 0,
        last_write: Duration::MAX,
        is_replaying: false,
        is_urgent: false,
        spill: Spill::Never,
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
    fn after_a_quick_write_records_wait_for_company_but_not_longer_than_the_pace() {
        let view = View {
            waiting: 1,
            oldest: Duration::from_millis(1),
            last_write: Duration::from_millis(2),
            ..QUIET
        };
        let rest = Some(Duration::from_millis(3));
        check(
            view,
            Decision::Wait {
                until_records: 500,
                or_after: rest,
            },
        );
        let last_write = LIMITS.pace;
        check(View { last_write, ..view }, Decision::Write);
        let is_urgent = true;
        check(View { is_urgent, ..view }, Decision::Write);
        let waiting = 500;
        check(View { waiting, ..view }, Decision::Write);
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
        let busy = View {
            waiting: 5_000,
            in_flight: 2,
            is_urgent: true,
            ..QUIET
        };
        check(busy, Decision::WaitForWrite { or_after: None });
        let replaying = View {
            in_flight: 1,
            is_replaying: true,
            ..busy
        };
        check(replaying, Decision::WaitForWrite { or_after: None });
    }

    #[test]
    fn a_replay_is_no_company_to_wait_for() {
        let view = View {
            waiting: 1,
            is_replaying: true,
            ..QUIET
        };
        check(view, Decision::Write);
    }

    #[test]
    fn what_a_busy_store_does_not_take_is_spooled_when_it_is_much_or_old() {
        let busy = View {
            waiting: 1,
            in_flight: 2,
            oldest: Duration::from_millis(400),
            spill: Spill::WhenSlow {
                is_half_full: false,
            },
            ..QUIET
        };
        let or_after = Some(Duration::from_millis(600));
        check(busy, Decision::WaitForWrite { or_after });
        let old = View {
            oldest: LIMITS.spill_after,
            ..busy
        };
        check(old, Decision::Spill);
        let much = View {
            spill: Spill::WhenSlow { is_half_full: true },
            ..busy
        };
        check(much, Decision::Spill);
        check(
            View {
                in_flight: 0,
                ..much
            },
            Decision::Write,
        );
    }

    #[test]
    fn a_spool_that_refused_is_asked_again_though_no_write_ends() {
        let second = Duration::from_secs(1);
        let view = View {
            waiting: 400,
            in_flight: 2,
            spill: Spill::NotBefore(second),
            ..QUIET
        };
        let or_after = Some(second);
        check(view, Decision::WaitForWrite { or_after });
    }

    #[test]
    fn when_no_time_is_left_everything_is_spooled() {
        let view = View {
            waiting: 1,
            in_flight: 0,
            spill: Spill::Always,
            ..QUIET
        };
        check(view, Decision::Spill);
    }
}
