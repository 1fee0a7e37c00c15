//! Answers in numbers.

use chrono::{DateTime, Utc};
use tower_audit_core::{
    Filter, Outcome, PageSize, Seek, StoreError,
    search::{Field, Span},
    store::{Buckets, Count, Histogram, Top, TopValue, can_be_grouped},
};

use super::{
    Arg, Source, Sql,
    clause::{self, Range},
    plan::Plan,
    window,
};

/// Counts by time and outcome.
pub(crate) async fn histogram<S: Source>(
    source: &S,
    filter: &Filter,
    buckets: Buckets,
) -> Result<Histogram, StoreError> {
    let mut range = Range::new(filter, Seek::Newest);
    range.created = range.created.and(Span {
        from: Some(buckets.from_us()),
        until: Some(buckets.until_us()),
    });
    let counted = Counted::choose(source, filter, range).await?;
    let mut sql = Sql::new("SELECT outcome AS label, (");
    sql.push(S::CREATED_US)
        .push(" - ")
        .bind(Arg::Number(buckets.from_us()));
    sql.push(") / ")
        .bind(Arg::Number(buckets.width_us()))
        .push(" AS number, count(*) AS amount FROM ");
    counted.push(source, filter, &mut sql);
    sql.push(" GROUP BY 1, 2");
    let mut histogram = Histogram::empty(buckets);
    for group in source.groups(sql).await? {
        let outcome = group.label.and_then(|text| text.parse::<Outcome>().ok());
        let bucket = group.number.and_then(|number| usize::try_from(number).ok());
        if let (Some(outcome), Some(bucket)) = (outcome, bucket) {
            histogram.add(bucket, outcome, amount(group.amount));
        }
    }
    histogram.counted_from = counted.from;
    Ok(histogram)
}

/// Counts by the value of a field.
pub(crate) async fn top<S: Source>(
    source: &S,
    filter: &Filter,
    field: Field,
    size: PageSize,
) -> Result<Top, StoreError> {
    if !can_be_grouped(field) {
        return Ok(Top::new(Vec::new(), None));
    }
    let counted = Counted::choose(source, filter, Range::new(filter, Seek::Newest)).await?;
    let mut sql = Sql::new("SELECT ");
    S::as_text(&mut sql, field);
    sql.push(" AS label, CAST(NULL AS bigint) AS number, count(*) AS amount FROM ");
    counted.push(source, filter, &mut sql);
    sql.push(" AND ")
        .push(S::UNINDEXED)
        .push(field.column())
        .push(" IS NOT NULL GROUP BY 1 ORDER BY amount DESC, label LIMIT ");
    sql.bind(Arg::Number(size.events().into()));
    let groups = source.groups(sql).await?.into_iter();
    let values = groups.filter_map(|group| Some(TopValue::new(group.label?, amount(group.amount))));
    Ok(Top::new(values.collect(), counted.from))
}

/// Returns roughly how many pass.
pub(crate) async fn estimate<S: Source>(source: &S, filter: &Filter) -> Result<Count, StoreError> {
    let counted = Counted::choose(source, filter, Range::new(filter, Seek::Newest)).await?;
    if counted.from.is_some() {
        let mut sql = Sql::new("SELECT id FROM ");
        sql.push(source.table()).push(" AS t WHERE 1 = 1");
        Range::new(filter, Seek::Newest).push(&mut sql);
        clause::terms::<S>(&mut sql, filter.terms());
        if let Some(expected) = source.expected(sql).await? {
            return Ok(Count::About(expected));
        }
    }
    let mut sql = Sql::new(
        "SELECT CAST(NULL AS text) AS label, CAST(NULL AS bigint) AS number, count(*) AS amount FROM ",
    );
    counted.push(source, filter, &mut sql);
    let found = source
        .groups(sql)
        .await?
        .first()
        .map_or(0, |group| amount(group.amount));
    Ok(match counted.from {
        None => Count::Exactly(found),
        Some(_) => Count::AtLeast(found),
    })
}

/// The rows that are counted: all that can pass or, where those are many, the newest.
struct Counted<'a> {
    plan: Plan<'a>,
    /// Where all that can pass are.
    all: Range,
    range: Range,
    /// The moment back to which they are, if that is not all.
    from: Option<DateTime<Utc>>,
}

impl<'a> Counted<'a> {
    async fn choose<S: Source>(
        source: &S,
        filter: &'a Filter,
        range: Range,
    ) -> Result<Self, StoreError> {
        let mut plan = Plan::choose(source, filter, range).await?;
        if let Plan::Stream(..) | Plan::Time = plan
            && let Some(few) = Plan::gather(source, filter, range).await?
        {
            plan = few;
        }
        let [in_order, apart] = S::COUNTED;
        let edge = match plan {
            Plan::Few(_) => None,
            Plan::Stream(..) => window::edge(source, plan, range, apart).await?,
            Plan::Time => window::edge(source, plan, range, in_order).await?,
        };
        Ok(Self {
            plan,
            all: range,
            range: edge.map_or(range, |edge| range.up_to(edge.last)),
            from: edge.map(|edge| edge.last.created_at()),
        })
    }

    /// Appends the table and the conditions.
    fn push<S: Source>(&self, source: &S, filter: &Filter, sql: &mut Sql) {
        if matches!(self.plan, Plan::Stream(..)) && self.from.is_some() && !S::ENDS_AT_POSITION {
            let [_, apart] = S::COUNTED;
            window::push(sql, source, self.plan, self.all, apart);
            sql.push(" WHERE 1 = 1");
        } else {
            sql.push(source.table()).push(" AS t WHERE 1 = 1");
            self.plan.push::<S>(sql, self.range);
        }
        clause::terms::<S>(sql, self.plan.rest(filter));
    }
}

/// Returns a count, which is never negative.
fn amount(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
