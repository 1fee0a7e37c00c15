//! The event itself.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    Action, Actor, ActorKind, AuditEventBuilder, Captured, EventId, Metadata, Outcome, Target, Text,
};

/// One thing that somebody did, and how it ended.
///
/// Serialized it is one flat JSON object, named like the columns of the table; what is not known is
/// left out. See the [module page](crate::event) for an example.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    pub(super) id: EventId,
    pub(super) created_at: DateTime<Utc>,
    pub(super) actor: Actor,
    pub(super) action: Action,
    pub(super) target: Target,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<Text>,
    pub(super) metadata: Metadata,
    pub(super) ip_address: Option<IpAddr>,
    pub(super) peer_address: Option<IpAddr>,
    pub(super) user_agent: Option<Text>,
    pub(super) status: Option<u16>,
    pub(super) method: Option<Text>,
    pub(super) route: Option<Text>,
    pub(super) path: Option<Text>,
    pub(super) duration: Option<Duration>,
    pub(super) request_id: Option<Text>,
    pub(super) trace_id: Option<Text>,
    pub(super) tenant_id: Option<Text>,
    pub(super) service: Option<Text>,
    pub(super) captured: Option<Captured>,
    pub(super) recorded_at: Option<DateTime<Utc>>,
    pub(super) completes_pending: bool,
}

fn text(text: &Option<Text>) -> Option<&str> {
    text.as_ref().map(Text::as_str)
}

impl AuditEvent {
    /// Returns a builder for an event that happens now and succeeds, unless it says otherwise.
    pub fn builder(actor: Actor, action: impl Into<Action>, target: Target) -> AuditEventBuilder {
        AuditEventBuilder::new(actor, action.into(), target)
    }

    /// Returns the same event with `service` as its writer, unless it names one already.
    #[must_use]
    pub fn or_service(mut self, service: Option<&Text>) -> Self {
        if self.service.is_none() {
            self.service = service.cloned();
        }
        self
    }

    /// Returns the same event with `time` as the moment when the store got it.
    #[must_use]
    pub(crate) fn recorded(mut self, time: DateTime<Utc>) -> Self {
        self.recorded_at = Some(time);
        self
    }

    /// Returns the same event as the end of a pending one of its id, whose place it takes in the
    /// store. If there is none, it is written like any other.
    ///
    /// What was known when the pending one was written stays: when, from where, and who, unless that
    /// was anonymous.
    #[must_use]
    pub fn completing(mut self) -> Self {
        self.completes_pending = true;
        self
    }

    /// Returns the same pending event, given up.
    #[must_use]
    pub(crate) fn never_completed(mut self) -> Self {
        self.outcome = Outcome::Unknown;
        self.reason = Some(Text::from_static(NEVER_COMPLETED));
        self
    }

    /// Returns whether the end of its request may still take its place.
    pub(crate) fn may_be_completed(&self) -> bool {
        let is_given_up = || self.reason() == Some(NEVER_COMPLETED);
        self.outcome == Outcome::Pending || (self.outcome == Outcome::Unknown && is_given_up())
    }

    /// Returns the same event as a store keeps it.
    #[must_use]
    pub(crate) fn kept(mut self) -> Self {
        self.completes_pending = false;
        self
    }

    /// Returns the same event as it takes the place of a pending one, of which stays what the
    /// database would not let go of either.
    #[must_use]
    pub(crate) fn in_place_of(mut self, pending: &Self) -> Self {
        let who = |actor: &Actor| (actor.kind(), actor.id().to_owned());
        let is_known = pending.actor.kind() != ActorKind::Anonymous;
        if is_known && who(&pending.actor) != who(&self.actor) {
            self.actor = pending.actor.clone();
        }
        self.created_at = pending.created_at;
        self.recorded_at = pending.recorded_at;
        self.ip_address = pending.ip_address;
        self.peer_address = pending.peer_address;
        self.user_agent.clone_from(&pending.user_agent);
        self.method.clone_from(&pending.method);
        self.path.clone_from(&pending.path);
        self.trace_id.clone_from(&pending.trace_id);
        self.service.clone_from(&pending.service);
        self.kept()
    }

    /// Returns whether it is the end of a pending event: see [`completing`](Self::completing). An
    /// event that was read from a store is none.
    #[must_use]
    pub fn is_completion(&self) -> bool {
        self.completes_pending
    }

    /// Returns the identity.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Returns when the request arrived, in whole microseconds.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Returns who did it.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns what was done.
    #[must_use]
    pub fn action(&self) -> &str {
        self.action.as_str()
    }

    /// Returns what it was done to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns how it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns why it failed: a stable code, such as `panic` or `quota_exceeded`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        text(&self.reason)
    }

    /// Returns what the app added.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the address of the client.
    #[must_use]
    pub fn ip_address(&self) -> Option<IpAddr> {
        self.ip_address
    }

    /// Returns the address at the other end of the socket, which no header can change.
    #[must_use]
    pub fn peer_address(&self) -> Option<IpAddr> {
        self.peer_address
    }

    /// Returns what the client called itself. Nobody verified it.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        text(&self.user_agent)
    }

    /// Returns the HTTP status that was sent.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the HTTP method.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        text(&self.method)
    }

    /// Returns the template that the router matched, such as `/projects/{id}`.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        text(&self.route)
    }

    /// Returns the path of the request, without its query.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        text(&self.path)
    }

    /// Returns the time from the arrival to the response head, or to the end where there was no
    /// response. In whole microseconds.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// Returns the `x-request-id`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        text(&self.request_id)
    }

    /// Returns the trace id of the W3C `traceparent`: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        text(&self.trace_id)
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        text(&self.tenant_id)
    }

    /// Returns the writer, as `name@version`.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        text(&self.service)
    }

    /// Returns what a policy asked to capture of the request and the response: headers, the query, bodies.
    /// What was not asked for is not there.
    #[must_use]
    pub fn captured(&self) -> Option<&Captured> {
        self.captured.as_ref()
    }

    /// Returns when the store got the event, or `None` for an event that was not read from one.
    #[must_use]
    pub fn recorded_at(&self) -> Option<DateTime<Utc>> {
        self.recorded_at
    }

    /// Returns roughly how many bytes the event takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = [
            &self.reason,
            &self.user_agent,
            &self.method,
            &self.route,
            &self.path,
            &self.request_id,
            &self.trace_id,
            &self.tenant_id,
        ];
        // The service is one text shared by all events, so it is not counted.
        size_of::<Self>()
            + self.actor.heap_size()
            + self.action.heap_size()
            + self.target.heap_size()
            + self.metadata.heap_size()
            + self
                .captured()
                .map_or(0, |captured| captured.as_json().len())
            + texts
                .into_iter()
                .flatten()
                .map(Text::heap_size)
                .sum::<usize>()
    }
}

/// The reason of a pending event that nobody completed.
const NEVER_COMPLETED: &str = "never_completed";
