//! The WHERE clause of a page.

use chrono::{DateTime, Utc};
use sqlx::{Encode, QueryBuilder, Type};
use tower_audit_core::{Cursor, Filter, PageSize};
use uuid::Uuid;

use crate::columns::Dialect;

/// Appends the clauses of the filter, the position of the cursor and the order to a query that ends
/// with its table. Asks for one row more than the page holds: it tells that there is a next page.
pub(crate) fn page<DB: Dialect>(
    query: &mut QueryBuilder<DB>,
    filter: &Filter,
    after: Option<&Cursor>,
    size: PageSize,
) where
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    query.push(" WHERE 1 = 1");
    let texts = [
        (" AND actor_id = ", filter.actor_id.clone()),
        (
            " AND actor_type = ",
            filter.actor_kind.map(|kind| kind.as_str().to_owned()),
        ),
        (" AND target_type = ", filter.target_kind.clone()),
        (" AND target_id = ", filter.target_id.clone()),
        (" AND action = ", filter.action.clone()),
        (
            " AND outcome = ",
            filter.outcome.map(|outcome| outcome.as_str().to_owned()),
        ),
        (" AND tenant_id = ", filter.tenant_id.clone()),
    ];
    for (clause, text) in texts {
        if let Some(text) = text {
            query.push(clause).push_bind(text);
        }
    }
    let times: [(&str, Option<DateTime<Utc>>); 2] = [
        (" AND created_at >= ", filter.from),
        (" AND created_at < ", filter.until),
    ];
    for (clause, time) in times {
        if let Some(time) = time {
            query.push(clause).push_bind(DB::time(time));
        }
    }
    if let Some(cursor) = after {
        query
            .push(" AND (created_at, id) < (")
            .push_bind(DB::time(cursor.created_at()));
        query.push(", ").push_bind(cursor.id().as_uuid()).push(")");
    }
    query
        .push(" ORDER BY created_at DESC, id DESC LIMIT ")
        .push_bind(i64::from(size.events()) + 1);
}
