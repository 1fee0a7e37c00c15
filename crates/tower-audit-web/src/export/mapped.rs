//! Events in the words of others, a JSON object each.

use std::fmt::Write as _;

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::event::Event;

/// Returns the event as an API Activity of the Open Cybersecurity Schema Framework: class 6003 of
/// [version 1.3](https://schema.ocsf.io/1.3.0/classes/api_activity).
#[expect(clippy::too_many_lines, reason = "one object, read top to bottom")]
pub(super) fn ocsf(event: &Event) -> Value {
    let activity = activity(&event.action);
    let (status_id, status) = match event.outcome {
        "success" => (1, "Success"),
        "denied" | "failure" | "aborted" => (2, "Failure"),
        "pending" => (99, "Pending"),
        _ => (0, "Unknown"),
    };
    let user_type = match event.actor_type {
        "user" => (1, "User"),
        "system" => (3, "System"),
        "api_key" => (99, "API key"),
        _ => (0, "Unknown"),
    };
    let source = event.ip_address.or(event.peer_address);
    without_nulls(json!({
        "class_uid": 6003, "class_name": "API Activity",
        "category_uid": 6, "category_name": "Application Activity",
        "activity_id": activity.0, "activity_name": activity.1, "type_uid": 600_300 + activity.0,
        "severity_id": 1, "severity": "Informational",
        "time": millis(&event.created_at),
        "duration": event.duration_us.map(|micros| micros / 1_000),
        "status_id": status_id, "status": status, "status_detail": event.reason,
        "status_code": event.status.map(|status| status.to_string()),
        "metadata": {
            "version": "1.3.0", "uid": event.id, "correlation_uid": event.request_id, "tenant_uid": event.tenant_id,
            "logged_time": event.recorded_at.as_deref().and_then(millis),
            "product": {"name": "tower-audit", "vendor_name": "tower-audit", "version": env!("CARGO_PKG_VERSION")},
        },
        "actor": {
            "user": {
                "uid": event.actor_id, "name": event.actor_name, "type_id": user_type.0, "type": user_type.1,
                "credential_uid": event.credential_id,
            },
            "app_name": event.service,
        },
        "api": {
            "operation": event.action, "service": {"name": event.service},
            "request": event.request_id.as_ref().map(|id| json!({"uid": id})),
            "response": event.status.map(|status| json!({"code": status, "message": event.reason})),
        },
        // Required by the class, so it says so where nothing is known.
        "src_endpoint": source.map_or_else(|| json!({"name": "unknown"}), |ip| json!({"ip": ip})),
        "http_request": event.method.as_ref().map(|method| json!({
            "http_method": method, "uid": event.request_id, "user_agent": event.user_agent,
            "url": {"path": event.path},
        })),
        "resources": [{"type": event.target_type, "uid": event.target_id}],
        "unmapped": {
            "outcome": event.outcome, "route": event.route, "trace_id": event.trace_id, "auth_method": event.auth_method,
            "on_behalf_of": event.on_behalf_of, "peer_address": event.peer_address, "metadata": event.metadata,
            "captured": event.captured,
        },
    }))
}

/// Returns what an action does, as OCSF has it.
fn activity(action: &str) -> (u32, &'static str) {
    match action.rsplit('.').next().unwrap_or_default() {
        "create" | "add" | "invite" => (1, "Create"),
        "read" | "view" | "list" | "export" => (2, "Read"),
        "update" | "rename" | "archive" | "restore" | "rotate" => (3, "Update"),
        "delete" | "remove" | "purge" | "revoke" => (4, "Delete"),
        _ => (99, "Other"),
    }
}

/// Returns the event in the [Elastic Common Schema](https://www.elastic.co/guide/en/ecs/8.17/index.html), version 8.17. What
/// it has no field for stands below `tower_audit`.
#[expect(clippy::too_many_lines, reason = "one object, read top to bottom")]
pub(super) fn ecs(event: &Event) -> Value {
    let outcome = match event.outcome {
        "success" => "success",
        "denied" | "failure" | "aborted" => "failure",
        _ => "unknown",
    };
    let kind = match activity(&event.action).1 {
        "Create" => "creation",
        "Read" => "access",
        "Update" => "change",
        "Delete" => "deletion",
        _ => "info",
    };
    let (service, version) = match event
        .service
        .as_deref()
        .map(|service| service.split_once('@'))
    {
        Some(Some((name, version))) => (Some(name), Some(version)),
        _ => (event.service.as_deref(), None),
    };
    without_nulls(json!({
        "@timestamp": event.created_at,
        "ecs": {"version": "8.17.0"},
        "event": {
            "id": event.id, "kind": "event", "category": ["web"], "type": [kind, if event.outcome == "denied" { "denied" } else { "allowed" }],
            "action": event.action, "outcome": outcome, "reason": event.reason, "module": "tower_audit",
            "dataset": "tower_audit.audit", "created": event.recorded_at,
            "duration": event.duration_us.map(|micros| micros.saturating_mul(1_000)),
        },
        "user": {
            "id": event.actor_id, "name": event.actor_name,
            "effective": event.on_behalf_of.as_ref().map(|id| json!({"id": id})),
        },
        "organization": event.tenant_id.as_ref().map(|id| json!({"id": id})),
        "source": event.ip_address.map(|ip| json!({"ip": ip})),
        "http": {
            "request": {"id": event.request_id, "method": event.method},
            "response": event.status.map(|status| json!({"status_code": status})),
        },
        "url": event.path.as_ref().map(|path| json!({"path": path})),
        "user_agent": event.user_agent.as_ref().map(|agent| json!({"original": agent})),
        "trace": event.trace_id.as_ref().map(|id| json!({"id": id})),
        "service": service.map(|name| json!({"name": name, "version": version})),
        "tower_audit": {
            "actor_type": event.actor_type, "auth_method": event.auth_method, "credential_id": event.credential_id,
            "target_type": event.target_type, "target_id": event.target_id, "outcome": event.outcome,
            "route": event.route, "peer_address": event.peer_address, "metadata": event.metadata,
            "captured": event.captured,
        },
    }))
}

/// Returns the event as a [CloudEvent](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md), version 1.0.
pub(super) fn cloud_event(event: &Event) -> Value {
    let service = event.service.as_deref().unwrap_or("unknown");
    let subject = match (event.target_type.as_str(), event.target_id.as_str()) {
        ("", "") => None,
        (kind, "") => Some(kind.to_owned()),
        (kind, id) => Some(format!("{kind}/{id}")),
    };
    without_nulls(json!({
        "specversion": "1.0", "id": event.id, "source": format!("urn:tower-audit:{}", escaped(service)),
        "type": format!("tower-audit.{}", event.action), "subject": subject, "time": event.created_at,
        "datacontenttype": "application/json", "data": event,
    }))
}

/// Returns the text as a part of a URN (RFC 8141).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b':' => {
                escaped.push(byte.into())
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

fn millis(time: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(time)
        .ok()
        .map(|time| time.timestamp_millis())
}

/// Leaves out what is not known.
fn without_nulls(value: Value) -> Value {
    let Value::Object(members) = value else {
        return value;
    };
    let kept = members.into_iter().filter(|(_, value)| !value.is_null());
    // What the app added is the app's: a null in it says something.
    let is_ours = |key: &str| !matches!(key, "metadata" | "captured" | "data");
    let kept = kept.map(
        |(key, value)| match is_ours(&key) || value.get("product").is_some() {
            true => (key, without_nulls(value)),
            false => (key, value),
        },
    );
    Value::Object(kept.collect::<Map<_, _>>())
}
