//! What a run did.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Keep;

/// What a run of the retention did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetentionReport {
    /// The moment that ages were counted from.
    pub as_of: DateTime<Utc>,
    /// How many rows went, or would go.
    pub deleted: u64,
    /// Of these, how many went with partitions that were dropped; roughly, as the database counted last, for a partition
    /// that was not looked through.
    pub dropped: u64,
    /// The partitions that were dropped, or would be, the oldest first.
    pub partitions: Vec<String>,
    /// How many rows were due, and stay because of a hold. Those in partitions that were not looked through are not
    /// among them.
    pub held: u64,
    /// How many rows were looked at one by one.
    pub examined: u64,
    /// The rules, in the order of the policy, and the default at the end.
    pub rules: Vec<RuleReport>,
    /// Everything that was due is gone, or would be. If not, the time was over: the next run goes on from there.
    pub is_complete: bool,
    /// Roughly how many rows of that time the run did not come to, as the database estimates; `None` if it came to all of them. They are old
    /// enough for one rule or another.
    pub left: Option<u64>,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

impl RetentionReport {
    /// Returns the report of a run, for whoever deletes; with what went because of rules, and nothing else.
    #[must_use]
    pub fn new(as_of: DateTime<Utc>, rules: Vec<RuleReport>) -> Self {
        Self {
            as_of,
            deleted: rules.iter().map(|rule| rule.deleted).sum(),
            dropped: 0,
            partitions: Vec::new(),
            held: 0,
            examined: 0,
            rules,
            is_complete: true,
            left: None,
            took: Duration::ZERO,
        }
    }

    /// Publishes what the run did, with the feature `metrics`; does nothing without it. Retention does so after each run:
    ///
    /// | name | kind | unit | what |
    /// |---|---|---|---|
    /// | `tower_audit_retention_deleted_total` | counter | rows | went |
    /// | `tower_audit_retention_left` | gauge | rows | [left](Self::left) by the last run |
    /// | `tower_audit_retention_held` | gauge | rows | were due, and stay because of a hold |
    /// | `tower_audit_retention_last_run_seconds` | gauge | seconds | from 1970 to the last run |
    #[cfg_attr(
        feature = "metrics",
        expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float: counts beyond 2^53 are nobody's"
        )
    )]
    pub fn publish(&self) {
        #[cfg(feature = "metrics")]
        {
            metrics::counter!("tower_audit_retention_deleted_total").increment(self.deleted);
            metrics::gauge!("tower_audit_retention_left").set(self.left.unwrap_or(0) as f64);
            metrics::gauge!("tower_audit_retention_held").set(self.held as f64);
            metrics::gauge!("tower_audit_retention_last_run_seconds")
                .set(self.as_of.timestamp() as f64);
        }
    }
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RuleReport {
    /// What it is about, or `default`.
    pub rule: String,
    /// How long that is kept.
    pub keep: Keep,
    /// How many rows went, one by one, because of it.
    pub deleted: u64,
}

impl RuleReport {
    /// Returns what a rule did, for whoever deletes.
    #[must_use]
    pub fn new(rule: String, keep: Keep) -> Self {
        Self {
            rule,
            keep,
            deleted: 0,
        }
    }
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
