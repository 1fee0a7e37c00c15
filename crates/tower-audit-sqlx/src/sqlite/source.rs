//! How SQLite writes conditions, and answers statements.

use std::{cmp::Ordering, net::IpAddr};

use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Row as _, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tower_audit_core::{
    AuditEvent, Filter, PageSize, Seek, StoreError,
    search::{Field, FieldKind, Match, Term},
    store::TailPosition,
};

use super::{SqliteStore, json};
use crate::{
    columns,
    query::{self, Arg, Edge, Explained, Extras, Group, Plans, Source, Sql, end_of, plain},
};

impl Source for SqliteStore {
    const CREATED_US: &'static str = "created_at";

    const UNINDEXED: &'static str = "+";
    const FINDS_NETWORKS: bool = false;
    const ENDS_AT_POSITION: bool = true;
    const WINDOWS: [i64; 2] = [350, 1_000];
    const COUNTED: [i64; 2] = [25_000, 5_000];

    fn table(&self) -> &str {
        &self.sql.name
    }

    fn columns(&self) -> &str {
        &self.sql.selected
    }

    fn condition(sql: &mut Sql, term: &Term, wanted: &Match) {
        let field = term.field();
        match (field.kind(), wanted) {
            (FieldKind::Json, wanted) => json::condition(sql, term, wanted),
            (_, Match::Prefix(prefix)) => {
                // Text is compared byte by byte.
                sql.push("(")
                    .column(field.column())
                    .push(" >= ")
                    .bind(Arg::Text(prefix.clone()));
                if let Some(end) = end_of(prefix) {
                    sql.push(" AND ")
                        .column(field.column())
                        .push(" < ")
                        .bind(Arg::Text(end));
                }
                sql.push(")");
            }
            (_, Match::In(network)) => {
                let (first, last) = (network.network(), network.broadcast());
                sql.column(field.column());
                if first == last {
                    sql.push(" = ").bind(Arg::Text(first.to_string()));
                } else {
                    sql.compares_addresses = true;
                    sql.push(" COLLATE ").push(COLLATION).push(" BETWEEN ");
                    sql.bind(Arg::Text(first.to_string())).push(" AND ");
                    sql.bind(Arg::Text(last.to_string()));
                }
            }
            _ => plain(sql, field, wanted),
        }
    }

    fn stream(sql: &mut Sql, field: Field, exact: &str) {
        // By itself it prefers an index that has the rows in order to one that has not.
        sql.push(" AND ").push(field.column()).push(" = ");
        sql.bind(Arg::Text(exact.to_owned()));
        if field == Field::Outcome {
            // That is what its index has, and what SQLite has to read to know it.
            sql.push(" AND outcome <> 'success'");
        }
    }

    fn stream_order(sql: &mut Sql, field: Field, is_forward: bool) {
        sql.push("t.").push(field.column());
        sql.push(if is_forward { " DESC, " } else { ", " });
    }

    fn as_text(sql: &mut Sql, field: Field) {
        match field.kind() {
            FieldKind::Number => sql.push("CAST(").push(field.column()).push(" AS text)"),
            // It would walk through all of an index that has the values in order, rather than sort the few that are counted.
            _ => sql.push(Self::UNINDEXED).push(field.column()),
        };
    }

    async fn extras(&self) -> Result<Extras, StoreError> {
        if let Some(extras) = self.sql.extras.get() {
            return Ok(*extras);
        }
        let table = self.name().as_str();
        let mut there = [false; 2];
        for (there, name) in there.iter_mut().zip(["request_id", "ip_address"]) {
            let found = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = $1)",
            );
            let found = found
                .bind(format!("idx_{table}_{name}"))
                .fetch_one(&self.pool)
                .await;
            *there = match found {
                Ok(there) => there,
                Err(error) => return Err(self.store_error(error).await),
            };
        }
        let [request, address] = there;
        let extras = Extras {
            request,
            address,
            metadata: false,
        };
        Ok(*self.sql.extras.get_or_init(|| extras))
    }

    async fn events(&self, sql: Sql) -> Result<Vec<AuditEvent>, StoreError> {
        let rows = self.rows(sql).await?;
        rows.iter().map(columns::event).collect()
    }

    async fn edge(&self, sql: Sql) -> Result<Option<Edge>, StoreError> {
        let rows = self.rows(sql).await?;
        rows.first().map(columns::edge).transpose()
    }

    async fn groups(&self, sql: Sql) -> Result<Vec<Group>, StoreError> {
        let rows = self.rows(sql).await?;
        rows.iter().map(columns::group).collect()
    }

    async fn expected(&self, _sql: Sql) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn guess(&self, _sql: Sql, most: i64) -> Result<i64, StoreError> {
        // There is no such index.
        Ok(most)
    }

    async fn unseen(
        &self,
        position: Option<&TailPosition>,
        most: i64,
    ) -> Result<(TailPosition, Vec<(AuditEvent, u64)>), StoreError> {
        let mut sql = Sql::new("SELECT (SELECT coalesce(max(write_order), 0) + 1 FROM ");
        sql.push(self.table())
            .push(" WHERE write_order IS NOT NULL) AS next, rows.* FROM (SELECT 1) AS one LEFT JOIN (SELECT ");
        sql.push(self.columns())
            .push(", write_order FROM ")
            .push(self.table())
            .push(" WHERE ");
        match position.map(|position| (position, position.within())) {
            None => sql.push("false"),
            Some((_, Some((within, last)))) => {
                sql.push("write_order = ")
                    .bind(number(within))
                    .push(" AND id > ");
                sql.bind(Arg::Id(last.as_uuid()))
            }
            // Each write waits for the one before, so none is open.
            Some((position, None)) => sql.push("write_order >= ").bind(number(position.next())),
        };
        sql.push(" ORDER BY write_order, id LIMIT ")
            .bind(Arg::Number(most))
            .push(") AS rows ON true");
        let rows = self.rows(sql).await?;
        let next: i64 = match rows.first().map(|row| row.try_get("next")) {
            Some(Ok(next)) => next,
            Some(Err(error)) => return Err(self.store_error(error).await),
            None => 0,
        };
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let number: Option<i64> = row.try_get("write_order").unwrap_or_default();
            if let Some(number) = number.and_then(|number| u64::try_from(number).ok()) {
                found.push((columns::event(row)?, number));
            }
        }
        Ok((
            TailPosition::new(u64::try_from(next).unwrap_or(0), []),
            found,
        ))
    }
}

impl Plans for SqliteStore {
    async fn plan(&self, sql: Sql) -> Result<String, StoreError> {
        let explain = Sql {
            text: format!("EXPLAIN QUERY PLAN {}", sql.text),
            ..sql
        };
        let rows = self.rows(explain).await?;
        let lines = rows.iter().filter_map(|row| row.try_get("detail").ok());
        Ok(lines.collect::<Vec<String>>().join("\n"))
    }
}

impl SqliteStore {
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
        let explained = Explained::new(self);
        query::page(&explained, filter, seek, size).await?;
        Ok(explained.into_plans())
    }

    async fn rows(&self, sql: Sql) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = async {
            let mut connection = self.pool.acquire().await?;
            rows(&mut connection, sql).await
        };
        match rows.await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.store_error(error).await),
        }
    }
}

/// Returns the rows of a statement.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    sql: Sql,
) -> sqlx::Result<Vec<SqliteRow>> {
    if sql.compares_addresses {
        let mut handle = connection.lock_handle().await?;
        handle.create_collation(COLLATION, compare)?;
    }
    bound(sql.text, sql.args).fetch_all(connection).await
}

/// Compares addresses by their value, and what is none after all of them.
fn compare(one: &str, two: &str) -> Ordering {
    let parse = |text: &str| text.parse::<IpAddr>().ok();
    match (parse(one), parse(two)) {
        (Some(one), Some(two)) => one.cmp(&two),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(two),
    }
}

fn number(number: u64) -> Arg {
    Arg::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

fn bound(text: String, args: Vec<Arg>) -> Query<'static, Sqlite, SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(text)).persistent(false);
    args.into_iter().fold(query, |query, arg| match arg {
        Arg::Text(text) => query.bind(text),
        Arg::Texts(texts) => query.bind(Value::from(texts).to_string()),
        Arg::Number(number) | Arg::Time(number) => query.bind(number),
        Arg::Real(number) => query.bind(number),
        Arg::Id(id) => query.bind(id),
        Arg::Network(network) => query.bind(network.to_string()),
    })
}

const COLLATION: &str = "tower_audit_address";
