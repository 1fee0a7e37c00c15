//! Events to write.

use chrono::{DateTime, Utc};
use tower_audit::{Actor, AuditEvent, AuditEventBuilder, EventId, Target};
use uuid::Uuid;

/// Returns a time, so many seconds after some day.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + seconds, 123_456_000).unwrap()
}

/// Returns a plain event at that time.
pub(crate) fn event(seconds: i64) -> AuditEvent {
    builder(seconds).build()
}

/// Returns a builder of a plain event at that time.
pub(crate) fn builder(seconds: i64) -> AuditEventBuilder {
    AuditEvent::builder(
        Actor::user("alice"),
        "project.update",
        Target::new("project", 7),
    )
    .created_at(at(seconds))
}

/// Returns an id that sorts by `number`.
pub(crate) fn id(number: u128) -> EventId {
    EventId::from_uuid(Uuid::from_u128(number))
}

/// Returns an event with every field set.
pub(crate) fn full() -> AuditEvent {
    serde_json::from_value(serde_json::json!({
        "id": "019a9e3c-7d2e-7c4b-8f00-0123456789ab", "created_at": "2026-11-01T10:00:00.123456Z",
        "actor_type": "api_key", "actor_id": "key-1", "actor_name": "CI'; DROP TABLE audit_logs; --",
        "auth_method": "bearer", "credential_id": "k-1", "on_behalf_of": "bob",
        "action": "project.delete", "target_type": "project", "target_id": "\\ \" ' % _ {} é 日本",
        "outcome": "denied", "reason": "not_owner",
        "metadata": {"plan": "pro", "seats": 5, "big": 9_007_199_254_740_993_u64, "none": null, "list": [1.5, {"a": "\t\n"}]},
        "ip_address": "192.0.2.1", "peer_address": "2001:db8::1", "user_agent": "curl/8", "status": 403,
        "method": "DELETE", "route": "/projects/{id}", "path": "/projects/7", "duration_us": 1500,
        "request_id": "r-1", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "tenant_id": "acme",
        "service": "shop@1.0.0", "captured": {"headers": {"x-plan": "pro"}, "request_body": {"length": 9, "json": {"a": [1, null]}}}
    }))
    .unwrap()
}

/// Returns the event as JSON without the time when the store got it, which nobody can foresee.
pub(crate) fn without_recorded_at(event: &AuditEvent) -> serde_json::Value {
    let mut json = serde_json::to_value(event).unwrap();
    json.as_object_mut().unwrap().remove("recorded_at");
    json
}
