//! An event as it is shown.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use tower_audit_core::{AuditEvent, Captured};
use utoipa::ToSchema;

/// One thing that somebody did, and how it ended. What is not known, or not for the caller to see, is left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Event {
    /// The identity of the event.
    #[schema(format = Uuid)]
    pub(crate) id: String,
    /// When the request arrived, in UTC with microseconds.
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// What kind of actor did it: `user`, `system`, `api_key` or `anonymous`.
    pub(crate) actor_type: &'static str,
    /// Who did it.
    pub(crate) actor_id: String,
    /// What was done, such as `project.delete`.
    pub(crate) action: String,
    /// What kind of thing it was done to.
    pub(crate) target_type: String,
    /// What it was done to; empty if nobody knows.
    pub(crate) target_id: String,
    /// How it ended: `success`, `denied`, `failure`, `aborted`, `pending` or `unknown`.
    pub(crate) outcome: &'static str,
    /// Why it failed: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What the app added. Whole numbers that a JavaScript reader would round are text.
    #[schema(value_type = Object)]
    pub(crate) metadata: Value,
    /// The address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) ip_address: Option<IpAddr>,
    /// What the client called itself; nobody verified it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The HTTP method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// The template that the router matched, such as `/projects/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    /// The path of the request, without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// From the arrival to the response head, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_us: Option<u64>,
    /// The `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// The trace id of the `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant_id: Option<String>,
    /// The name of who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor_name: Option<String>,
    /// How the actor signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth_method: Option<String>,
    /// The public id of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credential_id: Option<String>,
    /// Whom the actor stood in for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_behalf_of: Option<String>,
    /// The address at the other end of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) peer_address: Option<IpAddr>,
    /// The writer, as `name@version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// What a policy captured of headers, query and bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) captured: Option<Value>,
    /// When the store got the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) recorded_at: Option<String>,
}

impl Event {
    /// Returns the event as it is shown to whoever sees what is personal, or does not.
    pub(crate) fn of(event: &AuditEvent, sees_personal_data: bool) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let personal = |value: Option<&str>| text(value.filter(|_| sees_personal_data));
        let actor = event.actor();
        let captured = event.captured().filter(|_| sees_personal_data);
        Self {
            id: event.id().to_string(),
            created_at: time(event.created_at()),
            actor_type: actor.kind().as_str(),
            actor_id: actor.id().to_owned(),
            action: event.action().to_owned(),
            target_type: event.target().kind().to_owned(),
            target_id: event.target().id().to_owned(),
            outcome: event.outcome().as_str(),
            reason: text(event.reason()),
            metadata: exact(Value::Object(event.metadata().as_map().clone())),
            ip_address: event.ip_address().filter(|_| sees_personal_data),
            user_agent: personal(event.user_agent()),
            status: event.status(),
            method: text(event.method()),
            route: text(event.route()),
            path: text(event.path()),
            duration_us: event
                .duration()
                .and_then(|duration| u64::try_from(duration.as_micros()).ok()),
            request_id: text(event.request_id()),
            trace_id: text(event.trace_id()),
            tenant_id: text(event.tenant_id()),
            actor_name: personal(actor.display_name()),
            auth_method: text(actor.method()),
            credential_id: text(actor.credential()),
            on_behalf_of: text(actor.principal()),
            peer_address: event.peer_address().filter(|_| sees_personal_data),
            service: text(event.service()),
            captured: captured.map(Captured::to_value).map(exact),
            recorded_at: event.recorded_at().map(time),
        }
    }
}

pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Returns the value with whole numbers beyond 2^53 as text: every JavaScript reader rounds them.
pub(crate) fn exact(value: Value) -> Value {
    const MOST: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let is_large = number.as_u64().is_some_and(|number| number > MOST)
                || number
                    .as_i64()
                    .is_some_and(|number| number.unsigned_abs() > MOST);
            if is_large {
                Value::String(number.to_string())
            } else {
                Value::Number(number)
            }
        }
        Value::Array(items) => items.into_iter().map(exact).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, exact(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_a_script_would_round_are_text() {
        let value = json!({"a": [9_007_199_254_740_993_u64, -9_007_199_254_740_993_i64, 9_007_199_254_740_992_u64, 1.5]});
        let shown =
            json!({"a": ["9007199254740993", "-9007199254740993", 9_007_199_254_740_992_u64, 1.5]});
        assert_eq!(exact(value), shown);
    }
}
