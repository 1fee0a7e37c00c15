//! Windows: so many rows, one after the other.

use tower_audit_core::StoreError;

use super::{Arg, Edge, Source, Sql, clause::Range, plan::Plan};

/// Appends, as a table, the next so many rows on this way.
pub(super) fn push<S: Source>(sql: &mut Sql, source: &S, plan: Plan<'_>, range: Range, rows: i64) {
    sql.push("(SELECT * FROM ")
        .push(source.table())
        .push(" AS t WHERE 1 = 1");
    plan.push::<S>(sql, range);
    plan.push_order::<S>(sql, range);
    sql.push(" LIMIT ").bind(Arg::Number(rows));
    sql.push(") AS t");
}

/// Returns where the window of the next so many rows on this way ends, or `None` if there are not that many.
pub(super) async fn edge<S: Source>(
    source: &S,
    plan: Plan<'_>,
    range: Range,
    rows: i64,
) -> Result<Option<Edge>, StoreError> {
    let sql = statement::<S>(source.table(), plan, range, rows);
    Ok(source.edge(sql).await?.filter(|edge| edge.rows >= rows))
}

/// Returns the statement that asks where the next so many rows in the order of time end, or all of them if there are
/// not that many.
pub(crate) fn edge_of_time<S: Source>(table: &str, range: Range, rows: i64) -> Sql {
    statement::<S>(table, Plan::Time, range, rows)
}

fn statement<S: Source>(table: &str, plan: Plan<'_>, range: Range, rows: i64) -> Sql {
    let mut sql = Sql::new("SELECT amount, ");
    sql.push(S::CREATED_US)
        .push(" AS created_us, id FROM (SELECT created_at, id, count(*) OVER () AS amount FROM (");
    sql.push("SELECT created_at, id FROM ")
        .push(table)
        .push(" AS t WHERE 1 = 1");
    plan.push::<S>(&mut sql, range);
    plan.push_order::<S>(&mut sql, range);
    sql.push(" LIMIT ").bind(Arg::Number(rows));
    sql.push(") AS looked) AS t ORDER BY ");
    range.reversed().push_order(&mut sql);
    sql.push(" LIMIT 1");
    sql
}
