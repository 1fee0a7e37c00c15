//! Trails in memory, for development and for tests.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use tower_audit_core::{EventId, EventWriter, PageSize, StoreError, store::StoreStatus};

use crate::{
    Analytics, Days, MessageId, Tally, Trail, TrailChange, TrailCursor, TrailPage, TrailStatus,
    TrailStore,
    record::{State, given_up},
    store::NAMED,
    tally::{TallyKey, note},
};

/// Trails in memory, for development and for tests. Clones share them.
///
/// It keeps at most [`capacity`](Self::with_capacity) trails, and forgets the oldest when others come: no task and no timer looks after them.
/// What they add up to stays.
#[derive(Clone, Debug)]
pub struct MemoryTrails {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    capacity: NonZeroUsize,
    zone: Tz,
    trails: Mutex<Trails>,
}

#[derive(Debug, Default)]
struct Trails {
    states: HashMap<MessageId, State>,
    /// The oldest first.
    by_age: BTreeSet<(i64, MessageId)>,
    tallies: BTreeMap<TallyKey, Tally>,
    /// Trails that began before this are not taken any more: those of then were deleted, and nobody knows which they were.
    too_late: i64,
}

impl MemoryTrails {
    /// Returns an empty store for 10,000 trails, whose days are those of UTC.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY, Tz::UTC)
    }

    /// Returns an empty store for so many trails, whose days are those of this time zone.
    #[must_use]
    pub fn with_capacity(trails: NonZeroUsize, zone: Tz) -> Self {
        let shared = Shared {
            capacity: trails,
            zone,
            trails: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns everything that was said of all trails: another store that it is [appended](EventWriter::append) to, as often as one likes, has
    /// them, too.
    #[must_use]
    pub fn changes(&self) -> Vec<TrailChange> {
        let trails = self.trails();
        let all = trails.states.iter();
        all.flat_map(|(id, state)| state.changes(id)).collect()
    }

    fn trails(&self) -> MutexGuard<'_, Trails> {
        let trails = self.shared.trails.lock();
        trails.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the trails of a project, the newest first.
    fn of_project(&self, project_id: &str) -> Vec<Trail> {
        self.found(|trail| trail.project_id == project_id)
    }

    /// Returns some trails, the newest first.
    fn found(&self, is_asked: impl Fn(&Trail) -> bool) -> Vec<Trail> {
        let trails = self.trails();
        let all = trails.states.iter();
        let mut found: Vec<Trail> = all
            .filter_map(|(id, state)| state.trail(id))
            .filter(|trail| is_asked(trail))
            .collect();
        found.sort_by_cached_key(|trail| std::cmp::Reverse(TrailCursor::of(trail)));
        found
    }
}

impl Default for MemoryTrails {
    fn default() -> Self {
        Self::new()
    }
}

impl Trails {
    fn take(&mut self, change: &TrailChange, zone: Tz) {
        let id = &change.message_id;
        let mut state = self.states.remove(id).unwrap_or_default();
        let before = state.trail(id);
        self.by_age.remove(&(state.age_micros(), id.clone()));
        state.apply(change);
        let started = state.started_micros();
        if before.is_none() && started.is_some_and(|started| started < self.too_late) {
            return;
        }
        let after = state.trail(id);
        self.add(before.as_ref(), after.as_ref(), zone);
        self.by_age.insert((state.age_micros(), id.clone()));
        self.states.insert(id.clone(), state);
    }

    /// Adds up that a trail is another one now.
    fn add(&mut self, before: Option<&Trail>, after: Option<&Trail>, zone: Tz) {
        let mut deltas = BTreeMap::new();
        note(&mut deltas, before, after, zone);
        for (key, delta) in deltas {
            let mut tally = self.tallies.remove(&key).unwrap_or_default();
            tally += &delta.tally;
            if !tally.is_zero() {
                self.tallies.insert(key, tally);
            }
        }
    }

    /// Forgets a trail; returns whether it was one, of which the begin has arrived.
    fn forget(&mut self, age: i64, id: &MessageId) -> bool {
        self.by_age.remove(&(age, id.clone()));
        let state = self.states.remove(id);
        let started = state.and_then(|state| state.started_micros());
        if let Some(started) = started {
            self.too_late = self.too_late.max(started + 1);
        }
        started.is_some()
    }
}

impl EventWriter<TrailChange> for MemoryTrails {
    async fn append(&self, batch: &[TrailChange]) -> Result<(), StoreError> {
        let mut trails = self.trails();
        for change in batch {
            trails.take(change, self.shared.zone);
        }
        while trails.states.len() > self.shared.capacity.get() {
            let Some((age, id)) = trails.by_age.first().cloned() else {
                break;
            };
            trails.forget(age, &id);
        }
        Ok(())
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        Ok(StoreStatus::default())
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut trails = self.trails();
        let all = trails.states.iter();
        let is_due = |trail: &Trail| {
            trail.status == TrailStatus::Pending && trail.started_at < created_before
        };
        let due: Vec<TrailChange> = all
            .filter_map(|(id, state)| state.trail(id))
            .filter(is_due)
            .map(|trail| given_up(&trail))
            .collect();
        for change in &due {
            trails.take(change, self.shared.zone);
        }
        Ok(u64::try_from(due.len()).unwrap_or(u64::MAX))
    }
}

impl TrailStore for MemoryTrails {
    async fn get(&self, message_id: &MessageId) -> Result<Option<Trail>, StoreError> {
        let trails = self.trails();
        let state = trails.states.get(message_id);
        Ok(state.and_then(|state| state.trail(message_id)))
    }

    async fn list(
        &self,
        project_id: &str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Result<TrailPage, StoreError> {
        let mut found = self.of_project(project_id);
        if let Some(cursor) = older_than {
            found.retain(|trail| TrailCursor::of(trail) < cursor);
        }
        Ok(TrailPage::cut(found, size))
    }

    async fn of_event(&self, event_id: EventId, size: PageSize) -> Result<Vec<Trail>, StoreError> {
        let mut found = self.found(|trail| trail.event_id == Some(event_id));
        found.reverse();
        found.truncate(size.events().into());
        Ok(found)
    }

    async fn projects(
        &self,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<Vec<String>, StoreError> {
        let trails = self.trails();
        let projects: BTreeSet<&String> =
            trails.tallies.keys().map(|key| &key.project_id).collect();
        let after = projects
            .into_iter()
            .filter(|project| after.is_none_or(|after| project.as_str() > after));
        Ok(after.take(size.events().into()).cloned().collect())
    }

    async fn analytics(&self, project_id: &str, days: Days) -> Result<Analytics, StoreError> {
        let mut analytics = {
            let trails = self.trails();
            let tallies = trails.tallies.iter();
            let asked =
                tallies.filter(|(key, _)| key.project_id == project_id && days.have(key.day));
            Analytics::sum(asked.map(|(key, tally)| (key.day, key.model.as_str(), tally)))
        };
        let mut found = self.of_project(project_id);
        let zone = self.shared.zone;
        found.retain(|trail| days.have(trail.started_at.with_timezone(&zone).date_naive()));
        analytics.recent = found.iter().take(NAMED).cloned().collect();
        found.retain(|trail| trail.latency().is_some());
        found.sort_by_key(|trail| std::cmp::Reverse(trail.latency()));
        found.truncate(NAMED);
        analytics.slowest = found;
        Ok(analytics)
    }

    async fn recount(&self) -> Result<u64, StoreError> {
        let zone = self.shared.zone;
        let mut trails = self.trails();
        let last_deleted = DateTime::from_timestamp_micros(trails.too_late - 1)
            .filter(|_| trails.too_late > 0)
            .map(|last| last.with_timezone(&zone).date_naive());
        let is_whole = |day: NaiveDate| last_deleted.is_none_or(|last| day > last);
        let mut tallies = BTreeMap::new();
        for (id, state) in &trails.states {
            note(&mut tallies, None, state.trail(id).as_ref(), zone);
        }
        tallies.retain(|key, _| is_whole(key.day));
        trails.tallies.retain(|key, _| !is_whole(key.day));
        let tallies = tallies.into_iter().map(|(key, delta)| (key, delta.tally));
        trails.tallies.extend(tallies);
        let days: BTreeSet<NaiveDate> = trails.tallies.keys().map(|key| key.day).collect();
        let whole = days.into_iter().filter(|day| is_whole(*day)).count();
        Ok(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    async fn cleanup(&self, older_than: DateTime<Utc>) -> Result<u64, StoreError> {
        let cutoff = older_than.timestamp_micros();
        let mut trails = self.trails();
        let is_pending = |id: &MessageId| {
            let trail = trails.states.get(id).and_then(|state| state.trail(id));
            trail.is_some_and(|trail| trail.status == TrailStatus::Pending)
        };
        let old = trails.by_age.iter().take_while(|(age, _)| *age < cutoff);
        let due: Vec<(i64, MessageId)> = old.filter(|(_, id)| !is_pending(id)).cloned().collect();
        let deleted = due.iter().filter(|(age, id)| trails.forget(*age, id));
        let deleted = deleted.count();
        trails.too_late = trails.too_late.max(cutoff);
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
    }
}

/// Ten thousand: with a few kilobytes of reasoning each some tens of megabytes.
const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
