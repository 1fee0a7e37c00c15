//! A run: drops partitions, and then goes through the rows from the oldest on.

use std::time::Instant;

use chrono::{DateTime, Utc};
use tower_audit_core::{
    AuditEvent, Cursor, Seek, StoreError,
    retention::{RetentionPolicy, RetentionReport, RuleReport},
    search::Span,
};

use super::{
    Database, Dropped, Due, Lease, Retention, RetentionError, Run, event, floor,
    holds::holds,
    lease::{self, Asked},
};
use crate::query::{Range, Sql, edge_of_time};

/// Runs now.
pub(super) async fn now<S: Database>(
    store: &S,
    retention: &Retention,
) -> Result<RetentionReport, RetentionError> {
    let report = once(store, retention, None).await?;
    // Nobody has run for no time.
    report.ok_or(RetentionError::LeaseLost)
}

/// Runs for this time, unless somebody has.
pub(super) async fn scheduled<S: Database>(
    store: &S,
    retention: &Retention,
    time: DateTime<Utc>,
) -> Result<Option<RetentionReport>, RetentionError> {
    once(store, retention, Some(time)).await
}

async fn once<S: Database>(
    store: &S,
    retention: &Retention,
    time: Option<DateTime<Utc>>,
) -> Result<Option<RetentionReport>, RetentionError> {
    let settings = &retention.settings;
    let asked = Lease::ask(store, &settings.holder, settings.lease, time);
    match asked.await? {
        Asked::Taken(lease) => with(store, retention, &lease, time).await.map(Some),
        Asked::Busy { holder, until } => Err(RetentionError::Busy { holder, until }),
        Asked::Done => Ok(None),
    }
}

/// Runs with the lease, and gives it back.
async fn with<S: Database>(
    store: &S,
    retention: &Retention,
    lease: &Lease,
    scheduled_for: Option<DateTime<Utc>>,
) -> Result<RetentionReport, RetentionError> {
    let Retention {
        policy, settings, ..
    } = retention;
    let (name, _) = store.table_and("");
    let begun = event::begin(settings.actor.clone(), &plain(&name), policy);
    if let Err(error) = begin(store, policy, &begun).await {
        // Nothing was done: whoever comes next need not wait.
        lease.release(store, lease.resume_at, None).await?;
        return Err(error);
    }
    let mut walk = Walk::new(store, retention, Some(lease), lease.taken_at);
    let result = walk.through(lease.resume_at).await;
    let stopped_at = walk.stopped_at;
    let report = walk.into_report();
    let end = event::end(&begun, policy, &report, result.as_ref().err());
    let recorded = store.append(&[end]).await;
    // What failed is tried again.
    let done_for = scheduled_for.filter(|_| result.is_ok());
    let released = lease.release(store, stopped_at, done_for).await;
    result?;
    recorded?;
    released?;
    Ok(report)
}

/// Does what comes before the first row goes.
async fn begin<S: Database>(
    store: &S,
    policy: &RetentionPolicy,
    begun: &AuditEvent,
) -> Result<(), RetentionError> {
    floor::check(store, policy.shortest()).await?;
    store.make_room().await?;
    Ok(store.append(std::slice::from_ref(begun)).await?)
}

/// Returns the name of a table without its quotes.
pub(super) fn plain(quoted: &str) -> String {
    quoted.replace('"', "")
}

/// Says what a run would do.
pub(super) async fn dry<S: Database>(
    store: &S,
    retention: &Retention,
) -> Result<RetentionReport, RetentionError> {
    floor::check(store, retention.policy.shortest()).await?;
    let mut tx = store.begin().await?;
    let now = lease::now(store, &mut tx).await?;
    store.commit(tx).await?;
    let mut walk = Walk::new(store, retention, None, now);
    walk.through(None).await?;
    Ok(walk.into_report())
}

/// A way through the rows.
struct Walk<'a, S> {
    store: &'a S,
    retention: &'a Retention,
    lease: Option<&'a Lease>,
    now: DateTime<Utc>,
    started: Instant,
    report: Vec<RuleReport>,
    dropped: Vec<Dropped>,
    held: u64,
    examined: u64,
    /// Where the time was over.
    stopped_at: Option<DateTime<Utc>>,
}

impl<'a, S: Database> Walk<'a, S> {
    fn new(
        store: &'a S,
        retention: &'a Retention,
        lease: Option<&'a Lease>,
        now: DateTime<Utc>,
    ) -> Self {
        let policy = &retention.policy;
        let rules = policy.rules().iter();
        let rules = rules.map(|rule| RuleReport::new(rule.filter.to_string(), rule.keep));
        let default = RuleReport::new("default".to_owned(), policy.default_keep());
        Self {
            store,
            retention,
            lease,
            now,
            started: Instant::now(),
            report: rules.chain([default]).collect(),
            dropped: Vec::new(),
            held: 0,
            examined: 0,
            stopped_at: None,
        }
    }

    /// Goes through all rows that may be due, from a moment on.
    async fn through(&mut self, from: Option<DateTime<Utc>>) -> Result<(), RetentionError> {
        let (store, policy) = (self.store, &self.retention.policy);
        let Some(cutoff) = policy.shortest().cutoff(self.now) else {
            return Ok(());
        };
        let run = Run {
            policy,
            now: self.now,
            cutoff,
            lease: self.lease,
        };
        self.dropped = store.drop_partitions(&run).await?;
        for span in between(&self.dropped, from, cutoff) {
            self.span(span, cutoff).await?;
            if self.stopped_at.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Goes through the rows of a time.
    async fn span(&mut self, span: Span, cutoff: DateTime<Utc>) -> Result<(), RetentionError> {
        let settings = &self.retention.settings;
        let mut seek = Seek::Oldest;
        loop {
            let before = self.deleted();
            let Some(last) = self.window(span, seek, cutoff).await? else {
                return Ok(());
            };
            seek = Seek::NewerThan(last);
            if self.started.elapsed() >= settings.budget {
                self.stopped_at = Some(last.created_at());
                return Ok(());
            }
            if self.lease.is_some() && self.deleted() > before {
                tokio::time::sleep(settings.pause).await;
            }
        }
    }

    /// Looks at the next rows, and deletes those that are due; returns the last of them, if there may be more.
    async fn window(
        &mut self,
        span: Span,
        seek: Seek,
        cutoff: DateTime<Utc>,
    ) -> Result<Option<Cursor>, RetentionError> {
        let Retention {
            policy, settings, ..
        } = self.retention;
        let store = self.store;
        let batch = i64::from(settings.batch.unwrap_or(S::BATCH));
        let mut tx = store.begin().await?;
        if let Some(lease) = self.lease {
            lease.renew(store, &mut tx).await?;
            store.delete_before(&mut tx, cutoff).await?;
        }
        let held = holds(store, &mut tx).await?;
        let range = Range {
            created: span,
            seek,
            last: None,
        };
        let (table, _) = store.table_and("");
        let edge = edge_of_time::<S::Dialect>(&table, range, batch);
        let Some(edge) = store.edge(&mut tx, edge).await? else {
            store.commit(tx).await?;
            return Ok(None);
        };
        let due = Due {
            policy,
            holds: &held,
            now: self.now,
        };
        self.look(&mut tx, due, range.up_to(edge.last)).await?;
        store.commit(tx).await?;
        self.examined += u64::try_from(edge.rows).unwrap_or(0);
        Ok(Some(edge.last).filter(|_| edge.rows >= batch))
    }

    /// Looks at these rows, and counts what is due of them.
    async fn look(
        &mut self,
        tx: &mut S::Tx,
        due: Due<'_>,
        rows: Range,
    ) -> Result<(), RetentionError> {
        if !due.holds.is_empty() {
            self.held += count_held(self.store, tx, due, rows).await?;
        }
        let rules = match self.lease {
            Some(_) => delete(self.store, tx, due, rows).await?,
            None => count(self.store, tx, due, rows).await?,
        };
        for (rule, rows) in rules {
            if let Some(report) = self.report.get_mut(rule) {
                report.deleted += rows;
            }
        }
        Ok(())
    }

    fn deleted(&self) -> u64 {
        self.report.iter().map(|rule| rule.deleted).sum()
    }

    fn into_report(self) -> RetentionReport {
        let dropped = self.dropped.iter().map(|partition| partition.rows).sum();
        let mut report = RetentionReport::new(self.now, self.report);
        report.deleted += dropped;
        report.dropped = dropped;
        report.partitions = self
            .dropped
            .into_iter()
            .map(|dropped| dropped.name)
            .collect();
        report.held = self.held;
        report.examined = self.examined;
        report.is_complete = self.stopped_at.is_none();
        report.took = self.started.elapsed();
        report
    }
}

/// Returns the times to go through: all but those of partitions that are gone, or would be.
fn between(dropped: &[Dropped], from: Option<DateTime<Utc>>, until: DateTime<Utc>) -> Vec<Span> {
    let micros = |time: DateTime<Utc>| time.timestamp_micros();
    let (mut spans, mut begin) = (Vec::new(), from.map(micros));
    for partition in dropped {
        let end = partition.from.map(micros);
        // Of the first one, which has no begin, nothing lies before.
        if end.is_some_and(|end| begin.is_none_or(|begin| begin < end)) {
            spans.push(Span {
                from: begin,
                until: end,
            });
        }
        begin = begin.max(Some(micros(partition.until)));
    }
    let until = micros(until);
    if begin.is_none_or(|begin| begin < until) {
        spans.push(Span {
            from: begin,
            until: Some(until),
        });
    }
    spans
}

/// Deletes what is due of these rows; returns how many went, by the number of the rule.
async fn delete<D: Database>(
    database: &D,
    tx: &mut D::Tx,
    due: Due<'_>,
    range: Range,
) -> Result<Vec<(usize, u64)>, StoreError> {
    let (table, _) = database.table_and("");
    let mut sql = Sql::new(format!("DELETE FROM {table} AS t WHERE 1 = 1"));
    range.push(&mut sql);
    sql.push(" AND ");
    due.push::<D::Dialect>(&mut sql);
    sql.push(" RETURNING ");
    // What is returned has no alias.
    sql.is_unqualified = true;
    due.push_rule::<D::Dialect>(&mut sql);
    let mut counted = vec![0; due.policy.rules().len() + 1];
    for row in database.numbers(tx, sql).await? {
        if let Some(rule) = number(&row, 0).and_then(|rule| counted.get_mut(rule)) {
            *rule += 1;
        }
    }
    Ok(counted.into_iter().enumerate().collect())
}

/// Counts what is due of these rows, by the number of the rule.
async fn count<D: Database>(
    database: &D,
    tx: &mut D::Tx,
    due: Due<'_>,
    range: Range,
) -> Result<Vec<(usize, u64)>, StoreError> {
    let (table, _) = database.table_and("");
    let mut sql = Sql::new("SELECT ");
    due.push_rule::<D::Dialect>(&mut sql);
    sql.push(&format!(", count(*) FROM {table} AS t WHERE 1 = 1"));
    range.push(&mut sql);
    sql.push(" AND ");
    due.push::<D::Dialect>(&mut sql);
    sql.push(" GROUP BY 1");
    let rows = database.numbers(tx, sql).await?;
    let rows = rows.iter().filter_map(|row| {
        let (rule, rows) = (number(row, 0)?, number(row, 1)?);
        Some((rule, u64::try_from(rows).ok()?))
    });
    Ok(rows.collect())
}

/// Counts what would be due of these rows if nobody held it.
async fn count_held<D: Database>(
    database: &D,
    tx: &mut D::Tx,
    due: Due<'_>,
    range: Range,
) -> Result<u64, StoreError> {
    let (table, _) = database.table_and("");
    let mut sql = Sql::new(format!("SELECT count(*) FROM {table} AS t WHERE 1 = 1"));
    range.push(&mut sql);
    sql.push(" AND ");
    due.push_held::<D::Dialect>(&mut sql);
    let rows = database.numbers(tx, sql).await?;
    let rows = rows.first().and_then(|row| number(row, 0)).unwrap_or(0);
    Ok(u64::try_from(rows).unwrap_or(0))
}

fn number(row: &[Option<i64>], column: usize) -> Option<usize> {
    row.get(column)
        .copied()
        .flatten()
        .and_then(|number| usize::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(day * 86_400, 0).unwrap()
    }

    fn dropped(from: Option<i64>, until: i64) -> Dropped {
        Dropped {
            name: String::new(),
            from: from.map(at),
            until: at(until),
            rows: 0,
        }
    }

    fn days(spans: Vec<Span>) -> Vec<(Option<i64>, i64)> {
        let day = |micros: i64| micros / 86_400_000_000;
        spans
            .into_iter()
            .map(|span| (span.from.map(day), day(span.until.unwrap())))
            .collect()
    }

    #[test]
    fn what_lies_in_dropped_partitions_is_not_gone_through() {
        assert_eq!(days(between(&[], None, at(9))), [(None, 9)]);
        assert_eq!(days(between(&[], Some(at(3)), at(9))), [(Some(3), 9)]);
        let gone = [dropped(None, 2), dropped(Some(4), 5), dropped(Some(5), 6)];
        assert_eq!(
            days(between(&gone, None, at(9))),
            [(Some(2), 4), (Some(6), 9)]
        );
        assert_eq!(days(between(&gone, Some(at(5)), at(9))), [(Some(6), 9)]);
        let all = [dropped(None, 9)];
        assert_eq!(days(between(&all, None, at(9))), []);
    }
}
