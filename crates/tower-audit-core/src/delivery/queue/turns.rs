//! Who may try the store, and when; and what became of it.

use std::time::Duration;

use tokio::time::Instant;

use super::Queue;
use crate::delivery::{
    backoff::random,
    breaker::Turn,
    record::Record,
    state::{Phase, State},
};

impl<R: Record> Queue<R> {
    /// Waits until it is known what to do with the batch that begins at number `first`.
    pub(in crate::delivery) async fn way(&self, first: u64) -> Way {
        let mut way = Way::Try;
        self.until_turn(|state, now| {
            let is_late = state.phase() >= Phase::GivingUp;
            let is_spill = state.is_spill(first);
            let wants_spool = is_spill || state.breaker.is_open();
            if (is_late || wants_spool) && state.can_spool(now) {
                way = Way::Spool;
            } else if is_late {
                way = Way::GiveUp;
            } else {
                let turn = if is_spill {
                    state.turn_for_spill(first, now)
                } else {
                    state.breaker.turn(now)
                };
                return match (turn, state.spool_retry(now)) {
                    // The spool may have room before the store has a turn.
                    (Turn::Wait(wait), Some(retry)) if wants_spool => {
                        Turn::Wait(Some(wait.map_or(retry, |wait| wait.min(retry))))
                    }
                    (turn, _) => turn,
                };
            }
            Turn::Try
        })
        .await;
        if way == Way::Try {
            // A batch that was to be spooled leaves that place to the next one.
            self.work.notify_one();
        }
        way
    }

    /// Waits until the replay of the spool may write.
    pub(in crate::delivery) async fn turn_of_replay(&self) {
        self.until_turn(State::turn_for_replay).await;
    }

    async fn until_turn(&self, mut ask: impl FnMut(&mut State<R>, Instant) -> Turn) {
        loop {
            let changed = self.turns.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change between the two is missed.
            changed.as_mut().enable();
            let turn = ask(&mut self.lock(), Instant::now());
            match turn {
                Turn::Try => return,
                Turn::Wait(None) => changed.await,
                Turn::Wait(Some(time)) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(time) => {}
                },
            }
        }
    }

    /// Says how a try went: the store answered, or it did not.
    pub(in crate::delivery) fn tried(&self, try_ended: Tried) {
        let mut state = self.lock();
        match try_ended {
            Tried::Answered => state.breaker.answered(),
            Tried::Failed { took_long } => {
                state.counts.retries += 1;
                state.breaker.failed(Instant::now(), took_long, random());
            }
            Tried::GaveUp => state.breaker.given_back(),
        }
        drop(state);
        self.turns.notify_waiters();
        self.work.notify_one();
    }

    pub(in crate::delivery) fn end_replay(&self) {
        self.lock().end_replay();
        self.turns.notify_waiters();
        self.work.notify_one();
    }

    /// Returns whether the store counts as down. When it is time to try it again it does not: whoever
    /// comes then is the one who finds out.
    pub(in crate::delivery) fn is_store_down(&self) -> bool {
        let breaker = &self.lock().breaker;
        breaker.is_open() && !breaker.could_try(Instant::now())
    }

    /// Returns whether the spool would take a record that came now.
    pub(in crate::delivery) fn would_spool(&self) -> bool {
        self.lock().would_spool(Instant::now())
    }

    /// Notes what the spool said, and how many bytes it takes.
    pub(in crate::delivery) fn spooled(&self, bytes: u64, blocked_for: Option<Duration>) {
        let mut state = self.lock();
        state.counts.spool_bytes = bytes;
        state.block_spool(blocked_for.map(|time| Instant::now() + time));
    }
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Way {
    /// Try to write it, and say how that went.
    Try,
    /// Spool it: the store is down, or there is no time left.
    Spool,
    /// Leave it: there is no time left, and no spool.
    GiveUp,
}

/// How a try to write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Tried {
    Answered,
    Failed { took_long: bool },
    GaveUp,
}
