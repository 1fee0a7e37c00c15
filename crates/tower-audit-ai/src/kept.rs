//! A trail as a database keeps it: what was said of it, and what follows from that.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::{
    Currency, MessageId,
    record::{State, moment},
};

/// A row.
#[derive(Debug, Serialize)]
pub(crate) struct Kept<'a> {
    pub(crate) message_id: &'a MessageId,
    pub(crate) state: &'a State,
    pub(crate) project_id: Option<String>,
    pub(crate) status: Option<&'static str>,
    pub(crate) started_micros: Option<i64>,
    pub(crate) ended_micros: Option<i64>,
    pub(crate) day: Option<NaiveDate>,
    pub(crate) latency_micros: Option<i64>,
    pub(crate) computed_currency: Option<Currency>,
    pub(crate) computed_cost: Option<Decimal>,
    pub(crate) age_micros: i64,
}

impl<'a> Kept<'a> {
    pub(crate) fn new(message_id: &'a MessageId, state: &'a State, zone: Tz) -> Self {
        let trail = state.trail(message_id);
        let trail = trail.as_ref();
        let computed = trail.and_then(|trail| trail.computed_cost);
        let day = |trail: &crate::Trail| trail.started_at.with_timezone(&zone).date_naive();
        Self {
            message_id,
            state,
            project_id: trail.map(|trail| trail.project_id.clone()),
            status: trail.map(|trail| trail.status.as_str()),
            started_micros: trail.map(|trail| trail.started_at.timestamp_micros()),
            ended_micros: trail.and_then(|trail| Some(trail.ended_at?.timestamp_micros())),
            day: trail.map(day),
            latency_micros: trail.and_then(|trail| trail.latency()?.num_microseconds()),
            computed_currency: computed.map(|cost| cost.currency()),
            computed_cost: computed.map(|cost| cost.total()),
            age_micros: state.age_micros(),
        }
    }
}

/// Returns when trails begin that are too old, if they are not there: those of then were deleted.
pub(crate) fn is_too_late(state: &State, too_late: DateTime<Utc>) -> bool {
    let started = state.started_micros();
    started.is_some_and(|started| moment(started) < too_late)
}

/// Returns whether all trails of a day are there: none of them can have been deleted.
pub(crate) fn is_whole(day: NaiveDate, zone: Tz, too_late: DateTime<Utc>) -> bool {
    let last_deleted = too_late
        .checked_sub_signed(TimeDelta::microseconds(1))
        .map(|last| last.with_timezone(&zone).date_naive());
    last_deleted.is_none_or(|last| day > last)
}

/// Returns two moments between which a day is, in any time zone.
pub(crate) fn around(day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
    let midnight = day.and_time(NaiveTime::MIN).and_utc();
    (midnight - TimeDelta::days(1), midnight + TimeDelta::days(2))
}
