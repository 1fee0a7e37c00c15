//! Whether an event passes a filter: what every store answers, said once in plain code.

use std::{borrow::Cow, net::IpAddr};

use serde_json::{Map, Value};

use super::{Field, Filter, Match, Term, json};
use crate::event::{AuditEvent, Captured};

/// What a field of an event is.
enum Found<'a> {
    Nothing,
    Text(&'a str),
    Number(i64),
    Address(IpAddr),
    Object(Cow<'a, Map<String, Value>>),
}

impl Filter {
    /// Returns whether the event passes.
    #[must_use]
    pub fn matches(&self, event: &AuditEvent) -> bool {
        self.terms.iter().all(|term| term.matches(event))
    }
}

impl Term {
    /// Returns whether the event passes.
    #[must_use]
    pub fn matches(&self, event: &AuditEvent) -> bool {
        let found = find(self.field, event);
        self.any_of
            .iter()
            .any(|wanted| self.fits(&found, wanted, event))
            != self.is_negated
    }

    fn fits(&self, found: &Found<'_>, wanted: &Match, event: &AuditEvent) -> bool {
        if let Found::Object(object) = found {
            return self.fits_json(object, wanted);
        }
        match (wanted, found) {
            (Match::Known, found) => match found {
                Found::Nothing => false,
                Found::Text(text) => self.field != Field::Target || !text.is_empty(),
                _ => true,
            },
            (Match::Id(id), _) => event.id() == *id,
            (Match::Is(wanted), Found::Text(text)) => wanted == text,
            (Match::Prefix(prefix), Found::Text(text)) => text.starts_with(prefix),
            (Match::Within(span), Found::Number(number)) => span.holds(*number),
            (Match::In(network), Found::Address(address)) => network.contains(address),
            _ => false,
        }
    }

    fn fits_json(&self, object: &Map<String, Value>, wanted: &Match) -> bool {
        let value = || json::at(object, &self.path);
        match wanted {
            Match::Known => self.path.is_empty() || value().is_some(),
            Match::Is(text) => self
                .spellings(text)
                .iter()
                .filter_map(Value::as_object)
                .any(|part| json::has_members(object, part)),
            Match::Prefix(prefix) => value()
                .and_then(Value::as_str)
                .is_some_and(|text| text.starts_with(prefix)),
            Match::Contains(part) => json::has_members(object, part),
            _ => false,
        }
    }
}

impl Field {
    /// Returns the value of the field as text, if it has one that is no JSON.
    #[must_use]
    pub fn text_of(self, event: &AuditEvent) -> Option<String> {
        match find(self, event) {
            Found::Text(text) => Some(text.to_owned()),
            Found::Number(_) if self == Self::Id => Some(event.id().to_string()),
            Found::Number(number) => Some(number.to_string()),
            Found::Address(address) => Some(address.to_string()),
            Found::Nothing | Found::Object(_) => None,
        }
    }
}

fn find(field: Field, event: &AuditEvent) -> Found<'_> {
    let address = |address: Option<IpAddr>| address.map_or(Found::Nothing, Found::Address);
    let number = |number: Option<i64>| number.map_or(Found::Nothing, Found::Number);
    match field {
        Field::Id => Found::Number(0),
        Field::Created => Found::Number(event.created_at().timestamp_micros()),
        Field::Recorded => number(event.recorded_at().map(|time| time.timestamp_micros())),
        Field::Status => number(event.status().map(i64::from)),
        Field::Duration => {
            let micros = event
                .duration()
                .map(|duration| i64::try_from(duration.as_micros()));
            number(micros.and_then(Result::ok))
        }
        Field::Ip => address(event.ip_address()),
        Field::Peer => address(event.peer_address()),
        Field::Metadata => Found::Object(Cow::Borrowed(event.metadata().as_map())),
        Field::Captured => match event.captured().map(Captured::to_value) {
            Some(Value::Object(object)) => Found::Object(Cow::Owned(object)),
            _ => Found::Nothing,
        },
        _ => text(field, event).map_or(Found::Nothing, Found::Text),
    }
}

fn text(field: Field, event: &AuditEvent) -> Option<&str> {
    let actor = event.actor();
    match field {
        Field::Actor => Some(actor.id()),
        Field::ActorType => Some(actor.kind().as_str()),
        Field::ActorName => actor.display_name(),
        Field::Auth => actor.method(),
        Field::Credential => actor.credential(),
        Field::Behalf => actor.principal(),
        Field::Action => Some(event.action()),
        Field::Target => Some(event.target().id()),
        Field::TargetType => Some(event.target().kind()),
        Field::Outcome => Some(event.outcome().as_str()),
        Field::Reason => event.reason(),
        Field::Method => event.method(),
        Field::Route => event.route(),
        Field::Path => event.path(),
        Field::Request => event.request_id(),
        Field::Trace => event.trace_id(),
        Field::Tenant => event.tenant_id(),
        Field::Agent => event.user_agent(),
        Field::Service => event.service(),
        _ => None,
    }
}
