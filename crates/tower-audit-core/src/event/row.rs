//! The event as one flat object, named like the columns of the table.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Actor, ActorKind, AuditEvent, AuditEventBuilder as Builder, Captured, EventId, Metadata,
    Outcome, Target, Text,
};

/// One row. Reading goes through the builder again, so text from outside is as clean as text that
/// was captured.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    id: EventId,
    created_at: DateTime<Utc>,
    actor_type: ActorKind,
    #[serde(borrow)]
    actor_id: Cow<'a, str>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    target_type: Cow<'a, str>,
    #[serde(borrow)]
    target_id: Cow<'a, str>,
    outcome: Outcome,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(default)]
    metadata: Cow<'a, Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip_address: Option<IpAddr>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    route: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    actor_name: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    auth_method: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    credential_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer_address: Option<IpAddr>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    service: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    captured: Option<Cow<'a, Captured>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded_at: Option<DateTime<Utc>>,
    /// No column: the event is on its way, and ends a pending one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    completes_pending: bool,
}

impl<'a> From<&'a AuditEvent> for Row<'a> {
    fn from(event: &'a AuditEvent) -> Self {
        let text = |text: Option<&'a str>| text.map(Cow::Borrowed);
        let actor = event.actor();
        Self {
            id: event.id(),
            created_at: event.created_at(),
            actor_type: actor.kind(),
            actor_id: actor.id().into(),
            action: event.action().into(),
            target_type: event.target().kind().into(),
            target_id: event.target().id().into(),
            outcome: event.outcome(),
            reason: text(event.reason()),
            metadata: Cow::Borrowed(event.metadata()),
            ip_address: event.ip_address(),
            user_agent: text(event.user_agent()),
            status: event.status(),
            method: text(event.method()),
            route: text(event.route()),
            path: text(event.path()),
            duration_us: event
                .duration()
                .and_then(|d| u64::try_from(d.as_micros()).ok()),
            request_id: text(event.request_id()),
            trace_id: text(event.trace_id()),
            tenant_id: text(event.tenant_id()),
            actor_name: text(actor.display_name()),
            auth_method: text(actor.method()),
            credential_id: text(actor.credential()),
            on_behalf_of: text(actor.principal()),
            peer_address: event.peer_address(),
            service: text(event.service()),
            captured: event.captured().map(Cow::Borrowed),
            recorded_at: event.recorded_at(),
            completes_pending: event.is_completion(),
        }
    }
}

impl From<Row<'_>> for AuditEvent {
    fn from(row: Row<'_>) -> Self {
        let text = |text: Option<Cow<'_, str>>| text.map(Text::from);
        let actor = Actor::new(row.actor_type, row.actor_id)
            .maybe(text(row.actor_name), Actor::name)
            .maybe(text(row.auth_method), Actor::auth_method)
            .maybe(text(row.credential_id), Actor::credential_id)
            .maybe(text(row.on_behalf_of), Actor::on_behalf_of);
        let event = Self::builder(
            actor,
            row.action,
            Target::new(row.target_type, row.target_id),
        )
        .id(row.id)
        .created_at(row.created_at)
        .outcome(row.outcome)
        .all_metadata(row.metadata.into_owned())
        .maybe(row.ip_address, Builder::ip_address)
        .maybe(row.peer_address, Builder::peer_address)
        .maybe(row.status, Builder::status)
        .maybe(
            row.duration_us.map(Duration::from_micros),
            Builder::duration,
        )
        .maybe(row.captured.map(Cow::into_owned), Builder::captured)
        .maybe(row.recorded_at, Builder::recorded_at)
        .maybe(text(row.reason), Builder::reason)
        .maybe(text(row.user_agent), Builder::user_agent)
        .maybe(text(row.method), Builder::method)
        .maybe(text(row.route), Builder::route)
        .maybe(text(row.path), Builder::path)
        .maybe(text(row.request_id), Builder::request_id)
        .maybe(text(row.trace_id), Builder::trace_id)
        .maybe(text(row.tenant_id), Builder::tenant_id)
        .maybe(text(row.service), Builder::service)
        .build();
        if row.completes_pending {
            event.completing()
        } else {
            event
        }
    }
}

impl Serialize for AuditEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Row::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuditEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Row::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> serde_json::Value {
        json!({
            "id": "019a9e3c-7d2e-7c4b-8f00-0123456789ab", "created_at": "2026-11-21T10:00:00.123456Z",
            "actor_type": "user", "actor_id": "alice", "action": "project.delete",
            "target_type": "project", "target_id": "7", "outcome": "denied", "reason": "not_owner",
            "metadata": {"plan": "pro"}, "ip_address": "192.0.2.1", "user_agent": "curl/8", "status": 403,
            "method": "DELETE", "route": "/projects/{id}", "path": "/projects/7", "duration_us": 1500,
            "request_id": "r-1", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "tenant_id": "acme",
            "actor_name": "Alice", "auth_method": "oidc", "credential_id": "k-1", "on_behalf_of": "bob",
            "peer_address": "2001:db8::1", "service": "shop@1.0.0", "captured": {"query": {"page": "2"}},
            "recorded_at": "2026-11-21T10:00:00.2Z"
        })
    }

    #[test]
    fn every_field_survives_json() {
        let event: AuditEvent = serde_json::from_value(full()).unwrap();
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<AuditEvent>(&text).unwrap(), event);
        let keys = |value: &serde_json::Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(&serde_json::from_str(&text).unwrap()), keys(&full()));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let mut row = full();
        row["actorId"] = json!("alice");
        let error = serde_json::from_value::<AuditEvent>(row)
            .unwrap_err()
            .to_string();
        assert!(error.contains("actorId"), "{error}");
    }

    #[test]
    fn text_from_outside_is_cleaned_too() {
        let mut row = full();
        row["actor_id"] = json!("al\0ice");
        let event: AuditEvent = serde_json::from_value(row).unwrap();
        assert_eq!(event.actor().id(), "al\u{fffd}ice");
    }
}
