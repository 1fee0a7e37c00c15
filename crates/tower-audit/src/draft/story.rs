//! Makes the event of what is known of a request.

use std::{borrow::Cow, sync::Arc};

use tower_audit_core::{
    Actor, AuditEvent, AuditEventBuilder as Builder, EventId, Metadata, Outcome, Target, Text,
};

use super::{End, Facts, closed::Teller, trace::trace_id};
use crate::{annotation::Annotation, context::Notes, naming::Named, route::Template};

/// What is known of a request.
pub(crate) struct Story<'a> {
    teller: &'a Teller,
    facts: &'a Facts,
    notes: &'a Notes,
    template: Option<&'a str>,
    named: Arc<Named>,
}

impl<'a> Story<'a> {
    pub(crate) fn of(teller: &'a Teller, facts: &'a Facts, notes: &'a Notes) -> Self {
        let inner = || notes.template.as_ref().map(Template::as_str);
        let template = facts.template().or_else(inner);
        let named = teller.names.of(&facts.method, template, &teller.redaction);
        Self {
            teller,
            facts,
            notes,
            template,
            named,
        }
    }

    /// Returns an event of something else that was done in the request: who, from where and on which route is the
    /// same.
    pub(crate) fn within(
        self,
        action: &'static str,
        target: Target,
        annotation: Option<&Annotation>,
    ) -> Builder {
        let event = AuditEvent::builder(self.actor(), Text::from_static(action), target);
        self.with_origin(event, annotation)
            .maybe(self.named.route.clone(), Builder::route)
            .maybe(self.notes.said().tenant_id.clone(), Builder::tenant_id)
    }

    /// Returns the event that says that the request has begun.
    pub(crate) fn begun(self, id: EventId, annotation: Option<Arc<Annotation>>) -> AuditEvent {
        let end = End::unknown(self.facts, annotation, Outcome::Pending);
        let metadata = self.notes.said().metadata.clone();
        self.event(id, end, metadata)
    }

    /// Returns the event that says how the request ended.
    pub(super) fn ended(self, id: EventId, end: End, metadata: Metadata) -> AuditEvent {
        let is_intended = end.is_intended;
        let event = self.event(id, end, metadata);
        if is_intended {
            event.completing()
        } else {
            event
        }
    }

    fn event(self, id: EventId, end: End, metadata: Metadata) -> AuditEvent {
        let (facts, notes) = (self.facts, self.notes);
        let head = notes.head.as_ref();
        let annotation = end.annotation.as_deref();
        let said = notes.said();
        let reason = said.reason.clone();
        let reason = reason.or_else(|| end.reason.map(Text::from_static));
        self.with_origin(self.begin(annotation), annotation)
            .id(id)
            .created_at(facts.arrived_at())
            .maybe(head.map(|head| head.status.as_u16()), Builder::status)
            .duration(end.duration)
            .outcome(end.outcome)
            .maybe(self.named.route.clone(), Builder::route)
            .maybe(reason, Builder::reason)
            .maybe(said.tenant_id.clone(), Builder::tenant_id)
            .all_metadata(metadata)
            .maybe(end.captured, Builder::captured)
            .maybe(self.teller.service.clone(), Builder::service)
            .build()
    }

    /// Says who did what to which resource: what the handler said goes before the annotation, and
    /// that before the convention.
    fn begin(&self, annotation: Option<&Annotation>) -> Builder {
        let said = self.notes.said();
        let annotated = || annotation.and_then(|known| known.action.as_ref());
        let action = said.action.as_ref().or_else(annotated);
        let action = action.unwrap_or(&self.named.action).clone();
        let target = said.target.clone();
        let target = target.unwrap_or_else(|| self.target(annotation));
        let target = match said.target_id.as_ref().or(said.created_id.as_ref()) {
            Some(id) => target.with_id(id.clone()),
            None => target,
        };
        AuditEvent::builder(self.actor(), action, target)
    }

    fn actor(&self) -> Actor {
        self.notes.actor.clone().unwrap_or_else(Actor::anonymous)
    }

    /// Returns the target that the annotation or the convention says.
    fn target(&self, annotation: Option<&Annotation>) -> Target {
        let named = &self.named;
        let (kind, param) = match annotation.and_then(|known| known.target_kind.as_ref()) {
            Some(kind) => (
                kind,
                annotation.and_then(|known| known.target_param.as_ref()),
            ),
            None => (&named.target_kind, named.target_param.as_ref()),
        };
        let id =
            param.and_then(|param| self.param(self.template?, param, annotated_param(annotation)));
        Target::new(kind.clone(), id.unwrap_or_default())
    }

    /// Returns the value of a parameter, as it may be stored.
    fn param(&self, template: &str, param: &Text, target: Option<&str>) -> Option<Cow<'_, str>> {
        let param = param.as_str();
        let value = self.named.pattern.value(self.facts.path(), param);
        if value.is_none() && !self.named.has_param(param) {
            self.teller.warn_of_param(template, param);
        }
        let (value, redaction) = (value?, &self.teller.redaction);
        if self.named.is_secret(param, target) {
            let treated = redaction.of_parameter(param, &value, target == Some(param));
            return treated.map(Cow::Owned);
        }
        if value.contains('=') {
            return Some(Cow::Owned(redaction.shown(&value).into_owned()));
        }
        Some(value)
    }

    /// Returns the path, without what its template calls a secret.
    fn path(&self, target: Option<&str>) -> Cow<'a, str> {
        let (path, redaction) = (self.facts.path(), &self.teller.redaction);
        let may_hide = |found: bool, byte: &u8| found | (*byte == b'=') | (*byte == b'%');
        match self.template {
            Some(template) if self.named.has_secret(target) => {
                let value = |name: &str, value: &str| {
                    redaction.of_parameter(name, value, target == Some(name))
                };
                let path = self.named.pattern.with_values(path, value);
                // If the path is not of its template, nobody knows where the secret is.
                let path = path.unwrap_or_else(|| template.to_owned());
                Cow::Owned(redaction.shown(&path).into_owned())
            }
            _ if path.as_bytes().iter().fold(false, may_hide) => redaction.shown(path),
            _ => Cow::Borrowed(path),
        }
    }

    /// Adds from where the request came.
    fn with_origin(&self, event: Builder, annotation: Option<&Annotation>) -> Builder {
        let (facts, texts) = (self.facts, &self.facts.texts);
        let request_id = texts.request_id();
        let request_id = request_id.or_else(|| self.notes.said().request_id.clone());
        let trace = texts.traceparent().and_then(trace_id);
        event
            .maybe(facts.client, Builder::ip_address)
            .maybe(facts.peer, Builder::peer_address)
            .maybe(texts.user_agent(), Builder::user_agent)
            .method(self.named.method.clone())
            .path(Text::capped(
                &self.path(annotated_param(annotation)),
                MAX_PATH,
            ))
            .maybe(request_id, Builder::request_id)
            .maybe(trace.map(Text::from), Builder::trace_id)
    }
}

/// Returns the parameter that an annotation calls the target.
fn annotated_param(annotation: Option<&Annotation>) -> Option<&str> {
    annotation?.target_param.as_ref().map(Text::as_str)
}

/// What the columns keep of a path, in bytes.
const MAX_PATH: usize = 2_048;
