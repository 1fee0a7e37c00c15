//! Makes an event, field by field.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;

use super::{
    Action, Actor, AuditEvent, Captured, EventId, Metadata, Outcome, Target, Text, text::MAX_ID,
    words::MAX_WORD,
};

/// Builds an [`AuditEvent`]; made by [`AuditEvent::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct AuditEventBuilder {
    id: Option<EventId>,
    // In a box: each setter would move all of it.
    event: Box<AuditEvent>,
}

impl AuditEventBuilder {
    pub(super) fn new(actor: Actor, action: Action, target: Target) -> Self {
        let event = AuditEvent {
            id: EventId::from_uuid(uuid::Uuid::nil()),
            created_at: Utc::now(),
            actor,
            action,
            target,
            outcome: Outcome::Success,
            reason: None,
            metadata: Metadata::default(),
            ip_address: None,
            peer_address: None,
            user_agent: None,
            status: None,
            method: None,
            route: None,
            path: None,
            duration: None,
            request_id: None,
            trace_id: None,
            tenant_id: None,
            service: None,
            captured: None,
            recorded_at: None,
            completes_pending: false,
        };
        Self {
            id: None,
            event: Box::new(event),
        }
    }

    /// Sets the identity. Defaults to a new UUIDv7 of the time.
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets when it happened. Defaults to now.
    pub fn created_at(mut self, time: DateTime<Utc>) -> Self {
        self.event.created_at = time;
        self
    }

    /// Sets how it ended. Defaults to success.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.event.outcome = outcome;
        self
    }

    /// Sets why it failed: a stable code, never a secret. Cut to 512 bytes. Defaults to none.
    pub fn reason(mut self, code: impl Into<Text>) -> Self {
        self.event.reason = Some(code.into().cap(MAX_ID));
        self
    }

    /// Adds a member to the metadata. A member of the same name is replaced.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.event.metadata.insert(key, value);
        self
    }

    /// Replaces the metadata. Defaults to an empty object.
    pub fn all_metadata(mut self, metadata: Metadata) -> Self {
        self.event.metadata = metadata;
        self
    }

    /// Sets the address of the client. Defaults to none.
    pub fn ip_address(mut self, address: IpAddr) -> Self {
        self.event.ip_address = Some(address);
        self
    }

    /// Sets the address at the other end of the socket. Defaults to none.
    pub fn peer_address(mut self, address: IpAddr) -> Self {
        self.event.peer_address = Some(address);
        self
    }

    /// Sets what the client called itself. Cut to 512 bytes. Defaults to none.
    pub fn user_agent(mut self, user_agent: impl Into<Text>) -> Self {
        self.event.user_agent = Some(user_agent.into().cap(MAX_ID));
        self
    }

    /// Sets the HTTP status that was sent. Defaults to none.
    pub fn status(mut self, status: u16) -> Self {
        self.event.status = Some(status);
        self
    }

    /// Sets the HTTP method. Cut to 128 bytes. Defaults to none.
    pub fn method(mut self, method: impl Into<Text>) -> Self {
        self.event.method = Some(method.into().cap(MAX_WORD));
        self
    }

    /// Sets the template that the router matched. Cut to 512 bytes. Defaults to none.
    pub fn route(mut self, template: impl Into<Text>) -> Self {
        self.event.route = Some(template.into().cap(MAX_ID));
        self
    }

    /// Sets the path, without its query. Cut to 2,048 bytes. Defaults to none.
    pub fn path(mut self, path: impl Into<Text>) -> Self {
        self.event.path = Some(path.into().cap(MAX_PATH));
        self
    }

    /// Sets how long it took; cut to whole microseconds. Defaults to none.
    pub fn duration(mut self, duration: Duration) -> Self {
        // The column is a signed 64-bit number of microseconds: 292,000 years.
        let micros = u64::try_from(duration.as_micros())
            .unwrap_or(u64::MAX)
            .min(i64::MAX.unsigned_abs());
        self.event.duration = Some(Duration::from_micros(micros));
        self
    }

    /// Sets the request id. Cut to 512 bytes. Defaults to none.
    pub fn request_id(mut self, id: impl Into<Text>) -> Self {
        self.event.request_id = Some(id.into().cap(MAX_ID));
        self
    }

    /// Sets the trace id. Cut to 128 bytes. Defaults to none.
    pub fn trace_id(mut self, id: impl Into<Text>) -> Self {
        self.event.trace_id = Some(id.into().cap(MAX_WORD));
        self
    }

    /// Sets the tenant. Cut to 512 bytes. Defaults to none.
    pub fn tenant_id(mut self, id: impl Into<Text>) -> Self {
        self.event.tenant_id = Some(id.into().cap(MAX_ID));
        self
    }

    /// Sets the writer, as `name@version`. Cut to 512 bytes. Defaults to what the auditor that
    /// records the event was told.
    pub fn service(mut self, service: impl Into<Text>) -> Self {
        self.event.service = Some(service.into().cap(MAX_ID));
        self
    }

    /// Sets what was captured of the request and the response. Nothing in it may be secret any more. Defaults
    /// to none.
    pub fn captured(mut self, parts: impl Into<Captured>) -> Self {
        self.event.captured = Some(parts.into());
        self
    }

    /// Sets when the store got it. For stores, which read it back.
    pub fn recorded_at(mut self, time: DateTime<Utc>) -> Self {
        self.event.recorded_at = Some(time.trunc_subsecs(6));
        self
    }

    /// Calls the setter if there is a value.
    ///
    /// ```
    /// use tower_audit_core::{Actor, AuditEvent, AuditEventBuilder, Target};
    ///
    /// let status: Option<u16> = None;
    /// let event = AuditEvent::builder(Actor::system(), "report.send", Target::none())
    ///     .maybe(status, AuditEventBuilder::status)
    ///     .build();
    /// assert_eq!(event.status(), None);
    /// ```
    pub fn maybe<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }

    /// Returns the event.
    #[must_use]
    pub fn build(self) -> AuditEvent {
        let mut event = *self.event;
        event.created_at = event.created_at.trunc_subsecs(6);
        let tenant = event.actor.take_tenant();
        event.tenant_id = event.tenant_id.or(tenant);
        event.id = self.id.unwrap_or_else(|| EventId::at(event.created_at));
        event
    }
}

/// The longest path, in bytes.
const MAX_PATH: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    fn built(with: impl FnOnce(AuditEventBuilder) -> AuditEventBuilder) -> AuditEvent {
        with(AuditEvent::builder(
            Actor::anonymous(),
            "thing.read",
            Target::none(),
        ))
        .build()
    }

    #[test]
    fn the_time_is_cut_to_microseconds() {
        let time = DateTime::from_timestamp(1_795_000_000, 123_456_789).unwrap();
        let event = built(|b| b.created_at(time));
        assert_eq!(event.created_at().timestamp_subsec_nanos(), 123_456_000);
    }

    #[test]
    fn the_id_is_of_the_time_of_the_event() {
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let event = built(|b| b.created_at(time));
        assert_eq!(
            event.id().as_uuid().get_timestamp().unwrap().to_unix().0,
            1_700_000_000
        );
    }

    #[test]
    fn the_tenant_of_the_actor_is_that_of_the_event_unless_it_names_one() {
        let of = |actor| AuditEvent::builder(actor, "thing.read", Target::none());
        let actor = || Actor::user(1).tenant("acme");
        let event = of(actor()).build();
        assert_eq!(event.tenant_id(), Some("acme"));
        assert_eq!(event.actor(), &Actor::user(1));
        assert_eq!(
            of(actor()).tenant_id("other").build().tenant_id(),
            Some("other")
        );
    }

    #[test]
    fn a_huge_user_agent_is_cut_and_says_so() {
        let event = built(|b| b.user_agent("M".repeat(100_000)));
        let user_agent = event.user_agent().unwrap();
        assert!(
            user_agent.len() <= 512 && user_agent.ends_with("[cut, 100000 bytes]"),
            "{user_agent}"
        );
    }

    #[test]
    fn a_long_path_is_cut_to_2048_bytes() {
        assert_eq!(
            built(|b| b.path("/".repeat(5_000))).path().unwrap().len(),
            2_048
        );
    }
}
