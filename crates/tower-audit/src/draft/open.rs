//! The open request.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tower_audit_core::{
    Actor, AuditEvent, AuditEventBuilder as Builder, Target, Text, delivery::Permit,
};

use super::{Ending, Facts, facts::request_id, trace::trace_id};
use crate::{
    annotation::Annotation,
    context::{AuditContext, Mark, Notes},
    layer::Shared,
    naming,
};

/// An open request. Exactly one event comes of it: whoever ends it says how, and dropping it open
/// says that the request was dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    shared: Arc<Shared>,
    context: AuditContext,
    facts: Facts,
    head: Option<Head>,
    permit: Option<Permit<AuditEvent>>,
    is_recorded: bool,
    has_panicked: bool,
}

/// What the head of the response said.
#[derive(Debug)]
struct Head {
    status: StatusCode,
    duration: Duration,
    request_id: Option<HeaderValue>,
}

impl Draft {
    pub(crate) fn open(shared: Arc<Shared>, context: AuditContext, facts: Facts) -> Self {
        Self {
            shared,
            context,
            facts,
            head: None,
            permit: None,
            is_recorded: false,
            has_panicked: false,
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.facts.method
    }

    /// Keeps room in the queue for the event.
    pub(crate) fn hold(&mut self, permit: Option<Permit<AuditEvent>>) {
        self.permit = permit;
    }

    /// Runs a piece of the inner service: the context is current, and a panic is noted.
    pub(crate) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let context = self.context.clone();
        let mut watch = Watch {
            draft: self,
            is_done: false,
        };
        let result = context.scope(run);
        watch.is_done = true;
        result
    }

    /// Notes the head of the response.
    pub(crate) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        let request_id = if self.facts.request_id.is_some() {
            None
        } else {
            request_id(headers)
        };
        self.head = Some(Head {
            status,
            duration: self.facts.started.elapsed(),
            request_id,
        });
    }

    /// Records the event.
    pub(crate) fn end(mut self, ending: Ending) {
        self.record(ending);
    }

    fn record(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.is_recorded, true) {
            return;
        }
        let permit = self.permit.take();
        if let Some(event) = self.event(ending) {
            match permit {
                Some(permit) => self.shared.auditor.record_reserved(permit, event),
                None => self.shared.auditor.record(event),
            }
        }
    }

    /// Returns the event, if the request is to be recorded.
    fn event(&self, ending: Ending) -> Option<AuditEvent> {
        let mut notes = self.context.take();
        let status = self.head.as_ref().map(|head| head.status);
        let outcome = ending.outcome(notes.outcome, status.map(|status| status.as_u16()));
        let template = self
            .facts
            .template
            .clone()
            .or_else(|| notes.template.take());
        let template = template.as_ref().map(|template| template.as_str());
        // What a method router was told of one method does not hold for those it refuses.
        let annotation = self
            .annotation(&notes, template)
            .filter(|_| status != Some(StatusCode::METHOD_NOT_ALLOWED));
        let is_recorded = match (notes.mark, &annotation) {
            (Some(mark), _) => mark == Mark::Record,
            (None, Some(annotation)) => !annotation.is_skip(),
            (None, None) => self.shared.policy.records(&self.facts.method, outcome),
        };
        if !is_recorded {
            return None;
        }
        let reason = notes
            .reason
            .take()
            .or(ending.reason().map(Text::from_static));
        let event = self.named(&mut notes, annotation.as_deref(), template);
        let event = self
            .with_facts(event)
            .outcome(outcome)
            .maybe(reason, Builder::reason);
        let event = event.maybe(template.map(capped_path), Builder::route);
        Some(
            event
                .maybe(notes.tenant_id, Builder::tenant_id)
                .all_metadata(notes.metadata)
                .build(),
        )
    }

    fn annotation(&self, notes: &Notes, template: Option<&str>) -> Option<Arc<Annotation>> {
        let from_table = || {
            self.shared
                .routes
                .annotation(&self.facts.method, template?)
                .cloned()
        };
        notes.annotation.clone().or_else(from_table)
    }

    /// Says who did what to which resource: what the handler said goes before the annotation, and
    /// that before the convention.
    fn named(
        &self,
        notes: &mut Notes,
        annotation: Option<&Annotation>,
        template: Option<&str>,
    ) -> Builder {
        let convention = naming::convention(&self.facts.method, template);
        let action = notes
            .action
            .take()
            .or_else(|| annotation.and_then(|annotation| annotation.action.clone()));
        let kind = annotation.and_then(|annotation| annotation.target_kind.clone());
        let param = match annotation.filter(|annotation| annotation.target_kind.is_some()) {
            Some(annotation) => annotation.target_param.as_ref().map(Text::as_str),
            None => convention.target_param,
        };
        let target = notes.target.take().unwrap_or_else(|| {
            let id = param.and_then(|param| self.param(template?, param));
            Target::new(
                kind.unwrap_or(convention.target_kind),
                id.unwrap_or_default(),
            )
        });
        let target = match notes.target_id.take() {
            Some(id) => Target::new(target.kind(), id),
            None => target,
        };
        let actor = notes.actor.take().unwrap_or_else(Actor::anonymous);
        AuditEvent::builder(actor, action.unwrap_or(convention.action), target)
    }

    fn param(&self, template: &str, param: &str) -> Option<Cow<'_, str>> {
        let value = naming::value(template, self.facts.path(), param);
        if value.is_none() && !naming::has_param(template, param) {
            self.shared.warn_of_param(template, param);
        }
        value
    }

    /// Adds what the request and the head of the response said.
    fn with_facts(&self, event: Builder) -> Builder {
        let facts = &self.facts;
        let head = self.head.as_ref();
        let header = |value: &HeaderValue| {
            Text::capped(&String::from_utf8_lossy(value.as_bytes()), MAX_HEADER)
        };
        let trace = facts
            .traceparent
            .as_ref()
            .and_then(|header| header.to_str().ok())
            .and_then(trace_id);
        let request_id = facts
            .request_id
            .as_ref()
            .or_else(|| head?.request_id.as_ref());
        event
            .id(self.context.event_id())
            .created_at(facts.arrived_at)
            .maybe(facts.peer, Builder::ip_address)
            .maybe(facts.peer, Builder::peer_address)
            .maybe(facts.user_agent.as_ref().map(header), Builder::user_agent)
            .maybe(head.map(|head| head.status.as_u16()), Builder::status)
            .method(facts.method.as_str())
            .path(capped_path(facts.path()))
            .duration(head.map_or_else(|| facts.started.elapsed(), |head| head.duration))
            .maybe(request_id.map(header), Builder::request_id)
            .maybe(trace.map(Text::from), Builder::trace_id)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.record(if self.has_panicked {
            Ending::Panic
        } else {
            Ending::Dropped
        });
    }
}

/// Notes a panic while it unwinds: by the time the draft is dropped, somebody may have caught it.
struct Watch<'a> {
    draft: &'a mut Draft,
    is_done: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.draft.has_panicked |= !self.is_done;
    }
}

/// Looks at no more of a long text than is kept.
fn capped_path(path: &str) -> Text {
    Text::capped(path, MAX_PATH)
}

/// What the columns keep, in bytes.
const MAX_HEADER: usize = 512;
const MAX_PATH: usize = 2_048;
