//! What trails add up to: numbers by project, day and model.

use std::{
    collections::BTreeMap,
    ops::{AddAssign, Neg},
};

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Currency, Trail, TrailStatus};

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TallyKey {
    pub(crate) project_id: String,
    /// The day on which the calls began, in the time zone that was declared.
    pub(crate) day: NaiveDate,
    /// The model that answered, or that was asked for if nobody said which did.
    pub(crate) model: String,
}

/// What calls add up to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// How many calls there were.
    pub calls: i64,
    /// How many of them were answered.
    pub completed: i64,
    /// How many failed.
    pub failed: i64,
    /// Of how many nobody knows how they ended.
    pub unknown: i64,
    /// The tokens of the prompts.
    pub prompt_tokens: i64,
    /// The tokens of the answers.
    pub completion_tokens: i64,
    /// All tokens, as the provider counts them.
    pub total_tokens: i64,
    /// The tokens of the prompts that the provider had seen before.
    pub cached_tokens: i64,
    /// The tokens of the answers that nobody saw.
    pub reasoning_tokens: i64,
    /// How many calls have ended.
    pub ended: i64,
    /// How many microseconds those took.
    pub latency_micros: i64,
    /// What they cost, by currency.
    pub costs: BTreeMap<Currency, Costs>,
}

/// What calls cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Costs {
    /// All that is known: as was said, and of those calls of which nobody said it as was computed.
    pub total: Decimal,
    /// As providers and the app said.
    pub claimed: Decimal,
    /// By the prices of the app.
    pub computed: Decimal,
}

impl Costs {
    /// Returns the same amounts without zeros at their ends.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn normalized(self) -> Self {
        Self {
            total: self.total.normalize(),
            claimed: self.claimed.normalize(),
            computed: self.computed.normalize(),
        }
    }

    fn is_zero(&self) -> bool {
        [self.total, self.claimed, self.computed]
            .iter()
            .all(Decimal::is_zero)
    }
}

impl Tally {
    /// Returns what one trail is among the others.
    pub(crate) fn of(trail: &Trail, zone: Tz) -> (TallyKey, Self) {
        let model = trail.served_model.as_ref().unwrap_or(&trail.model);
        let key = TallyKey {
            project_id: trail.project_id.clone(),
            day: trail.started_at.with_timezone(&zone).date_naive(),
            model: model.clone(),
        };
        let is = |status| i64::from(trail.status == status);
        let usage = trail.usage.unwrap_or_default();
        let latency = trail
            .latency()
            .and_then(|latency| latency.num_microseconds());
        let mut costs = BTreeMap::<Currency, Costs>::new();
        if let Some(cost) = &trail.cost {
            costs.entry(cost.currency()).or_default().claimed = cost.total();
        }
        if let Some(cost) = &trail.computed_cost {
            costs.entry(cost.currency()).or_default().computed = cost.total();
        }
        if let Some(cost) = trail.cost.or(trail.computed_cost) {
            costs.entry(cost.currency()).or_default().total = cost.total();
        }
        let tally = Self {
            calls: 1,
            completed: is(TrailStatus::Completed),
            failed: is(TrailStatus::Failed),
            unknown: is(TrailStatus::Unknown),
            prompt_tokens: usage.prompt.into(),
            completion_tokens: usage.completion.into(),
            total_tokens: i64::try_from(usage.total).unwrap_or(i64::MAX),
            cached_tokens: usage.cached.into(),
            reasoning_tokens: usage.reasoning.into(),
            ended: i64::from(latency.is_some()),
            latency_micros: latency.unwrap_or_default(),
            costs,
        };
        (key, tally)
    }

    /// Returns how many calls are on their way.
    #[must_use]
    pub fn pending(&self) -> i64 {
        self.calls - self.completed - self.failed - self.unknown
    }

    /// Returns how long a call took on average, of those that have ended.
    #[must_use]
    pub fn average_latency(&self) -> Option<TimeDelta> {
        Some(TimeDelta::microseconds(
            self.latency_micros.checked_div(self.ended)?,
        ))
    }

    /// Returns what a call cost on average, as far as is known: of all of them, those included of which nobody knows it.
    #[must_use]
    pub fn average_cost(&self, currency: Currency) -> Option<Decimal> {
        let total = self.costs.get(&currency)?.total;
        total.checked_div(Decimal::from(self.calls))
    }

    /// Returns whether it changes nothing.
    pub(crate) fn is_zero(&self) -> bool {
        self.counts().iter().all(|count| *count == 0) && self.costs.values().all(Costs::is_zero)
    }

    /// Returns the numbers in the order in which they are kept.
    pub(crate) fn counts(&self) -> [i64; 11] {
        [
            self.calls,
            self.completed,
            self.failed,
            self.unknown,
            self.prompt_tokens,
            self.completion_tokens,
            self.total_tokens,
            self.cached_tokens,
            self.reasoning_tokens,
            self.ended,
            self.latency_micros,
        ]
    }

    pub(crate) fn counts_mut(&mut self) -> [&mut i64; 11] {
        [
            &mut self.calls,
            &mut self.completed,
            &mut self.failed,
            &mut self.unknown,
            &mut self.prompt_tokens,
            &mut self.completion_tokens,
            &mut self.total_tokens,
            &mut self.cached_tokens,
            &mut self.reasoning_tokens,
            &mut self.ended,
            &mut self.latency_micros,
        ]
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        for (count, more) in self.counts_mut().into_iter().zip(other.counts()) {
            *count = count.saturating_add(more);
        }
        for (currency, more) in &other.costs {
            let costs = self.costs.entry(*currency).or_default();
            costs.total += more.total;
            costs.claimed += more.claimed;
            costs.computed += more.computed;
        }
        self.costs.retain(|_, costs| !costs.is_zero());
    }
}

impl Neg for Tally {
    type Output = Self;

    fn neg(mut self) -> Self {
        for count in self.counts_mut() {
            *count = -*count;
        }
        for costs in self.costs.values_mut() {
            costs.total = -costs.total;
            costs.claimed = -costs.claimed;
            costs.computed = -costs.computed;
        }
        self
    }
}

/// What changes about a day's calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta {
    /// What is to be added.
    pub(crate) tally: Tally,
    /// How many microseconds the slowest call took of those that were noted.
    pub(crate) slowest_micros: i64,
}

impl Delta {
    /// Returns whether it changes nothing.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn is_zero(&self) -> bool {
        self.tally.is_zero() && self.slowest_micros == 0
    }
}

/// Notes that a trail is another one now: what it was is taken away, and what it is is added.
pub(crate) fn note(
    deltas: &mut BTreeMap<TallyKey, Delta>,
    before: Option<&Trail>,
    after: Option<&Trail>,
    zone: Tz,
) {
    if let Some((key, tally)) = before.map(|trail| Tally::of(trail, zone)) {
        deltas.entry(key).or_default().tally += &-tally;
    }
    if let Some((key, tally)) = after.map(|trail| Tally::of(trail, zone)) {
        let delta = deltas.entry(key).or_default();
        // It is the latency of one call.
        delta.slowest_micros = delta.slowest_micros.max(tally.latency_micros);
        delta.tally += &tally;
    }
}

/// The columns of the [counts](Tally::counts), in their order.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const COUNTS: [&str; 11] = [
    "calls",
    "completed",
    "failed",
    "unknown",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "ended",
    "latency_micros",
];
