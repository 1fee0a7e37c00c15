//! One event, and pages of them.

use tower_audit_core::{AuditEvent, Cursor, EventId, Filter, Page, PageSize, Seek, StoreError};

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
    let range = Range::new(filter, seek);
    let streams = Plan::streams::<S>(filter);
    if !streams.is_empty() {
        let found = merged(source, filter, streams, range, one_more).await?;
        return Ok(Page::cut(found, seek, size));
    }
    let plan = Plan::choose(source, filter, range).await?;
    let is_direct = match plan {
        Plan::Few(_) => true,
        Plan::Stream(..) | Plan::Time => plan.rest(filter).next().is_none(),
    };
    if is_direct {
        let found = rows(source, filter, plan, range, one_more).await?;
        return Ok(Page::cut(found, seek, size));
    }
    let (found, stopped_at) = through_windows(source, filter, plan, range, one_more).await?;
    let Some(at) = stopped_at else {
        return Ok(Page::cut(found, seek, size));
    };
    match Plan::gather(source, filter, range).await? {
        Some(plan) => {
            let found = rows(source, filter, plan, range, one_more).await?;
            Ok(Page::cut(found, seek, size))
        }
        None => Ok(Page::stopped(found, seek, at)),
    }
}

/// Returns the first rows of several ways.
async fn merged<S: Source>(
    source: &S,
    filter: &Filter,
    streams: Vec<Plan<'_>>,
    range: Range,
    most: usize,
) -> Result<Vec<AuditEvent>, StoreError> {
    let mut found = Vec::new();
    for stream in streams {
        found.extend(rows(source, filter, stream, range, most).await?);
    }
    found.sort_by_key(Cursor::at);
    if !range.seek.is_forward() {
        found.reverse();
    }
    // A value may be asked for twice.
    found.dedup_by_key(|event| event.id());
    found.truncate(most);
    Ok(found)
}

/// Returns the first rows that pass, and the last that was looked at if there are too many that do not.
async fn through_windows<S: Source>(
    source: &S,
    filter: &Filter,
    plan: Plan<'_>,
    mut range: Range,
    most: usize,
) -> Result<(Vec<AuditEvent>, Option<Cursor>), StoreError> {
    let mut found = Vec::new();
    let [small, large] = S::WINDOWS;
    let windows = match plan {
        // Its rows lie apart, and each is looked up twice.
        Plan::Stream(..) => [small, small],
        _ => [small, large],
    };
    for size in windows {
        let edge = window::edge(source, plan, range, size).await?;
        let room = most - found.len();
        found.extend(match plan {
            Plan::Stream(..) if !S::ENDS_AT_POSITION => {
                first_of(source, filter, plan, range, (size, room)).await?
            }
            _ => {
                let within = edge.map_or(range, |edge| range.up_to(edge.last));
                rows(source, filter, plan, within, room).await?
            }
        });
        match edge {
            Some(edge) if found.len() < most => range = range.beyond(edge.last),
            _ => return Ok((found, None)),
        }
    }
    Ok((found, range.seek.cursor()))
}

/// Returns the first rows that pass of so many that lie on the way.
async fn first_of<S: Source>(
    source: &S,
    filter: &Filter,
    plan: Plan<'_>,
    range: Range,
    (looked, most): (i64, usize),
) -> Result<Vec<AuditEvent>, StoreError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(source.columns()).push(" FROM ");
    window::push(&mut sql, source, plan, range, looked);
    sql.push(" WHERE 1 = 1");
    clause::terms::<S>(&mut sql, plan.rest(filter));
    plan.push_order::<S>(&mut sql, range);
    sql.push(" LIMIT ");
    sql.bind(Arg::Number(i64::try_from(most).unwrap_or(i64::MAX)));
    source.events(sql).await
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
            .push(" AS t WHERE 1 = 1");
        plan.push::<S>(&mut sql, range);
        sql.push(") SELECT ")
            .push(source.columns())
            .push(" FROM few AS t WHERE 1 = 1");
    } else {
        sql.push("SELECT ")
            .push(source.columns())
            .push(" FROM ")
            .push(source.table())
            .push(" AS t WHERE 1 = 1");
        plan.push::<S>(&mut sql, range);
    }
    clause::terms::<S>(&mut sql, plan.rest(filter));
    plan.push_order::<S>(&mut sql, range);
    sql.push(" LIMIT ");
    sql.bind(Arg::Number(i64::try_from(most).unwrap_or(i64::MAX)));
    source.events(sql).await
}
