//! How Postgres writes conditions, and answers statements.

use chrono::DateTime;
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tower_audit_core::{
    AuditEvent, StoreError,
    search::{Field, FieldKind, Match, Term},
    store::TailPosition,
};

use super::{PgStore, error::store_error, json, snapshot};
use crate::{
    columns,
    query::{Arg, Edge, Extras, Group, Source, Sql, end_of, plain},
};

impl Source for PgStore {
    const CREATED_US: &'static str = "(extract(epoch FROM created_at) * 1000000)::int8";

    fn table(&self) -> &str {
        &self.sql.name
    }

    fn columns(&self) -> &str {
        SELECTED
    }

    fn condition(sql: &mut Sql, term: &Term, wanted: &Match) {
        let field = term.field();
        match (field.kind(), wanted) {
            (FieldKind::Json, wanted) => json::condition(sql, term, wanted),
            (_, Match::Prefix(prefix)) if field == Field::Action => {
                // The operators of the index, which compares byte by byte.
                sql.push("(action ~>=~ ").bind(Arg::Text(prefix.clone()));
                if let Some(end) = end_of(prefix) {
                    sql.push(" AND action ~<~ ").bind(Arg::Text(end));
                }
                sql.push(")");
            }
            (_, Match::Prefix(prefix)) => {
                sql.push("starts_with(").push(field.column()).push(", ");
                sql.bind(Arg::Text(prefix.clone())).push(")");
            }
            (_, Match::In(network)) => {
                sql.push(field.column())
                    .push(" <<= ")
                    .bind(Arg::Network(*network));
            }
            _ => plain(sql, field, wanted),
        }
    }

    fn as_text(sql: &mut Sql, field: Field) {
        let column = field.column();
        match field.kind() {
            FieldKind::Address => sql.push("host(").push(column).push(")"),
            FieldKind::Number => sql.push(column).push("::text"),
            _ => sql.push(column),
        };
    }

    async fn extras(&self) -> Result<Extras, StoreError> {
        if let Some(extras) = self.sql.extras.get() {
            return Ok(*extras);
        }
        let (schema, table) = self.name();
        let mut there = [false; 3];
        for (there, name) in there
            .iter_mut()
            .zip(["request_id", "ip_address", "metadata"])
        {
            let index = format!(r#""{}"."idx_{}_{name}""#, schema.as_str(), table.as_str());
            let found = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(index);
            *there = found.fetch_one(&self.pool).await.map_err(store_error)?;
        }
        let [request, address, metadata] = there;
        let extras = Extras {
            request,
            address,
            metadata,
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

    async fn expected(&self, sql: Sql) -> Result<Option<u64>, StoreError> {
        let explain = Sql {
            text: format!("EXPLAIN (FORMAT JSON) {}", sql.text),
            ..sql
        };
        let rows = self.rows(explain).await?;
        // JSON is text, whatever its type.
        let plan = rows
            .first()
            .and_then(|row| row.try_get_unchecked::<String, _>(0).ok());
        let plan: Option<Value> = plan.and_then(|plan| serde_json::from_str(&plan).ok());
        Ok(plan.and_then(|plan| plan.pointer("/0/Plan/Plan Rows")?.as_u64()))
    }

    async fn guess(&self, sql: Sql, most: i64) -> Result<i64, StoreError> {
        let mut tx = self.pool.begin().await.map_err(store_error)?;
        // A GIN index finds all rows before the first. This lets it leave out some where there are many.
        sqlx::query("SELECT set_config('gin_fuzzy_search_limit', $1, true)")
            .bind(most.to_string())
            .execute(&mut *tx)
            .await
            .map_err(store_error)?;
        let count = format!("SELECT count(*) FROM ({} LIMIT {most}) AS few", sql.text);
        let count = bound(count, sql.args).fetch_one(&mut *tx).await;
        let count = count.and_then(|row| row.try_get(0)).map_err(store_error);
        tx.rollback().await.map_err(store_error)?;
        count
    }

    async fn unseen(
        &self,
        position: Option<&TailPosition>,
        most: i64,
    ) -> Result<(TailPosition, Vec<(AuditEvent, u64)>), StoreError> {
        snapshot::unseen(self, position, most).await
    }
}

impl PgStore {
    pub(super) async fn rows(&self, sql: Sql) -> Result<Vec<PgRow>, StoreError> {
        bound(sql.text, sql.args)
            .fetch_all(&self.pool)
            .await
            .map_err(store_error)
    }
}

/// Returns the statement with its values. It is planned for these values: of one that is prepared Postgres forgets
/// them after a while, and plans for the average.
pub(super) fn bound(text: String, args: Vec<Arg>) -> Query<'static, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(text)).persistent(false);
    args.into_iter().fold(query, |query, arg| match arg {
        Arg::Text(text) => query.bind(text),
        Arg::Texts(texts) => query.bind(texts),
        Arg::Number(number) => query.bind(number),
        Arg::Real(number) => query.bind(number),
        Arg::Time(micros) => query.bind(DateTime::from_timestamp_micros(micros)),
        Arg::Id(id) => query.bind(id),
        Arg::Network(network) => query.bind(network),
    })
}

/// In the shape that both dialects read.
pub(super) const SELECTED: &str = "id, actor_id, actor_type, action, target_type, target_id, metadata::text AS metadata, \
     host(ip_address) AS ip_address, user_agent, (extract(epoch FROM created_at) * 1000000)::int8 AS created_at, \
     outcome, reason, status::int8 AS status, method, route, path, duration_us, request_id, trace_id, tenant_id, \
     actor_name, auth_method, credential_id, on_behalf_of, host(peer_address) AS peer_address, service, captured::text AS captured, \
     (extract(epoch FROM recorded_at) * 1000000)::int8 AS recorded_at";
