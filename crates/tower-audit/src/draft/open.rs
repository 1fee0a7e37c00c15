//! The open request.

use std::{pin::Pin, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header::LOCATION};
use tower_audit_core::AuditEvent;

use super::{Ending, facts::request_id, story::Story};
use crate::{
    capture::{Outgoing, Tap},
    context::AuditContext,
    mode::Mode,
};

/// An open request. Exactly one event comes of it: whoever ends it says how, and dropping it open
/// says that the request was dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    context: AuditContext,
    head: Option<Head>,
    is_recorded: bool,
    has_panicked: bool,
}

/// What the head of the response said.
#[derive(Debug)]
pub(crate) struct Head {
    pub(super) status: StatusCode,
    pub(super) duration: Duration,
    pub(super) request_id: Option<HeaderValue>,
    /// Of a response that says that it succeeded.
    pub(super) location: Option<HeaderValue>,
    /// `None` if no rule may ask for the body, or there is none.
    pub(super) body: Option<Outgoing>,
}

/// Waits until the record of a request is kept, or nobody can say so.
pub(crate) type Confirming = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Draft {
    pub(crate) fn open(context: AuditContext) -> Self {
        Self {
            context,
            head: None,
            is_recorded: false,
            has_panicked: false,
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.context.slot().facts.method
    }

    /// Returns whether the response waits for the record.
    pub(crate) fn is_awaited(&self) -> bool {
        let admission = self.context.slot().admission();
        admission.mode > Mode::Background && admission.refused.is_none()
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
    pub(crate) fn head<B>(&mut self, response: &Response<B>) {
        self.context.note_response(response.extensions());
        let facts = &self.context.slot().facts;
        let (status, headers) = (response.status(), response.headers());
        let request_id = if facts.request_id.is_some() {
            None
        } else {
            request_id(headers)
        };
        self.head = Some(Head {
            status,
            duration: facts.started.elapsed(),
            request_id,
            location: headers
                .get(LOCATION)
                .filter(|_| status.is_success())
                .cloned(),
            body: None,
        });
    }

    /// Notes what is known of the body that follows the head.
    pub(crate) fn body(&mut self, headers: &HeaderMap, length: Option<u64>) {
        if let Some(head) = &mut self.head
            && self.context.slot().plan.has_response_body
        {
            head.body = Some(Outgoing::of(headers, length));
        }
    }

    /// Returns what is to watch the body of the response, if anything is.
    pub(crate) fn watch_body(&mut self) -> Option<Arc<Tap>> {
        let limit = self.context.slot().shared.body_limit;
        self.head.as_mut()?.body.as_mut()?.watch(limit)
    }

    /// Records the event.
    pub(crate) fn end(mut self, ending: Ending) {
        self.record(ending);
    }

    /// Records the event, and waits until it is kept; `None` if there is nothing to wait for.
    pub(crate) fn end_and_wait(mut self, ending: Ending) -> Option<Confirming> {
        self.is_recorded = true;
        let slot = self.context.slot();
        // Whoever is waited for has room, and gives it back if there is nothing to record.
        let permit = slot.admission().permit.take();
        let (event, permit) = (self.event(ending)?, permit?);
        let auditor = slot.shared.auditor.clone();
        Some(Box::pin(async move {
            if let Err(reason) = auditor.record_reserved_durable(permit, event).await {
                auditor.note_unconfirmed(reason);
            }
        }))
    }

    fn record(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.is_recorded, true) {
            return;
        }
        let slot = self.context.slot();
        let permit = slot.admission().permit.take();
        if let Some(event) = self.event(ending) {
            match permit {
                Some(permit) => slot.shared.auditor.record_reserved(permit, event),
                None => slot.shared.auditor.record(event),
            }
        }
    }

    /// Returns the event, if the request is to be recorded.
    fn event(&self, ending: Ending) -> Option<AuditEvent> {
        let slot = self.context.slot();
        let notes = std::mem::take(&mut *slot.notes());
        Story::new(slot, notes, self.head.as_ref()).end(ending)
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
