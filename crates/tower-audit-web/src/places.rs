//! How many exports and live tails may run at once, and which one gives way.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tower_audit_core::{Actor, ActorKind};

/// The places of what runs.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    last: u64,
    places: BTreeMap<u64, Held>,
}

/// A place that is taken.
#[derive(Debug)]
struct Held {
    by: (ActorKind, String),
    /// When the client took something last.
    active: Instant,
}

/// The place of one, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    /// Returns a place for something of this actor, who may have half of them. If there is none left it is that of the one
    /// whose client has taken nothing for the longest time, if that is at least as long as this.
    pub(crate) fn take(&self, actor: &Actor, stalled_after: Duration) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let by = (actor.kind(), actor.id().to_owned());
        let of_actor = taken.places.values().filter(|held| held.by == by).count();
        let is_full = taken.places.len() >= self.most;
        if is_full || of_actor >= self.most.div_ceil(2) {
            let places = taken.places.iter();
            let in_question = places.filter(|(_, held)| is_full || held.by == by);
            let (number, held) = in_question.min_by_key(|(_, held)| held.active)?;
            if held.active.elapsed() < stalled_after {
                return None;
            }
            let number = *number;
            taken.places.remove(&number);
        }
        taken.last += 1;
        let number = taken.last;
        let active = Instant::now();
        taken.places.insert(number, Held { by, active });
        Some(Place {
            number,
            taken: self.taken.clone(),
        })
    }
}

impl Place {
    /// Says that the client is there, and returns whether the place still is.
    pub(crate) fn keep(&self) -> bool {
        let mut taken = lock(&self.taken);
        let held = taken.places.get_mut(&self.number);
        held.map(|held| held.active = Instant::now()).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).places.remove(&self.number);
    }
}

/// Whoever panicked left nothing half done.
fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_actor_has_half_of_the_places() {
        let places = Places::new(4);
        let (alice, bob) = (Actor::user("alice"), Actor::user("bob"));
        let take = |actor| places.take(actor, Duration::MAX);
        let first = take(&alice).unwrap();
        let _second = take(&alice).unwrap();
        assert!(take(&alice).is_none());
        let _third = take(&bob).unwrap();
        let _fourth = take(&bob).unwrap();
        drop(first);
        let _fifth = take(&alice).unwrap();
        assert!(take(&Actor::api_key("alice")).is_none());
    }

    #[test]
    fn whoever_stalls_gives_way_to_their_own_at_first() {
        let places = Places::new(4);
        let (alice, bob) = (Actor::user("alice"), Actor::user("bob"));
        let take = |actor| places.take(actor, Duration::ZERO).unwrap();
        let of_bob = take(&bob);
        let of_alice = [take(&alice), take(&alice), take(&alice)];
        assert!(of_bob.keep());
        assert_eq!(of_alice.map(|place| place.keep()), [false, true, true]);
    }
}
