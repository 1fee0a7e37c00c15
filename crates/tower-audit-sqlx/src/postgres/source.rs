//! How Postgres writes conditions, and answers statements.

use serde_json::Value;
use sqlx::Row as _;
use tower_audit_core::{
    AuditEvent, StoreError,
    search::{Field, FieldKind, Match, Term},
    store::TailPosition,
};

use super::{error::store_error, json, reading::Reading, snapshot};
use crate::{
    columns,
    query::{Arg, Edge, Extras, Group, Plans, Source, Sql, end_of, plain},
};

impl Source for Reading<'_> {
    const CREATED_US: &'static str = "(extract(epoch FROM created_at) * 1000000)::int8";

    // It knows how many rows lie in a window.
    const UNINDEXED: &'static str = "";
    const FINDS_NETWORKS: bool = true;

    // The value lies between two others, see `stream`; and a question is of one moment, see `Reading`.
    const ENDS_AT_POSITION: bool = false;
    const WINDOWS: [i64; 2] = [500, 1_500];
    const COUNTED: [i64; 2] = [100_000, 20_000];

    fn table(&self) -> &str {
        &self.store.sql.name
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
                sql.push("starts_with(").column(field.column()).push(", ");
                sql.bind(Arg::Text(prefix.clone())).push(")");
            }
            (_, Match::In(network)) => {
                sql.column(field.column())
                    .push(" <<= ")
                    .bind(Arg::Network(*network));
            }
            _ => plain(sql, field, wanted),
        }
    }

    fn stream(sql: &mut Sql, field: Field, exact: &str) {
        // Of a value that is frequent, Postgres takes rows in the order of time for as long as it finds none, which may be
        // all of them. So the index is the only one that fits: what must be equal is not said to be so, but to lie
        // between, and is a part of the order.
        let (least, most) = match field {
            Field::Action => (" ~>=~ ", " ~<=~ "),
            _ => (" >= ", " <= "),
        };
        for operator in [least, most] {
            sql.push(" AND t.").push(field.column()).push(operator);
            sql.bind(Arg::Text(exact.to_owned()));
        }
        if field == Field::Outcome {
            sql.push(" AND t.outcome <> 'success'");
        }
    }

    fn stream_order(sql: &mut Sql, field: Field, is_forward: bool) {
        sql.push("t.")
            .push(field.column())
            .push(match (field, is_forward) {
                (Field::Action, false) => " USING ~<~, ",
                (Field::Action, true) => " USING ~>~, ",
                (_, false) => ", ",
                (_, true) => " DESC, ",
            });
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
        if let Some(extras) = self.store.sql.extras.get() {
            return Ok(*extras);
        }
        let (schema, table) = self.store.name();
        let index = |name| format!(r#""{}"."idx_{}_{name}""#, schema.as_str(), table.as_str());
        let mut sql = Sql::new("SELECT ");
        for (n, name) in ["request_id", "ip_address", "metadata"]
            .into_iter()
            .enumerate()
        {
            sql.push(if n == 0 {
                "to_regclass("
            } else {
                ", to_regclass("
            });
            sql.bind(Arg::Text(index(name))).push(") IS NOT NULL");
        }
        let rows = self.rows(sql).await?;
        let is_there = |n: usize| {
            rows.first()
                .and_then(|row| row.try_get(n).ok())
                .unwrap_or(false)
        };
        let extras = Extras {
            request: is_there(0),
            address: is_there(1),
            metadata: is_there(2),
        };
        Ok(*self.store.sql.extras.get_or_init(|| extras))
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
        // A GIN index finds all rows before the first. This lets it leave out some where there are many.
        self.leave_out_beyond(most).await?;
        let count = Sql {
            text: format!("SELECT count(*) FROM ({} LIMIT {most}) AS few", sql.text),
            ..sql
        };
        let rows = self.rows(count).await?;
        self.leave_out_beyond(0).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get(0));
        count.map_err(store_error)
    }

    async fn unseen(
        &self,
        position: Option<&TailPosition>,
        most: i64,
    ) -> Result<(TailPosition, Vec<(AuditEvent, u64)>), StoreError> {
        snapshot::unseen(self, position, most).await
    }
}

impl Plans for Reading<'_> {
    async fn plan(&self, sql: Sql) -> Result<String, StoreError> {
        let explain = Sql {
            text: format!("EXPLAIN {}", sql.text),
            ..sql
        };
        let rows = self.rows(explain).await?;
        let lines = rows.iter().filter_map(|row| row.try_get(0).ok());
        Ok(lines.collect::<Vec<String>>().join("\n"))
    }
}

/// In the shape that both dialects read.
pub(super) const SELECTED: &str = "id, actor_id, actor_type, action, target_type, target_id, metadata::text AS metadata, \
     host(ip_address) AS ip_address, user_agent, (extract(epoch FROM created_at) * 1000000)::int8 AS created_at, \
     outcome, reason, status::int8 AS status, method, route, path, duration_us, request_id, trace_id, tenant_id, \
     actor_name, auth_method, credential_id, on_behalf_of, host(peer_address) AS peer_address, service, captured::text AS captured, \
     (extract(epoch FROM recorded_at) * 1000000)::int8 AS recorded_at";
