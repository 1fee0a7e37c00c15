//! A store in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::Notify;

use super::{
    Buckets, Count, Cursor, EventReader, EventWriter, Histogram, Page, PageSize, Seek, StoreError,
    StoreStatus, Tail, TailPosition, Top, TopValue, can_be_grouped,
};
use crate::{
    event::{AuditEvent, EventId, Outcome},
    search::{Field, Filter},
};

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
    by_position: BTreeMap<Position, Row>,
    by_id: HashMap<EventId, Position>,
    /// In the order of the writes.
    by_order: BTreeSet<(u64, EventId)>,
    /// The number of the last write.
    order: u64,
}

#[derive(Debug)]
struct Row {
    event: AuditEvent,
    order: u64,
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
        let rows = self.rows();
        rows.by_position
            .values()
            .map(|row| row.event.clone())
            .collect()
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

    fn passing(&self, filter: &Filter) -> Vec<AuditEvent> {
        let mut events = self.events();
        events.retain(|event| filter.matches(event));
        events
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
        let order = rows.next_order();
        for event in batch {
            rows.insert(event.clone().recorded(now), order);
        }
        while rows.by_position.len() > self.shared.capacity.get() {
            rows.forget_oldest();
        }
        drop(rows);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        Ok(StoreStatus::default())
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let order = rows.next_order();
        let old = rows
            .by_position
            .values()
            .take_while(|row| row.event.created_at() < created_before);
        let old: Vec<AuditEvent> = old
            .filter(|row| row.event.outcome() == Outcome::Pending)
            .map(|row| row.event.clone())
            .collect();
        for event in &old {
            rows.put(event.clone().never_completed(), order);
        }
        drop(rows);
        self.shared.changed.notify_waiters();
        Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
    }
}

impl EventReader for MemoryStore {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        Ok(self.rows().row(id).map(|row| row.event.clone()))
    }

    async fn page(&self, filter: &Filter, seek: Seek, size: PageSize) -> Result<Page, StoreError> {
        let rows = self.rows();
        let one_more = usize::from(size.events()) + 1;
        let ahead = |row: &&Row| seek.reaches(Cursor::at(&row.event)) && filter.matches(&row.event);
        let all = rows.by_position.values();
        let found: Vec<&Row> = if seek.is_forward() {
            all.filter(ahead).take(one_more).collect()
        } else {
            all.rev().filter(ahead).take(one_more).collect()
        };
        let found = found.into_iter().map(|row| row.event.clone()).collect();
        Ok(Page::cut(found, seek, size))
    }

    async fn histogram(&self, filter: &Filter, buckets: Buckets) -> Result<Histogram, StoreError> {
        let mut histogram = Histogram::empty(buckets);
        for event in self.passing(filter) {
            if let Some(bucket) = buckets.of(event.created_at().timestamp_micros()) {
                histogram.add(bucket, event.outcome(), 1);
            }
        }
        Ok(histogram)
    }

    async fn top(&self, filter: &Filter, field: Field, size: PageSize) -> Result<Top, StoreError> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        if can_be_grouped(field) {
            for event in self.passing(filter) {
                if let Some(value) = field.text_of(&event) {
                    *counts.entry(value).or_default() += 1;
                }
            }
        }
        let mut values: Vec<_> = counts.into_iter().collect();
        values.sort_by(|(a, more_a), (b, more_b)| more_b.cmp(more_a).then_with(|| a.cmp(b)));
        values.truncate(usize::from(size.events()));
        let values = values
            .into_iter()
            .map(|(value, events)| TopValue::new(value, events));
        Ok(Top::new(values.collect(), None))
    }

    async fn estimate(&self, filter: &Filter) -> Result<Count, StoreError> {
        let count = self.passing(filter).len();
        Ok(Count::Exactly(u64::try_from(count).unwrap_or(u64::MAX)))
    }

    async fn tail(
        &self,
        position: Option<&TailPosition>,
        size: PageSize,
    ) -> Result<Tail, StoreError> {
        let rows = self.rows();
        let now = TailPosition::new(rows.order + 1, []);
        let Some(position) = position else {
            return Ok(Tail::new(Vec::new(), now, false));
        };
        let first = position
            .within()
            .map_or(position.next(), |(number, _)| number);
        let new = rows
            .by_order
            .range((first, EventId::from_uuid(uuid::Uuid::nil()))..);
        let mut new = new.filter(|(order, id)| !position.has_seen(*order, *id));
        let size = usize::from(size.events());
        let (mut events, mut at) = (Vec::new(), position.clone());
        for (order, id) in new.by_ref().take(size) {
            if let Some(row) = rows.row(*id) {
                at = at.after(*order, *id, &now);
                events.push((row.event.clone(), at.clone()));
            }
        }
        let has_more = new.next().is_some();
        Ok(Tail::new(events, if has_more { at } else { now }, has_more))
    }
}

impl Rows {
    /// Begins a write, which readers see whole.
    fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    fn row(&self, id: EventId) -> Option<&Row> {
        self.by_position.get(self.by_id.get(&id)?)
    }

    fn insert(&mut self, event: AuditEvent, order: u64) {
        match self.row(event.id()).map(|row| &row.event) {
            None => self.put(event.kept(), order),
            Some(row) if event.is_completion() && row.may_be_completed() => {
                let completed = event.in_place_of(row);
                self.put(completed, order);
            }
            Some(_) => {}
        }
    }

    /// Puts the event in the place of the one with its id, if there is one.
    fn put(&mut self, event: AuditEvent, order: u64) {
        let (id, position) = (event.id(), (event.created_at(), event.id()));
        self.by_id.insert(id, position);
        if let Some(old) = self.by_position.insert(position, Row { event, order }) {
            self.by_order.remove(&(old.order, id));
        }
        self.by_order.insert((order, id));
    }

    fn forget_oldest(&mut self) {
        if let Some(((_, id), row)) = self.by_position.pop_first() {
            self.by_id.remove(&id);
            self.by_order.remove(&(row.order, id));
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
