//! Pages of changes.

use chrono::DateTime;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder};
use tower_audit_core::{
    PageSize, StoreError,
    changes::{ChangeCursor, ChangeFilter, ChangePage, ChangeReader, RowChange, TableName},
};
use uuid::Uuid;

use super::row::{COLUMNS, read};
use crate::{History, HistoryError, names::Names};

impl ChangeReader for History {
    async fn changes(
        &self,
        filter: &ChangeFilter,
        older_than: Option<ChangeCursor>,
        size: PageSize,
    ) -> Result<ChangePage, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(HistoryError::from)?;
        let size = usize::from(size.events());
        let found = page(
            &mut connection,
            &self.names,
            filter,
            Way::Back(older_than),
            size + 1,
        )
        .await?;
        Ok(ChangePage::cut(found, size))
    }
}

impl History {
    /// Returns the change with this id; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] otherwise.
    pub async fn change(&self, id: Uuid) -> Result<Option<RowChange>, HistoryError> {
        let mut connection = self.pool.acquire().await?;
        self.change_on(&mut connection, id).await
    }

    pub(crate) async fn change_on(
        &self,
        connection: &mut PgConnection,
        id: Uuid,
    ) -> Result<Option<RowChange>, HistoryError> {
        one(connection, &self.names, id).await
    }
}

/// Returns a change. Its id says, to a millisecond, when it was made.
async fn one(
    connection: &mut PgConnection,
    names: &Names,
    id: Uuid,
) -> Result<Option<RowChange>, HistoryError> {
    let Some((seconds, nanos)) = id.get_timestamp().map(|time| time.to_unix()) else {
        return Ok(None);
    };
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let Some(near) = DateTime::from_timestamp(seconds, nanos) else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE id = $1 AND at BETWEEN $2::timestamptz - interval '1 minute' AND $2 + interval '1 minute'",
        names.quoted("")
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(near);
    let row = row.fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Which changes come first, and after which they begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// The newest first.
    Back(Option<ChangeCursor>),
    /// The oldest first.
    On(Option<ChangeCursor>),
}

/// Returns the first changes that pass, at most so many.
pub(super) async fn page(
    connection: &mut PgConnection,
    names: &Names,
    filter: &ChangeFilter,
    way: Way,
    limit: usize,
) -> Result<Vec<RowChange>, HistoryError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut sql = QueryBuilder::new("");
    if filter.key().is_some() {
        // No index finds a row by both of its keys.
        sql.push("SELECT * FROM ((");
        select(&mut sql, names, filter, Some("key"), way, limit);
        sql.push(") UNION ALL (");
        select(&mut sql, names, filter, Some("old_key"), way, limit);
        sql.push(")) AS c");
        sql.push(way.order()).push_bind(limit);
    } else {
        select(&mut sql, names, filter, None, way, limit);
    }
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// Adds a query for changes, of which this column has the key.
fn select(
    sql: &mut QueryBuilder<Postgres>,
    names: &Names,
    filter: &ChangeFilter,
    key: Option<&'static str>,
    way: Way,
    limit: i64,
) {
    sql.push(format!(
        "SELECT {COLUMNS} FROM {} WHERE true",
        names.quoted("")
    ));
    if let Some(table) = filter.table_name() {
        sql.push(" AND table_schema = ")
            .push_bind(table.schema().to_owned());
        sql.push(" AND table_name = ")
            .push_bind(table.table().to_owned());
        if let (Some(column), Some(key)) = (key, filter.key()) {
            has_key(sql, table, column, key);
        }
    }
    conditions(sql, filter);
    way.conditions(sql);
    sql.push(way.order()).push_bind(limit);
}

fn conditions(sql: &mut QueryBuilder<Postgres>, filter: &ChangeFilter) {
    if let Some(event) = filter.event_id() {
        sql.push(" AND audit_id = ").push_bind(event.as_uuid());
    }
    let texts = [
        ("request_id", filter.request_id()),
        ("actor_id", filter.actor_id()),
        ("tenant_id", filter.tenant_id()),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            sql.push(format!(" AND {column} = "))
                .push_bind(text.to_owned());
        }
    }
    let (since, until) = filter.times();
    if let Some(since) = since {
        sql.push(" AND at >= ").push_bind(since);
    }
    if let Some(until) = until {
        sql.push(" AND at < ").push_bind(until);
    }
}

impl Way {
    fn conditions(self, sql: &mut QueryBuilder<Postgres>) {
        let (begin, cursor) = match self {
            Self::Back(cursor) => (" AND (at, id) < (", cursor),
            Self::On(cursor) => (" AND (at, id) > (", cursor),
        };
        if let Some(cursor) = cursor {
            sql.push(begin).push_bind(cursor.at());
            sql.push(", ").push_bind(cursor.id()).push(")");
        }
    }

    fn order(self) -> &'static str {
        match self {
            Self::Back(_) => " ORDER BY at DESC, id DESC LIMIT ",
            Self::On(_) => " ORDER BY at, id LIMIT ",
        }
    }
}

/// Adds the condition that a row has this key, as the index has it: by its hash, and then by itself.
fn has_key(sql: &mut QueryBuilder<Postgres>, table: &TableName, column: &'static str, key: &Value) {
    sql.push(format!(
        " AND {column} IS NOT NULL AND hashtextextended(table_name, jsonb_hash_extended({column}, 0)) = hashtextextended("
    ));
    sql.push_bind(table.table().to_owned());
    sql.push(", jsonb_hash_extended(").push_bind(key.clone());
    sql.push(format!("::jsonb, 0)) AND {column} = "));
    sql.push_bind(key.clone());
}
