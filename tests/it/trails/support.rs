//! What tests of trails share.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use tower_audit_ai::{
    Analytics, Cost, Currency, Days, MessageId, Trail, TrailChange, TrailCursor, TrailPage,
    TrailStore, Trails,
};
use tower_audit_core::{EventId, EventWriter, PageSize, StoreError, store::StoreStatus};

/// Whose days are not those of UTC.
pub(super) const ZONE: Tz = Tz::America__New_York;

pub(super) fn id(message: &str) -> MessageId {
    message.parse().unwrap()
}

/// Returns a cost of so many dollars.
pub(super) fn dollars(prompt: &str, completion: &str) -> Cost {
    let [prompt, completion] = [prompt, completion].map(|amount| amount.parse().unwrap());
    Cost::new(Currency::USD, prompt, completion).unwrap()
}

pub(super) fn all_days() -> Days {
    Days::new(NaiveDate::MIN, NaiveDate::MAX)
}

pub(super) async fn get(store: &impl TrailStore, message: &str) -> Trail {
    let found = store.get(&id(message)).await.unwrap();
    found.unwrap_or_else(|| panic!("{message} is not there"))
}

/// Writes changes, in this order.
pub(super) async fn write(store: &impl TrailStore, changes: &[TrailChange]) {
    store.append(changes).await.unwrap();
}

/// Returns the changes that somebody records, as they travel to a store.
pub(super) async fn changes(record: impl AsyncFnOnce(&Trails<Caught>)) -> Vec<TrailChange> {
    let caught = Caught::default();
    let trails = Trails::new(caught.clone());
    record(&trails).await;
    trails.flush().await;
    caught.all()
}

/// Keeps the changes that it is given.
#[derive(Clone, Debug, Default)]
pub(super) struct Caught(Arc<Mutex<Vec<TrailChange>>>);

impl Caught {
    pub(super) fn all(&self) -> Vec<TrailChange> {
        self.0.lock().unwrap().clone()
    }
}

impl EventWriter<TrailChange> for Caught {
    async fn append(&self, batch: &[TrailChange]) -> Result<(), StoreError> {
        self.0.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        Ok(StoreStatus::default())
    }

    async fn reap(&self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(0)
    }
}

impl TrailStore for Caught {
    async fn get(&self, _: &MessageId) -> Result<Option<Trail>, StoreError> {
        Ok(None)
    }

    async fn list(
        &self,
        _: &str,
        _: Option<TrailCursor>,
        _: PageSize,
    ) -> Result<TrailPage, StoreError> {
        Ok(TrailPage::default())
    }

    async fn of_event(&self, _: EventId, _: PageSize) -> Result<Vec<Trail>, StoreError> {
        Ok(Vec::new())
    }

    async fn projects(&self, _: Option<&str>, _: PageSize) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn analytics(&self, _: &str, _: Days) -> Result<Analytics, StoreError> {
        Ok(Analytics::default())
    }

    async fn recount(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn cleanup(&self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(0)
    }
}
