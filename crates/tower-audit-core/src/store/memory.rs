//! A store in memory.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::Notify;

use super::{Cursor, EventReader, EventWriter, Filter, Page, PageSize, StoreError};
use crate::event::{AuditEvent, EventId, Outcome};

/// A store in memory, for tests and for trying things out. Clones share the events.
///
/// It holds at most [`capacity`](Self::with_capacity) events and then forgets the oldest: it is not
/// a place to keep a trail.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use tower_audit_core::{Actor, AuditEvent, Auditor, MemoryStore, Target};
///
/// let store = MemoryStore::new();
/// let auditor = Auditor::new(store.clone());
/// auditor.record(AuditEvent::builder(Actor::system(), "report.send", Target::none()).build());
/// auditor.flush().await;
/// assert_eq!(store.events()[0].action(), "report.send");
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    capacity: NonZeroUsize,
    rows: Mutex<Rows>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Rows {
    by_position: BTreeMap<Position, AuditEvent>,
    by_id: HashMap<EventId, Position>,
}

type Position = (DateTime<Utc>, EventId);

impl MemoryStore {
    /// Returns an empty store for 100,000 events.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// Returns an empty store that forgets the oldest event when it has to hold more than
    /// `events`.
    #[must_use]
    pub fn with_capacity(events: NonZeroUsize) -> Self {
        let shared = Shared {
            capacity: events,
            rows: Mutex::default(),
            changed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns all events, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        self.rows().by_position.values().cloned().collect()
    }

    /// Returns all events, oldest first, as soon as there are at least `count`.
    ///
    /// It waits for as long as that takes: put a timeout around it.
    pub async fn wait_for(&self, count: usize) -> Vec<AuditEvent> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change between the two is missed.
            changed.as_mut().enable();
            let events = self.events();
            if events.len() >= count {
                return events;
            }
            changed.await;
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.shared
            .rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl EventWriter for MemoryStore {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
        let now = Utc::now().trunc_subsecs(6);
        let mut rows = self.rows();
        for event in batch {
            rows.insert(event.clone().recorded(now));
        }
        while rows.by_position.len() > self.shared.capacity.get() {
            if let Some((_, event)) = rows.by_position.pop_first() {
                rows.by_id.remove(&event.id());
            }
        }
        drop(rows);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let old = rows
            .by_position
            .iter_mut()
            .take_while(|((time, _), _)| *time < created_before);
        let mut reaped = 0;
        for (_, event) in old.filter(|(_, event)| event.outcome() == Outcome::Pending) {
            *event = event.clone().never_completed();
            reaped += 1;
        }
        drop(rows);
        self.shared.changed.notify_waiters();
        Ok(reaped)
    }
}

impl EventReader for MemoryStore {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        let rows = self.rows();
        Ok(rows
            .by_id
            .get(&id)
            .and_then(|position| rows.by_position.get(position))
            .cloned())
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        size: PageSize,
    ) -> Result<Page, StoreError> {
        let rows = self.rows();
        let older = |(position, _): &(&Position, &AuditEvent)| {
            after.is_none_or(|cursor| **position < (cursor.created_at(), cursor.id()))
        };
        let found = rows
            .by_position
            .iter()
            .rev()
            .filter(older)
            .map(|(_, event)| event);
        let one_more = usize::from(size.events()) + 1;
        let found = found
            .filter(|event| filter.matches(event))
            .take(one_more)
            .cloned()
            .collect();
        Ok(Page::cut(found, size))
    }
}

impl Rows {
    fn insert(&mut self, event: AuditEvent) {
        let position = (event.created_at(), event.id());
        match self.by_id.entry(event.id()) {
            Entry::Vacant(entry) => {
                entry.insert(position);
                self.by_position.insert(position, event.kept());
            }
            Entry::Occupied(entry) if event.is_completion() => {
                if let Some(row) = self.by_position.get_mut(entry.get())
                    && row.may_be_completed()
                {
                    *row = event.in_place_of(row);
                }
            }
            Entry::Occupied(_) => {}
        }
    }
}

const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Actor, Target};

    #[tokio::test]
    async fn a_full_store_forgets_the_oldest() {
        let store = MemoryStore::with_capacity(NonZeroUsize::new(2).unwrap());
        let event = |second| {
            let time = DateTime::from_timestamp(second, 0).unwrap();
            AuditEvent::builder(Actor::system(), "job.run", Target::none())
                .created_at(time)
                .build()
        };
        let events = [event(3), event(1), event(2)];
        store.append(&events).await.unwrap();
        let seconds: Vec<_> = store
            .events()
            .iter()
            .map(|e| e.created_at().timestamp())
            .collect();
        assert_eq!(seconds, [2, 3]);
        assert_eq!(store.get(events[1].id()).await.unwrap(), None);
    }
}
