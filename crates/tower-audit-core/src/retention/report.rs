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
            took: Duration::ZERO,
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
