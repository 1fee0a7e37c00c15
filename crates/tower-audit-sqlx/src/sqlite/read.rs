//! Reads events back.

use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, Sqlite};
use tower_audit_core::{
    AuditEvent, Cursor, EventId, EventReader, Filter, Page, PageSize, StoreError,
};

use super::SqliteStore;
use crate::{clause, columns};

impl EventReader for SqliteStore {
    async fn get(&self, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(&self.sql.select);
        query.push(" WHERE id = ").push_bind(id.as_uuid());
        match query.build().fetch_optional(&self.pool).await {
            Ok(row) => row.as_ref().map(columns::event).transpose(),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        size: PageSize,
    ) -> Result<Page, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(&self.sql.select);
        clause::page(&mut query, filter, after, size);
        match query.build().fetch_all(&self.pool).await {
            Ok(rows) => Ok(Page::cut(
                rows.iter().map(columns::event).collect::<Result<_, _>>()?,
                size,
            )),
            Err(error) => Err(self.store_error(error).await),
        }
    }
}

impl columns::Dialect for Sqlite {
    type Time = i64;

    fn time(time: DateTime<Utc>) -> Self::Time {
        time.timestamp_micros()
    }
}
