//! A run, as an event of the trail.

use serde_json::Value;
use tower_audit_core::{
    Actor, AuditEvent, Outcome, Target,
    retention::{RetentionPolicy, RetentionReport},
};

use super::RetentionError;

/// Returns the event of a run that begins.
pub(super) fn begin(actor: Actor, table: &str, policy: &RetentionPolicy) -> AuditEvent {
    let event = AuditEvent::builder(actor, ACTION, Target::new("audit_log", table));
    let event = event.outcome(Outcome::Pending);
    event
        .metadata("policy", json(serde_json::to_value(policy)))
        .build()
}

/// Returns the event of the same run as it ended.
pub(super) fn end(
    begun: &AuditEvent,
    policy: &RetentionPolicy,
    report: &RetentionReport,
    error: Option<&RetentionError>,
) -> AuditEvent {
    let event = AuditEvent::builder(
        begun.actor().clone(),
        begun.action(),
        begun.target().clone(),
    )
    .id(begun.id())
    .created_at(begun.created_at())
    .duration(report.took)
    .metadata("policy", json(serde_json::to_value(policy)))
    .metadata("report", json(serde_json::to_value(report)));
    let event = match error {
        None => event.outcome(Outcome::Success),
        Some(error) => event.outcome(Outcome::Failure).reason(reason(error)),
    };
    event.build().completing()
}

/// Returns a stable code.
fn reason(error: &RetentionError) -> &'static str {
    match error {
        RetentionError::LeaseLost | RetentionError::Busy { .. } => "lease_lost",
        RetentionError::Hold { .. } => "unknown_hold",
        _ => "store_failed",
    }
}

/// What is written by its derive always serializes.
fn json(value: serde_json::Result<Value>) -> Value {
    value.unwrap_or_default()
}

const ACTION: &str = "audit.log.prune";
