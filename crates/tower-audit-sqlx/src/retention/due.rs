//! Which rows may go, as a condition.

use chrono::{DateTime, Utc};
use tower_audit_core::{
    Filter,
    retention::{Hold, Keep, RetentionPolicy},
};

use crate::query::{Arg, Source, Sql, push_term};

/// Which rows may go at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due<'a> {
    pub(crate) policy: &'a RetentionPolicy,
    pub(crate) holds: &'a [Hold],
    pub(crate) now: DateTime<Utc>,
}

impl Due<'_> {
    /// Appends the condition that a row may go.
    pub(crate) fn push<S: Source>(&self, sql: &mut Sql) {
        self.push_rule::<S>(sql);
        sql.push(" >= 0 AND ");
        self.push_is_held::<S>(sql);
        sql.push(" IS NOT TRUE");
    }

    /// Appends the condition that a row would go if nobody held it.
    pub(crate) fn push_held<S: Source>(&self, sql: &mut Sql) {
        self.push_rule::<S>(sql);
        sql.push(" >= 0 AND ");
        self.push_is_held::<S>(sql);
    }

    /// Appends the number of the rule because of which a row may go, from 0 on, with the default after the last; or -1 for a
    /// row that stays.
    pub(crate) fn push_rule<S: Source>(&self, sql: &mut Sql) {
        sql.push("CAST(CASE");
        let rules = self.policy.rules();
        for (number, rule) in rules.iter().enumerate() {
            sql.push(" WHEN ");
            passes::<S>(sql, &rule.filter);
            sql.push(" THEN ");
            self.push_age(sql, rule.keep, number);
        }
        // Also where there are no rules.
        sql.push(" WHEN 1 = 1 THEN ");
        self.push_age(sql, self.policy.default_keep(), rules.len());
        sql.push(" END AS bigint)");
    }

    /// Appends the number if a row is old enough.
    fn push_age(&self, sql: &mut Sql, keep: Keep, number: usize) {
        match keep.cutoff(self.now) {
            None => {
                sql.push("-1");
            }
            Some(cutoff) => {
                sql.push("CASE WHEN ").column("created_at").push(" < ");
                sql.bind(Arg::Time(cutoff.timestamp_micros()));
                sql.push(" THEN ").push(&number.to_string());
                sql.push(" ELSE -1 END");
            }
        }
    }

    fn push_is_held<S: Source>(&self, sql: &mut Sql) {
        sql.push("(1 = 0");
        for hold in self.holds {
            sql.push(" OR ");
            passes::<S>(sql, &hold.filter);
        }
        sql.push(")");
    }
}

/// Appends the condition that a row passes a filter.
fn passes<S: Source>(sql: &mut Sql, filter: &Filter) {
    sql.push("(1 = 1");
    sql.before_column = S::UNINDEXED;
    for term in filter.terms() {
        push_term::<S>(sql, term);
    }
    sql.before_column = "";
    sql.push(")");
}
