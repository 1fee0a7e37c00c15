//! Reads events back.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use tower_audit_core::{
    AuditEvent, Cursor, EventId, EventReader, Filter, Page, PageSize, StoreError,
};

use super::{PgStore, error::store_error};
use crate::{clause, columns};

impl EventReader for PgStore {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new(&self.sql.select);
        query.push(" WHERE id = ").push_bind(id.as_uuid());
        let row = query
            .build()
            .fetch_optional(&self.pool)
            .await
            .map_err(store_error)?;
        row.as_ref().map(columns::event).transpose()
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        size: PageSize,
    ) -> Result<Page, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new(&self.sql.select);
        clause::page(&mut query, filter, after, size);
        let rows = query
            .build()
            .fetch_all(&self.pool)
            .await
            .map_err(store_error)?;
        let events = rows.iter().map(columns::event).collect::<Result<_, _>>()?;
        Ok(Page::cut(events, size))
    }
}

impl columns::Dialect for Postgres {
    type Time = DateTime<Utc>;

    fn time(time: DateTime<Utc>) -> Self::Time {
        time
    }
}
