//! The way through the trail: partitions first, and then the rows from the oldest on, a window after the other.

use std::time::Instant;

use chrono::{DateTime, Utc};
use tower_audit_core::{
    Cursor, Seek,
    retention::{RetentionReport, RuleReport},
    search::Span,
};

use super::{
    Database, Dropped, Due, Lease, Retention, RetentionError, Run,
    holds::holds,
    rows::{count, count_held, delete},
};
use crate::query::{Range, edge_of_time};

/// A way through the rows.
pub(super) struct Walk<'a, S> {
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
    pub(super) stopped_at: Option<DateTime<Utc>>,
}

impl<'a, S: Database> Walk<'a, S> {
    pub(super) fn new(
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
    pub(super) async fn through(
        &mut self,
        from: Option<DateTime<Utc>>,
    ) -> Result<(), RetentionError> {
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

    pub(super) fn into_report(self) -> RetentionReport {
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
