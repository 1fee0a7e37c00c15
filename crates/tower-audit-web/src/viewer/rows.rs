//! Rows of the table.

use chrono::{DateTime, TimeDelta, Utc};
use tower_audit_core::search::Field;

use super::links::Search;
use crate::event::Event;

/// A row: what is shown of an event, and where it leads.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) event: Event,
    pub(super) date: String,
    pub(super) clock: String,
    pub(super) ago: String,
    pub(super) who: String,
    pub(super) url: String,
    pub(super) only_actor: String,
    pub(super) only_action: String,
    pub(super) only_target: String,
    pub(super) only_outcome: String,
    pub(super) only_ip: Option<(String, String)>,
}

impl Row {
    pub(super) fn of(event: Event, search: &Search, now: DateTime<Utc>) -> Self {
        let time =
            DateTime::parse_from_rfc3339(&event.created_at).map_or(now, |time| time.to_utc());
        let ip = event
            .ip_address
            .or(event.peer_address)
            .map(|ip| ip.to_string());
        let field = if event.ip_address.is_some() {
            Field::Ip
        } else {
            Field::Peer
        };
        Self {
            date: time.format("%Y-%m-%d").to_string(),
            clock: time.format("%H:%M:%S").to_string(),
            ago: ago(now - time),
            who: event
                .actor_name
                .clone()
                .unwrap_or_else(|| event.actor_id.clone()),
            url: search.of(&format!("/view/{}", event.id), &[]),
            only_actor: search.only(Field::Actor, &event.actor_id),
            only_action: search.only(Field::Action, &event.action),
            only_target: search.only(Field::Target, &event.target_id),
            only_outcome: search.only(Field::Outcome, event.outcome),
            only_ip: ip.map(|ip| (search.only(field, &ip), ip)),
            event,
        }
    }
}

/// Returns how long ago something was, in the largest unit.
pub(super) fn ago(age: TimeDelta) -> String {
    let seconds = age.num_seconds();
    let (word, seconds) = if seconds < 0 {
        ("from now", -seconds)
    } else {
        ("ago", seconds)
    };
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..86_400 => (seconds / 3_600, "h"),
        86_400..2_592_000 => (seconds / 86_400, "d"),
        2_592_000..31_536_000 => (seconds / 2_592_000, "mo"),
        _ => (seconds / 31_536_000, "y"),
    };
    format!("{number} {unit} {word}")
}
