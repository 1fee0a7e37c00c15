//! One event, and pages of them.

use tower_audit_core::{AuditEvent, EventId, Filter, Page, PageSize, Seek, StoreError};

use super::{
    Arg, Source, Sql,
    clause::{self, Range},
    plan::Plan,
    window,
};

/// Returns the event with this id.
pub(crate) async fn get<S: Source>(
    source: &S,
    id: EventId,
) -> Result<Option<AuditEvent>, StoreError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(source.columns())
        .push(" FROM ")
        .push(source.table());
    sql.push(" WHERE id = ").bind(Arg::Id(id.as_uuid()));
    Ok(source.events(sql).await?.pop())
}

/// Returns a page.
pub(crate) async fn page<S: Source>(
    source: &S,
    filter: &Filter,
    seek: Seek,
    size: PageSize,
) -> Result<Page, StoreError> {
    let one_more = usize::from(size.events()) + 1;
    let mut range = Range::new(filter, seek);
    let plan = Plan::choose(source, filter, range).await?;
    let is_direct = match plan {
        Plan::Few(_) => true,
        Plan::Stream(_) | Plan::Time => plan.rest(filter).next().is_none(),
    };
    if is_direct {
        let found = rows(source, filter, plan, range, one_more).await?;
        return Ok(Page::cut(found, seek, size));
    }
    let mut found = Vec::new();
    for size_of_window in WINDOWS {
        let edge = window::edge(source, plan, range, size_of_window).await?;
        let within = edge.map_or(range, |edge| range.up_to(edge.last));
        found.extend(rows(source, filter, plan, within, one_more - found.len()).await?);
        match edge {
            Some(edge) if found.len() < one_more => range = range.beyond(edge.last),
            _ => return Ok(Page::cut(found, seek, size)),
        }
    }
    match range.seek.cursor() {
        Some(at) => Ok(Page::stopped(found, seek, at)),
        None => Ok(Page::cut(found, seek, size)),
    }
}

/// Returns the first rows that pass.
async fn rows<S: Source>(
    source: &S,
    filter: &Filter,
    plan: Plan<'_>,
    range: Range,
    most: usize,
) -> Result<Vec<AuditEvent>, StoreError> {
    let mut sql = Sql::new("");
    if matches!(plan, Plan::Few(_)) {
        // All of them first: who has to return the first ones in order is tempted to go through all rows in order.
        sql.push("WITH few AS MATERIALIZED (SELECT * FROM ")
            .push(source.table())
            .push(" WHERE 1 = 1");
        plan.push::<S>(&mut sql);
        range.push(&mut sql);
        sql.push(") SELECT ")
            .push(source.columns())
            .push(" FROM few WHERE 1 = 1");
    } else {
        sql.push("SELECT ")
            .push(source.columns())
            .push(" FROM ")
            .push(source.table())
            .push(" WHERE 1 = 1");
        plan.push::<S>(&mut sql);
        range.push(&mut sql);
    }
    clause::terms::<S>(&mut sql, plan.rest(filter));
    sql.push(range.order()).push(" LIMIT ");
    sql.bind(Arg::Number(i64::try_from(most).unwrap_or(i64::MAX)));
    source.events(sql).await
}

/// How many rows are looked at for a page of which few pass, a window after the other.
const WINDOWS: [i64; 4] = [500, 2_000, 5_000, 12_500];
