//! Two stores at once, for a move from one to the other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use tokio::sync::RwLock;
use tower_audit_core::{EventId, EventWriter, PageSize, StoreError, store::StoreStatus};

use crate::{Analytics, Days, MessageId, Trail, TrailChange, TrailCursor, TrailPage, TrailStore};

/// Trails in two stores: both are written, one is read, and what is read is compared with the other. For a move from one to the other, first
/// with the old one to be read, and then with the new one.
///
/// A batch counts as written when both have it: while one is away, the engine keeps it and tries again, which the other one bears. What the
/// second did not have from the begin is a difference, until its retention has passed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tower_audit_ai::{DualTrails, MemoryTrails, Trail, Trails};
///
/// let trails = Trails::new(DualTrails::new(MemoryTrails::new(), MemoryTrails::new()));
/// trails.begin(Trail::placeholder("msg_1", "project-7", "large-2026")?);
/// trails.flush().await;
/// trails.get(&"msg_1".parse()?).await?;
/// let differences = trails.store().differences();
/// assert_eq!((differences.compared, differences.different), (1, 0));
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct DualTrails<A, B> {
    read: A,
    other: B,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whoever writes has it alone: in between the two differ.
    writing: RwLock<()>,
    compared: AtomicU64,
    different: AtomicU64,
    failed: AtomicU64,
}

/// What was found when two stores were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Differences {
    /// How many trails were read from both.
    pub compared: u64,
    /// How many of them were not the same, or in one alone.
    pub different: u64,
    /// How many could not be read from the other one.
    pub failed: u64,
}

impl<A: TrailStore, B: TrailStore> DualTrails<A, B> {
    /// Returns trails in both stores, of which the first is read.
    pub fn new(read: A, other: B) -> Self {
        Self {
            read,
            other,
            shared: Arc::default(),
        }
    }

    /// Returns the store that is read.
    #[must_use]
    pub fn read(&self) -> &A {
        &self.read
    }

    /// Returns the other store.
    #[must_use]
    pub fn other(&self) -> &B {
        &self.other
    }

    /// Returns what was found until now. Each [`get`](TrailStore::get) compares one trail, but for those while a batch is being written.
    #[must_use]
    pub fn differences(&self) -> Differences {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Differences {
            compared: count(&self.shared.compared),
            different: count(&self.shared.different),
            failed: count(&self.shared.failed),
        }
    }

    /// Compares a trail with the other store's.
    async fn compare(&self, message_id: &MessageId, found: Option<&Trail>) {
        let Ok(other) = self.other.get(message_id).await else {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.shared.compared.fetch_add(1, Ordering::Relaxed);
        if other.as_ref() != found {
            self.shared.different.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%message_id, "the two stores of trails differ");
        }
    }
}

impl<A: Clone, B: Clone> Clone for DualTrails<A, B> {
    fn clone(&self) -> Self {
        Self {
            read: self.read.clone(),
            other: self.other.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<A: TrailStore, B: TrailStore> EventWriter<TrailChange> for DualTrails<A, B> {
    async fn append(&self, batch: &[TrailChange]) -> Result<(), StoreError> {
        let _alone = self.shared.writing.write().await;
        self.read.append(batch).await?;
        self.other.append(batch).await
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        self.other.check().await?;
        self.read.check().await
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let _alone = self.shared.writing.write().await;
        let reaped = self.read.reap(created_before).await?;
        let other = self.other.reap(created_before).await?;
        Ok(reaped.max(other))
    }
}

impl<A: TrailStore, B: TrailStore> TrailStore for DualTrails<A, B> {
    async fn get(&self, message_id: &MessageId) -> Result<Option<Trail>, StoreError> {
        // Nobody waits for a store that is away.
        let nobody_writes = self.shared.writing.try_read();
        let found = self.read.get(message_id).await?;
        if nobody_writes.is_ok() {
            self.compare(message_id, found.as_ref()).await;
        }
        Ok(found)
    }

    async fn list(
        &self,
        project_id: &str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Result<TrailPage, StoreError> {
        self.read.list(project_id, older_than, size).await
    }

    async fn of_event(&self, event_id: EventId, size: PageSize) -> Result<Vec<Trail>, StoreError> {
        self.read.of_event(event_id, size).await
    }

    async fn projects(
        &self,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<Vec<String>, StoreError> {
        self.read.projects(after, size).await
    }

    async fn analytics(&self, project_id: &str, days: Days) -> Result<Analytics, StoreError> {
        self.read.analytics(project_id, days).await
    }

    async fn recount(&self) -> Result<u64, StoreError> {
        let _alone = self.shared.writing.write().await;
        let days = self.read.recount().await?;
        self.other.recount().await?;
        Ok(days)
    }

    async fn cleanup(&self, older_than: DateTime<Utc>) -> Result<u64, StoreError> {
        let _alone = self.shared.writing.write().await;
        let deleted = self.read.cleanup(older_than).await?;
        self.other.cleanup(older_than).await?;
        Ok(deleted)
    }
}
