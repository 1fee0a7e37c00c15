//! How many exports may run at once, and which one gives way.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The places of the exports that run.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    last: u64,
    /// When the client of each place took something last.
    active: BTreeMap<u64, Instant>,
}

/// The place of one export, until it is dropped.
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

    /// Returns a place. If there is none left, it is that of the export whose client has taken nothing for the longest
    /// time, if that is at least as long as this.
    pub(crate) fn take(&self, stalled_after: Duration) -> Option<Place> {
        let mut taken = lock(&self.taken);
        if taken.active.len() >= self.most {
            let longest = taken.active.iter().min_by_key(|(_, active)| **active);
            let (number, active) = longest.map(|(number, active)| (*number, *active))?;
            if active.elapsed() < stalled_after {
                return None;
            }
            taken.active.remove(&number);
        }
        taken.last += 1;
        let number = taken.last;
        taken.active.insert(number, Instant::now());
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
        let place = taken.active.get_mut(&self.number);
        place.map(|active| *active = Instant::now()).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).active.remove(&self.number);
    }
}

/// Whoever panicked left nothing half done.
fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
