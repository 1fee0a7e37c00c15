//! Reads events back.

use tower_audit_core::{
    AuditEvent, EventId, EventReader, Filter, Page, PageSize, Seek, StoreError,
    search::Field,
    store::{Buckets, Count, Histogram, Tail, TailPosition, Top},
};

use super::PgStore;
use crate::query;

impl EventReader for PgStore {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        query::get(self, id).await
    }

    async fn page(&self, filter: &Filter, seek: Seek, size: PageSize) -> Result<Page, StoreError> {
        query::page(self, filter, seek, size).await
    }

    async fn histogram(&self, filter: &Filter, buckets: Buckets) -> Result<Histogram, StoreError> {
        query::histogram(self, filter, buckets).await
    }

    async fn top(&self, filter: &Filter, field: Field, size: PageSize) -> Result<Top, StoreError> {
        query::top(self, filter, field, size).await
    }

    async fn estimate(&self, filter: &Filter) -> Result<Count, StoreError> {
        query::estimate(self, filter).await
    }

    async fn tail(
        &self,
        position: Option<&TailPosition>,
        size: PageSize,
    ) -> Result<Tail, StoreError> {
        query::tail(self, position, size).await
    }
}
