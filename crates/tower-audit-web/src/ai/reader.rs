//! Stores of trails whose type is not known.

use std::pin::Pin;

use tower_audit_ai::{Analytics, Days, MessageId, Trail, TrailCursor, TrailPage, TrailStore};
use tower_audit_core::{EventId, PageSize, StoreError};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What is read of a [`TrailStore`] whose type is not known.
pub(crate) trait DynTrails: Send + Sync {
    fn get<'a>(&'a self, message_id: &'a MessageId) -> Answer<'a, Option<Trail>>;
    fn list<'a>(
        &'a self,
        project: &'a str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Answer<'a, TrailPage>;
    fn of_event(&self, event_id: EventId, size: PageSize) -> Answer<'_, Vec<Trail>>;
    fn projects<'a>(&'a self, after: Option<&'a str>, size: PageSize) -> Answer<'a, Vec<String>>;
    fn analytics<'a>(&'a self, project: &'a str, days: Days) -> Answer<'a, Analytics>;
}

impl<S: TrailStore> DynTrails for S {
    fn get<'a>(&'a self, message_id: &'a MessageId) -> Answer<'a, Option<Trail>> {
        Box::pin(TrailStore::get(self, message_id))
    }

    fn list<'a>(
        &'a self,
        project: &'a str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Answer<'a, TrailPage> {
        Box::pin(TrailStore::list(self, project, older_than, size))
    }

    fn of_event(&self, event_id: EventId, size: PageSize) -> Answer<'_, Vec<Trail>> {
        Box::pin(TrailStore::of_event(self, event_id, size))
    }

    fn projects<'a>(&'a self, after: Option<&'a str>, size: PageSize) -> Answer<'a, Vec<String>> {
        Box::pin(TrailStore::projects(self, after, size))
    }

    fn analytics<'a>(&'a self, project: &'a str, days: Days) -> Answer<'a, Analytics> {
        Box::pin(TrailStore::analytics(self, project, days))
    }
}
