//! Readers that are not at their best.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tower_audit::{
    AuditEvent, EventId, EventReader, Filter, MemoryStore, Page, PageSize, Seek, StoreError,
    search::Field,
    store::{Buckets, Count, Histogram, Tail, TailPosition, Top},
};

use crate::support::events::builder;

/// Looks at so many events for a page, whether they pass or not, and says where it stopped.
pub(super) struct ShortSighted {
    pub(super) store: MemoryStore,
    pub(super) looks_at: PageSize,
}

impl EventReader for ShortSighted {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        self.store.get(id).await
    }

    async fn page(&self, filter: &Filter, seek: Seek, size: PageSize) -> Result<Page, StoreError> {
        let seen = self.store.page(&Filter::new(), seek, self.looks_at).await?;
        let mut passing: Vec<AuditEvent> = seen.events.clone();
        passing.retain(|event| filter.matches(event));
        if seek.is_forward() {
            passing.reverse();
        }
        let last = seek.after(&seen).and_then(Seek::cursor);
        match last.filter(|_| passing.len() <= usize::from(size.events())) {
            Some(last) => Ok(Page::stopped(passing, seek, last)),
            None => Ok(Page::cut(passing, seek, size)),
        }
    }

    async fn histogram(&self, filter: &Filter, buckets: Buckets) -> Result<Histogram, StoreError> {
        self.store.histogram(filter, buckets).await
    }

    async fn top(&self, filter: &Filter, field: Field, size: PageSize) -> Result<Top, StoreError> {
        self.store.top(filter, field, size).await
    }

    async fn estimate(&self, filter: &Filter) -> Result<Count, StoreError> {
        self.store.estimate(filter).await
    }

    async fn tail(
        &self,
        position: Option<&TailPosition>,
        size: PageSize,
    ) -> Result<Tail, StoreError> {
        self.store.tail(position, size).await
    }
}

/// A trail without end, which counts how often it was asked for a page, and fails after so many.
pub(super) struct Endless {
    pub(super) asked: Arc<AtomicUsize>,
    pub(super) fails_after: usize,
}

impl EventReader for Endless {
    async fn get(&self, _id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        Ok(None)
    }

    async fn page(&self, _filter: &Filter, seek: Seek, size: PageSize) -> Result<Page, StoreError> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked >= self.fails_after {
            return Err(StoreError::Unavailable("gone".into()));
        }
        let first = 1_000_000_000 - i64::try_from(asked).unwrap() * 1_000;
        let events = (0..=size.events()).map(|n| builder(first - i64::from(n)).build());
        Ok(Page::cut(events.collect(), seek, size))
    }

    async fn histogram(&self, _filter: &Filter, buckets: Buckets) -> Result<Histogram, StoreError> {
        Ok(Histogram::empty(buckets))
    }

    async fn top(
        &self,
        _filter: &Filter,
        _field: Field,
        _size: PageSize,
    ) -> Result<Top, StoreError> {
        Ok(Top::new(Vec::new(), None))
    }

    async fn estimate(&self, _filter: &Filter) -> Result<Count, StoreError> {
        Ok(Count::AtLeast(0))
    }

    async fn tail(
        &self,
        _position: Option<&TailPosition>,
        _size: PageSize,
    ) -> Result<Tail, StoreError> {
        Ok(Tail::new(Vec::new(), TailPosition::default(), false))
    }
}

/// Does not answer.
pub(super) struct Down;

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable(
        "connection refused (postgres://audit:hunter2@db)".into(),
    ))
}

impl EventReader for Down {
    async fn get(&self, _id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        down()
    }

    async fn page(
        &self,
        _filter: &Filter,
        _seek: Seek,
        _size: PageSize,
    ) -> Result<Page, StoreError> {
        down()
    }

    async fn histogram(
        &self,
        _filter: &Filter,
        _buckets: Buckets,
    ) -> Result<Histogram, StoreError> {
        down()
    }

    async fn top(
        &self,
        _filter: &Filter,
        _field: Field,
        _size: PageSize,
    ) -> Result<Top, StoreError> {
        down()
    }

    async fn estimate(&self, _filter: &Filter) -> Result<Count, StoreError> {
        down()
    }

    async fn tail(
        &self,
        _position: Option<&TailPosition>,
        _size: PageSize,
    ) -> Result<Tail, StoreError> {
        down()
    }
}
