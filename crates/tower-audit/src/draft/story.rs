//! Makes the event of what is known of a request.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderValue, StatusCode};
use tower_audit_core::{
    Actor, ActorKind, AuditEvent, AuditEventBuilder as Builder, Metadata, Outcome, Target, Text,
};

use super::{Ending, open::Head, trace::trace_id};
use crate::{
    annotation::Annotation,
    context::{Mark, Notes, Slot},
    naming,
    policy::{Recorded, Subject},
    route::Template,
};

/// What is known of a request.
pub(crate) struct Story<'a> {
    slot: &'a Slot,
    notes: Notes,
    head: Option<&'a Head>,
    template: Option<Template>,
}

impl<'a> Story<'a> {
    pub(crate) fn new(slot: &'a Slot, mut notes: Notes, head: Option<&'a Head>) -> Self {
        let template = slot.facts.template.clone();
        let template = template.or_else(|| notes.template.take());
        Self {
            slot,
            notes,
            head,
            template,
        }
    }

    /// Returns the event that says that the request has begun.
    pub(crate) fn pending(self) -> AuditEvent {
        let annotation = self.annotation();
        self.event(annotation.as_deref(), Outcome::Pending, None, None)
    }

    /// Returns the event that says how the request ended, if it is to be recorded.
    pub(super) fn end(self, ending: Ending) -> Option<AuditEvent> {
        let (is_intended, refused) = {
            let admission = self.slot.admission();
            (admission.is_intended, admission.refused)
        };
        let status = self.head.map(|head| head.status);
        let outcome = ending.outcome(
            self.notes.outcome,
            self.notes.failed,
            status.map(|status| status.as_u16()),
        );
        // What a method router was told of one method does not hold for those it refuses.
        let annotation = self
            .annotation()
            .filter(|_| status != Some(StatusCode::METHOD_NOT_ALLOWED));
        let (policy, subject) = (self.slot.policy.clone(), self.subject(outcome));
        let is_recorded = match (self.notes.mark, &annotation) {
            // There is a pending row that waits for its end.
            _ if is_intended => true,
            // What could not be recorded did not happen, and does not take the room of what did.
            _ if refused.is_some() => false,
            (Some(mark), _) => mark == Mark::Record,
            (None, Some(annotation)) => !annotation.is_skip(),
            (None, None) => policy.decide(&subject, || self.slot.event_id()).is_some(),
        };
        if !is_recorded {
            return None;
        }
        // Also of what is recorded for another reason.
        let recorded = policy.matching(&subject);
        let reason = refused.map(|_| REFUSED).or(ending.reason());
        let event = self.event(annotation.as_deref(), outcome, reason, recorded);
        Some(if is_intended {
            event.completing()
        } else {
            event
        })
    }

    /// Returns an event of something else that was done in the request: who, from where and on which route is the
    /// same.
    pub(crate) fn within(mut self, action: &'static str, target: Target) -> Builder {
        let actor = self.notes.actor.take().unwrap_or_else(Actor::anonymous);
        let event = AuditEvent::builder(actor, Text::from_static(action), target);
        self.with_origin(event)
            .maybe(self.template().map(capped_path), Builder::route)
            .maybe(self.notes.tenant_id, Builder::tenant_id)
    }

    fn event(
        mut self,
        annotation: Option<&Annotation>,
        outcome: Outcome,
        reason: Option<&'static str>,
        recorded: Option<&Recorded>,
    ) -> AuditEvent {
        let event = self.named(annotation);
        let event = self.with_facts(event).outcome(outcome);
        let template = self.template();
        let event = event.maybe(template.map(capped_path), Builder::route);
        let captured = recorded.and_then(|recorded| self.captured(recorded, outcome));
        let reason = self.notes.reason.or(reason.map(Text::from_static));
        event
            .maybe(reason, Builder::reason)
            .maybe(self.notes.tenant_id, Builder::tenant_id)
            .all_metadata(self.notes.metadata)
            .maybe(captured, Builder::captured)
            .build()
    }

    /// Returns what the policy decides on.
    fn subject(&self, outcome: Outcome) -> Subject<'_> {
        let facts = &self.slot.facts;
        let actor = self.notes.actor.as_ref();
        let subject = Subject::new(facts.method.clone(), facts.path())
            .actor(actor.map_or(ActorKind::Anonymous, Actor::kind))
            .maybe_status(self.head.map(|head| head.status.as_u16()))
            .outcome(outcome);
        let subject = match self.template() {
            Some(template) => subject.route(template),
            None => subject,
        };
        let tenant = self.notes.tenant_id.as_ref().map(Text::as_str);
        match tenant.or_else(|| actor?.tenant_id()) {
            Some(tenant) => subject.tenant(tenant),
            None => subject,
        }
    }

    fn captured(&self, recorded: &Recorded, outcome: Outcome) -> Option<Metadata> {
        let Slot {
            shared,
            facts,
            incoming,
            ..
        } = self.slot;
        let response = self.head.and_then(|head| head.body.as_ref());
        incoming.captured(
            recorded,
            facts.uri.query(),
            response,
            outcome,
            &shared.redaction,
        )
    }

    /// Returns the path, without what its template calls a secret.
    fn path(&self) -> Cow<'a, str> {
        let (path, redaction) = (self.slot.facts.path(), &self.slot.shared.redaction);
        let annotation = self.annotation();
        let target = annotation
            .as_ref()
            .and_then(|known| known.target_param.as_ref());
        let is_target = |name: &str| target.is_some_and(|target| target.as_str() == name);
        let is_secret = |name: &str| redaction.is_secret(name, is_target(name));
        match self.template() {
            Some(template) if naming::has_param_like(template, is_secret) => {
                let value =
                    |name: &str, value: &str| redaction.of_parameter(name, value, is_target(name));
                let path = naming::with_values(template, path, value);
                // If the path is not of its template, nobody knows where the secret is.
                let path = path.unwrap_or_else(|| template.to_owned());
                Cow::Owned(redaction.shown(&path).into_owned())
            }
            _ if path.contains(['=', '%']) => redaction.shown(path),
            _ => Cow::Borrowed(path),
        }
    }

    fn template(&self) -> Option<&str> {
        self.template.as_ref().map(Template::as_str)
    }

    fn annotation(&self) -> Option<Arc<Annotation>> {
        let Slot { shared, facts, .. } = self.slot;
        let from_table = || {
            let routes = &shared.routes;
            routes.annotation(&facts.method, self.template()?).cloned()
        };
        self.notes.annotation.clone().or_else(from_table)
    }

    /// Says who did what to which resource: what the handler said goes before the annotation, and
    /// that before the convention.
    fn named(&mut self, annotation: Option<&Annotation>) -> Builder {
        let (action, target) = (self.notes.action.take(), self.notes.target.take());
        let (target_id, actor) = (self.notes.target_id.take(), self.notes.actor.take());
        let convention = naming::convention(&self.slot.facts.method, self.template());
        let action = action.or_else(|| annotation.and_then(|annotation| annotation.action.clone()));
        let kind = annotation.and_then(|annotation| annotation.target_kind.clone());
        let param = match annotation.filter(|annotation| annotation.target_kind.is_some()) {
            Some(annotation) => annotation.target_param.as_ref().map(Text::as_str),
            None => convention.target_param,
        };
        let is_named = annotation.is_some_and(|annotation| annotation.target_param.is_some());
        let target = target.unwrap_or_else(|| {
            let id = param.and_then(|param| self.param(self.template()?, param, is_named));
            Target::new(
                kind.unwrap_or(convention.target_kind),
                id.unwrap_or_default(),
            )
        });
        let target_id = target_id.or_else(|| self.created_id(annotation?));
        let target = match target_id {
            Some(id) => Target::new(target.kind(), id),
            None => target,
        };
        let actor = actor.unwrap_or_else(Actor::anonymous);
        AuditEvent::builder(actor, action.unwrap_or(convention.action), target)
    }

    /// Returns the id of what was created, from the `Location` of the response, if the annotation asks for it.
    fn created_id(&self, annotation: &Annotation) -> Option<Text> {
        let head = self.head.filter(|_| annotation.has_id_in_location)?;
        let path = head.location.as_ref()?.to_str().ok()?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        // What follows `//` is a host, and says nothing about what was created.
        let path = path.split_once("//").map_or(path, |(_, rest)| {
            rest.split_once('/').map_or("", |(_, path)| path)
        });
        let last = path.trim_end_matches('/').rsplit('/').next()?;
        let id = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
        Some(Text::from(id)).filter(|id| !id.as_str().is_empty())
    }

    fn param(&self, template: &str, param: &str, is_named: bool) -> Option<Cow<'_, str>> {
        let value = naming::value(template, self.slot.facts.path(), param);
        if value.is_none() && !naming::has_param(template, param) {
            self.slot.shared.warn_of_param(template, param);
        }
        let redaction = &self.slot.shared.redaction;
        let treated = value
            .as_ref()
            .and_then(|value| redaction.of_parameter(param, value, is_named));
        let shown = |value: Cow<'_, str>| Cow::Owned(redaction.shown(&value).into_owned());
        match treated {
            Some(treated) => Some(Cow::Owned(treated)),
            None if value.as_ref().is_some_and(|value| value.contains('=')) => value.map(shown),
            None => value,
        }
    }

    /// Adds what the request and the head of the response said.
    fn with_facts(&self, event: Builder) -> Builder {
        let (facts, head) = (&self.slot.facts, self.head);
        let duration = head.map_or_else(|| facts.started.elapsed(), |head| head.duration);
        self.with_origin(event)
            .id(self.slot.event_id())
            .created_at(facts.arrived_at)
            .maybe(head.map(|head| head.status.as_u16()), Builder::status)
            .duration(duration)
    }

    /// Adds from where the request came.
    fn with_origin(&self, event: Builder) -> Builder {
        let facts = &self.slot.facts;
        let header = |value: &HeaderValue| {
            Text::capped(&String::from_utf8_lossy(value.as_bytes()), MAX_HEADER)
        };
        let trace = facts
            .traceparent
            .as_ref()
            .and_then(|header| header.to_str().ok())
            .and_then(trace_id);
        let request_id = facts.request_id.as_ref();
        let request_id = request_id.or_else(|| self.head?.request_id.as_ref());
        event
            .maybe(facts.client, Builder::ip_address)
            .maybe(facts.peer, Builder::peer_address)
            .maybe(facts.user_agent.as_ref().map(header), Builder::user_agent)
            .method(facts.method.as_str())
            .path(capped_path(&self.path()))
            .maybe(request_id.map(header), Builder::request_id)
            .maybe(trace.map(Text::from), Builder::trace_id)
    }
}

/// Looks at no more of a long text than is kept.
fn capped_path(path: &str) -> Text {
    Text::capped(path, MAX_PATH)
}

/// The reason of a request that was refused because its record could not be kept.
const REFUSED: &str = "audit_unavailable";

/// What the columns keep, in bytes.
const MAX_HEADER: usize = 512;
const MAX_PATH: usize = 2_048;
