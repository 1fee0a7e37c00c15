//! The policy.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Hold, Keep};
use crate::{
    event::AuditEvent,
    search::{Field, Filter, SearchError},
};

/// How long events are kept. See the [module page](super).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RetentionPolicyBuilder", into = "RetentionPolicyBuilder")]
pub struct RetentionPolicy {
    default: Keep,
    rules: Vec<RetentionRule>,
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetentionRule {
    /// What it is about.
    pub filter: Filter,
    /// How long that is kept.
    pub keep: Keep,
}

impl RetentionPolicy {
    /// Returns a builder.
    pub fn builder() -> RetentionPolicyBuilder {
        RetentionPolicyBuilder::default()
    }

    /// Returns how long events are kept that pass no rule.
    #[must_use]
    pub fn default_keep(&self) -> Keep {
        self.default
    }

    /// Returns the rules, in the order in which they are asked.
    #[must_use]
    pub fn rules(&self) -> &[RetentionRule] {
        &self.rules
    }

    /// Returns how long this event is kept.
    #[must_use]
    pub fn keep(&self, event: &AuditEvent) -> Keep {
        let mut rules = self.rules.iter();
        rules
            .find(|rule| rule.filter.matches(event))
            .map_or(self.default, |rule| rule.keep)
    }

    /// Returns whether this event may go now.
    #[must_use]
    pub fn is_due(&self, event: &AuditEvent, holds: &[Hold], now: DateTime<Utc>) -> bool {
        let cutoff = self.keep(event).cutoff(now);
        cutoff.is_some_and(|cutoff| event.created_at() < cutoff)
            && !holds.iter().any(|hold| hold.filter.matches(event))
    }

    /// Returns the longest time that any event is kept.
    #[must_use]
    pub fn longest(&self) -> Keep {
        let keeps = self.rules.iter().map(|rule| rule.keep);
        keeps.fold(self.default, Keep::max)
    }

    /// Returns the shortest time that any event is kept: what is younger is never looked at.
    #[must_use]
    pub fn shortest(&self) -> Keep {
        let keeps = self.rules.iter().map(|rule| rule.keep);
        keeps.fold(self.default, Keep::min)
    }
}

impl Default for RetentionPolicy {
    /// Keeps everything for 365 days.
    fn default() -> Self {
        Self {
            default: DEFAULT,
            rules: Vec::new(),
        }
    }
}

/// Makes a [`RetentionPolicy`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "a builder does nothing until `build`"]
pub struct RetentionPolicyBuilder {
    #[serde(default = "default_keep")]
    default: Keep,
    #[serde(default)]
    rules: Vec<Written>,
}

/// A rule as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "match")]
    filter: String,
    keep: Keep,
}

impl RetentionPolicyBuilder {
    /// Sets how long events are kept that pass no rule. Defaults to 365 days.
    pub fn default_keep(mut self, keep: Keep) -> Self {
        self.default = keep;
        self
    }

    /// Adds a rule: events that pass this [search](crate::search), and no rule before it, are kept for so long.
    pub fn rule(mut self, search: impl Into<String>, keep: Keep) -> Self {
        let filter = search.into();
        self.rules.push(Written { filter, keep });
        self
    }

    /// Returns the policy.
    ///
    /// # Errors
    ///
    /// Returns an error if a rule is no search, asks about time or is about everything, and if there are more than 100 of
    /// them.
    pub fn build(self) -> Result<RetentionPolicy, RetentionPolicyError> {
        let Self { default, rules } = self;
        if rules.len() > MOST_RULES {
            return Err(RetentionPolicyError::TooMany);
        }
        let rules = rules.into_iter().enumerate();
        let rules = rules.map(|(index, rule)| parsed(index + 1, &rule));
        let rules = rules.collect::<Result<_, _>>()?;
        Ok(RetentionPolicy { default, rules })
    }
}

/// Parses a rule.
fn parsed(rule: usize, written: &Written) -> Result<RetentionRule, RetentionPolicyError> {
    let filter: Filter = written
        .filter
        .parse()
        .map_err(|source| RetentionPolicyError::Search { rule, source })?;
    if filter.asks_about(Field::Created) || filter.asks_about(Field::Recorded) {
        return Err(RetentionPolicyError::Time { rule });
    }
    if filter.is_empty() {
        return Err(RetentionPolicyError::Everything { rule });
    }
    Ok(RetentionRule {
        filter,
        keep: written.keep,
    })
}

impl Default for RetentionPolicyBuilder {
    fn default() -> Self {
        Self {
            default: DEFAULT,
            rules: Vec::new(),
        }
    }
}

impl TryFrom<RetentionPolicyBuilder> for RetentionPolicy {
    type Error = RetentionPolicyError;

    fn try_from(builder: RetentionPolicyBuilder) -> Result<Self, Self::Error> {
        builder.build()
    }
}

impl From<RetentionPolicy> for RetentionPolicyBuilder {
    fn from(policy: RetentionPolicy) -> Self {
        let rules = policy.rules.into_iter().map(|rule| Written {
            filter: rule.filter.to_string(),
            keep: rule.keep,
        });
        Self {
            default: policy.default,
            rules: rules.collect(),
        }
    }
}

/// Why something is no policy. Rules are counted from 1 on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionPolicyError {
    /// A rule is no search.
    #[error("rule {rule} of the retention policy is no search")]
    Search {
        /// The number of the rule.
        rule: usize,
        /// What is wrong with it.
        #[source]
        source: SearchError,
    },
    /// A rule asks about time.
    #[error(
        "rule {rule} of the retention policy asks about time: `keep` says how long, and the search about what"
    )]
    Time {
        /// The number of the rule.
        rule: usize,
    },
    /// A rule is about everything.
    #[error("rule {rule} of the retention policy is about everything: say it as the default")]
    Everything {
        /// The number of the rule.
        rule: usize,
    },
    /// There are too many rules.
    #[error("the retention policy has more than {MOST_RULES} rules")]
    TooMany,
}

fn default_keep() -> Keep {
    DEFAULT
}

const DEFAULT: Keep = Keep::days(365);

const MOST_RULES: usize = 100;
