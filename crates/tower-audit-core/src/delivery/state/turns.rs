//! Whose turn it is: the replay of the spool, or new records; and whether the spool takes any.

use std::time::Duration;

use tokio::time::Instant;

use super::State;
use crate::delivery::breaker::Turn;

impl<R> State<R> {
    /// Says whether the replay may write now; it then has a place until
    /// [`end_replay`](Self::end_replay).
    pub(in crate::delivery) fn turn_for_replay(&mut self, now: Instant) -> Turn {
        // What is spooled is safe: a shutdown has better things to write.
        self.replay.wants = !self.is_closed();
        if self.is_closed()
            || self.writing() >= self.limits.in_flight.get()
            || !self.is_turn_of_replay()
        {
            return Turn::Wait(None);
        }
        let turn = self.breaker.turn(now);
        if turn == Turn::Try {
            self.replay.is_writing = true;
            self.replay.was_last = true;
        }
        turn
    }

    /// Returns whether the batch that begins at number `first` was cut for the spool, and has no place among those
    /// that are written.
    pub(in crate::delivery) fn is_spill(&self, first: u64) -> bool {
        let mut spills = self.under_way.iter().filter(|batch| batch.is_spill);
        spills.any(|batch| batch.first == first)
    }

    /// Returns whether there is such a batch, and the spool did not take it.
    pub(super) fn has_refused(&self) -> bool {
        self.spool.blocked_until.is_some() && self.under_way.iter().any(|batch| batch.is_spill)
    }

    /// Says whether such a batch may be written after all, and gives it a place if so: the spool does not take it.
    pub(in crate::delivery) fn turn_for_spill(&mut self, first: u64, now: Instant) -> Turn {
        let writing = self.writing() + usize::from(self.replay.is_writing);
        if writing >= self.limits.in_flight.get() {
            return Turn::Wait(None);
        }
        let turn = self.breaker.turn(now);
        if turn == Turn::Try {
            self.replay.was_last = false;
            for batch in &mut self.under_way {
                batch.is_spill &= batch.first != first;
            }
        }
        turn
    }

    pub(in crate::delivery) fn end_replay(&mut self) {
        self.replay.is_writing = false;
        self.replay.wants = false;
    }

    /// With one place for both, new records and the replay take turns.
    fn is_turn_of_replay(&self) -> bool {
        let is_alone = self.waiting.is_empty() && !self.has_refused();
        self.limits.in_flight.get() > 1 || !self.replay.was_last || is_alone
    }

    /// Returns whether the spool can be asked to take records.
    pub(in crate::delivery) fn can_spool(&self, now: Instant) -> bool {
        self.spool.is_there && self.spool.blocked_until.is_none_or(|until| until <= now)
    }

    /// Returns whether the spool would take a record that came now: after a refusal only once it has
    /// taken what waits, or, if nothing waits, once it is time to ask it again.
    pub(in crate::delivery) fn would_spool(&self, now: Instant) -> bool {
        let is_idle = self.waiting.is_empty() && self.held() == 0;
        self.can_spool(now) && (is_idle || self.spool.blocked_until.is_none())
    }

    /// Returns after which time the spool may be asked again, if it refuses.
    pub(in crate::delivery) fn spool_retry(&self, now: Instant) -> Option<Duration> {
        let until = self.spool.blocked_until?;
        Some(until.saturating_duration_since(now))
    }

    /// Notes what the spool said: `Some` until when it is not asked again.
    pub(in crate::delivery) fn block_spool(&mut self, until: Option<Instant>) {
        self.counts.spool_refused += u64::from(until.is_some());
        self.spool.blocked_until = until;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::delivery::{fate::Fate, record::Entry, settings::DeliverySettings, state::Cut};

    /// A state with one place, and a spool that refuses.
    fn refusing(now: Instant) -> State<u8> {
        let one = NonZeroUsize::MIN;
        let settings = DeliverySettings::new().in_flight(one).batch_records(one);
        let mut state = State::new(&settings.spill_after(Duration::ZERO), true);
        state.block_spool(Some(now));
        state
    }

    fn next(state: &mut State<u8>, now: Instant) -> Cut<u8> {
        state.enter(Entry::Made(Box::new(0)), 1, None, Some(now));
        let next = state.next(now);
        next.unwrap_or_else(|wait| panic!("{wait:?}"))
    }

    #[test]
    fn what_the_spool_refused_and_the_replay_take_turns_on_one_place() {
        let now = Instant::now();
        let mut state = refusing(now);
        let mut writing = next(&mut state, now).first;
        for round in 0..5 {
            let refused = next(&mut state, now).first;
            assert!(state.is_spill(refused));
            state.settle(writing, 1, Fate::Written);
            assert_eq!(state.turn_for_replay(now), Turn::Try, "round {round}");
            state.end_replay();
            assert_eq!(state.turn_for_replay(now), Turn::Wait(None));
            assert_eq!(state.turn_for_spill(refused, now), Turn::Try);
            assert!(!state.is_spill(refused));
            writing = refused;
        }
    }
}
