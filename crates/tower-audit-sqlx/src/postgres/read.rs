//! Reads events back.

use tower_audit_core::{
    AuditEvent, EventId, EventReader, Filter, Page, PageSize, Seek, StoreError,
    search::Field,
    store::{Buckets, Count, Histogram, Tail, TailPosition, Top},
};

use super::{PgStore, reading::Reading};
use crate::query::{self, Explained};

impl EventReader for PgStore {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        let reading = Reading::begin(self).await?;
        let answer = query::get(&reading, id).await?;
        reading.end().await?;
        Ok(answer)
    }

    async fn page(&self, filter: &Filter, seek: Seek, size: PageSize) -> Result<Page, StoreError> {
        let reading = Reading::begin(self).await?;
        let answer = query::page(&reading, filter, seek, size).await?;
        reading.end().await?;
        Ok(answer)
    }

    async fn histogram(&self, filter: &Filter, buckets: Buckets) -> Result<Histogram, StoreError> {
        let reading = Reading::begin(self).await?;
        let answer = query::histogram(&reading, filter, buckets).await?;
        reading.end().await?;
        Ok(answer)
    }

    async fn top(&self, filter: &Filter, field: Field, size: PageSize) -> Result<Top, StoreError> {
        let reading = Reading::begin(self).await?;
        let answer = query::top(&reading, filter, field, size).await?;
        reading.end().await?;
        Ok(answer)
    }

    async fn estimate(&self, filter: &Filter) -> Result<Count, StoreError> {
        let reading = Reading::begin(self).await?;
        let answer = query::estimate(&reading, filter).await?;
        reading.end().await?;
        Ok(answer)
    }

    async fn tail(
        &self,
        position: Option<&TailPosition>,
        size: PageSize,
    ) -> Result<Tail, StoreError> {
        let reading = Reading::begin(self).await?;
        let answer = query::tail(&reading, position, size).await?;
        reading.end().await?;
        Ok(answer)
    }
}

impl PgStore {
    /// Returns what [`page`](tower_audit_core::EventReader::page) asks the database for this page: each statement, and
    /// the plan that the database has for it. For whoever wonders why a search is slow.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    pub async fn explain_page(
        &self,
        filter: &Filter,
        seek: Seek,
        size: PageSize,
    ) -> Result<Vec<String>, StoreError> {
        let reading = Reading::begin(self).await?;
        let explained = Explained::new(&reading);
        query::page(&explained, filter, seek, size).await?;
        let plans = explained.into_plans();
        reading.end().await?;
        Ok(plans)
    }
}
