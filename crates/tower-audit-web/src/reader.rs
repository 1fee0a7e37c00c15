//! Readers whose type is not known.

use std::pin::Pin;

use tower_audit_core::{
    AuditEvent, EventId, EventReader, Filter, Page, PageSize, Seek, StoreError,
    changes::{ChangeCursor, ChangeFilter, ChangePage, ChangeReader},
    search::Field,
    store::{Buckets, Count, Histogram, Related, Tail, TailPosition, Top},
};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// An [`EventReader`] whose type is not known.
pub(crate) trait DynReader: Send + Sync {
    fn get(&self, id: EventId) -> Answer<'_, Option<AuditEvent>>;
    fn page<'a>(&'a self, filter: &'a Filter, seek: Seek, size: PageSize) -> Answer<'a, Page>;
    fn histogram<'a>(&'a self, filter: &'a Filter, buckets: Buckets) -> Answer<'a, Histogram>;
    fn top<'a>(&'a self, filter: &'a Filter, field: Field, size: PageSize) -> Answer<'a, Top>;
    fn estimate<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Count>;
    fn tail<'a>(&'a self, position: Option<&'a TailPosition>, size: PageSize) -> Answer<'a, Tail>;
    fn related<'a>(
        &'a self,
        event: &'a AuditEvent,
        within: &'a Filter,
        size: PageSize,
    ) -> Answer<'a, Related>;
}

impl<R: EventReader> DynReader for R {
    fn get(&self, id: EventId) -> Answer<'_, Option<AuditEvent>> {
        Box::pin(EventReader::get(self, id))
    }

    fn page<'a>(&'a self, filter: &'a Filter, seek: Seek, size: PageSize) -> Answer<'a, Page> {
        Box::pin(EventReader::page(self, filter, seek, size))
    }

    fn histogram<'a>(&'a self, filter: &'a Filter, buckets: Buckets) -> Answer<'a, Histogram> {
        Box::pin(EventReader::histogram(self, filter, buckets))
    }

    fn top<'a>(&'a self, filter: &'a Filter, field: Field, size: PageSize) -> Answer<'a, Top> {
        Box::pin(EventReader::top(self, filter, field, size))
    }

    fn estimate<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Count> {
        Box::pin(EventReader::estimate(self, filter))
    }

    fn tail<'a>(&'a self, position: Option<&'a TailPosition>, size: PageSize) -> Answer<'a, Tail> {
        Box::pin(EventReader::tail(self, position, size))
    }

    fn related<'a>(
        &'a self,
        event: &'a AuditEvent,
        within: &'a Filter,
        size: PageSize,
    ) -> Answer<'a, Related> {
        Box::pin(EventReader::related(self, event, within, size))
    }
}

/// A [`ChangeReader`] whose type is not known.
pub(crate) trait DynChanges: Send + Sync {
    fn changes<'a>(
        &'a self,
        filter: &'a ChangeFilter,
        older_than: Option<ChangeCursor>,
        size: PageSize,
    ) -> Answer<'a, ChangePage>;
}

impl<R: ChangeReader> DynChanges for R {
    fn changes<'a>(
        &'a self,
        filter: &'a ChangeFilter,
        older_than: Option<ChangeCursor>,
        size: PageSize,
    ) -> Answer<'a, ChangePage> {
        Box::pin(ChangeReader::changes(self, filter, older_than, size))
    }
}
