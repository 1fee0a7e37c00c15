//! The open request.

use std::{fmt, pin::Pin, sync::Arc};

use http::{HeaderMap, Method, Response, header::LOCATION};
use tower_audit_core::{
    AuditEvent, Text,
    delivery::{NotKept, Permit},
};

use super::{
    Ending,
    closed::Closed,
    end::{End, Head, Promise},
    texts::request_id,
};
use crate::{
    capture::{Outgoing, Tap},
    context::{Current, Slot},
    mode::Mode,
};

/// An open request. Exactly one event comes of it: whoever ends it says how, and dropping it open
/// says that the request was dropped.
pub(crate) struct Draft {
    slot: Arc<Slot>,
    is_recorded: bool,
    has_panicked: bool,
}

/// Waits until the record of a request is kept, or nobody can say so.
pub(crate) type Confirming = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Draft {
    pub(crate) fn open(slot: Arc<Slot>) -> Self {
        Self {
            slot,
            is_recorded: false,
            has_panicked: false,
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.slot.facts.method
    }

    /// Returns whether the response waits for the record.
    pub(crate) fn is_awaited(&self) -> bool {
        let admission = self.slot.admission_so_far();
        admission.is_some_and(|now| now.mode > Mode::Background && now.refused.is_none())
    }

    /// Runs a piece of the inner service: the context is current, and a panic is noted.
    #[inline]
    pub(crate) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let current = Current::Request(Arc::clone(&self.slot));
        let mut watch = Watch {
            draft: self,
            is_done: false,
        };
        let result = current.scope(run);
        watch.is_done = true;
        result
    }

    /// Notes the head of the response.
    pub(crate) fn head<B>(&mut self, response: &Response<B>) {
        self.slot.note_response(response.extensions());
        let slot = &self.slot;
        let duration = slot.facts.elapsed();
        let (status, headers) = (response.status(), response.headers());
        let request_id = if slot.facts.texts.has_request_id() {
            None
        } else {
            request_id(headers)
        };
        let mut notes = slot.notes();
        let names_created = slot
            .annotation(&notes)
            .is_some_and(|known| known.has_id_in_location);
        let created_id = if names_created && status.is_success() {
            created_id(headers)
        } else {
            None
        };
        notes.head = Some(Head { status, duration });
        if request_id.is_some() || created_id.is_some() {
            let said = notes.say();
            said.request_id = request_id;
            said.created_id = created_id;
        }
    }

    /// Notes what is known of the body that follows the head.
    pub(crate) fn body(&mut self, headers: &HeaderMap, length: Option<u64>) {
        let slot = &self.slot;
        if slot.plan.has_response_body {
            slot.notes().say().body = Some(Outgoing::of(headers, length));
        }
    }

    /// Returns what is to watch the body of the response, if anything is.
    pub(crate) fn watch_body(&mut self) -> Option<Arc<Tap>> {
        let slot = &self.slot;
        if !slot.plan.has_response_body {
            return None;
        }
        let mut notes = slot.notes();
        let body = notes.say().body.as_mut()?;
        body.watch(slot.shared.body_limit)
    }

    /// Records the event.
    pub(crate) fn end(mut self, ending: Ending) {
        self.record(ending);
    }

    /// Records the event, and waits until it is kept; `None` if there is nothing to wait for.
    pub(crate) fn end_and_wait(mut self, ending: Ending) -> Option<Confirming> {
        self.is_recorded = true;
        // Whoever is waited for has room, and gives it back if there is nothing to record.
        let (closed, permit) = self.close(ending);
        let event = closed?.event();
        let auditor = self.slot.shared.auditor.clone();
        let Some(permit) = permit else {
            // It went away while it waited for more.
            auditor.record(event);
            auditor.note_unconfirmed(NotKept::Full);
            return None;
        };
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
        let (Some(mut closed), permit) = self.close(ending) else {
            return;
        };
        let slot = &self.slot;
        let auditor = &slot.shared.auditor;
        match (slot.is_light(), permit) {
            (true, Some(permit)) => permit.send_deferred(closed),
            (true, None) => auditor.record_deferred(closed),
            (false, Some(permit)) => permit.send(closed.event()),
            (false, None) => auditor.record(closed.event()),
        }
    }

    /// Takes what is known of the request, if it is recorded, and the room that is reserved for it. What is said
    /// from now on goes nowhere.
    fn close(&mut self, ending: Ending) -> (Option<Box<Closed>>, Option<Permit<AuditEvent>>) {
        let slot = &self.slot;
        let (permit, promise) = {
            let mut admission = slot.admission_so_far();
            let admission = admission.as_mut();
            let promise = Promise {
                is_intended: admission.as_ref().is_some_and(|now| now.is_intended),
                was_refused: admission.as_ref().is_some_and(|now| now.refused.is_some()),
            };
            (admission.and_then(|now| now.permit.take()), promise)
        };
        let mut notes = slot.notes();
        notes.is_over = true;
        notes.end = End::of(slot, &notes, ending, promise);
        // What was captured of it is part of the end. Nothing else may hold on to what the client made large.
        notes.forget_body();
        if notes.end.is_none() {
            return (None, permit);
        }
        if Arc::strong_count(slot) > 1 {
            // Who still has the context may ask for the id of the row.
            slot.event_id();
        }
        (Some(Closed::of(slot, &mut notes)), permit)
    }
}

/// Returns the id of what was created, from the `Location` of the response.
fn created_id(headers: &HeaderMap) -> Option<Text> {
    let path = headers.get(LOCATION)?.to_str().ok()?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // What follows `//` is a host, and says nothing about what was created.
    let path = path.split_once("//").map_or(path, |(_, rest)| {
        rest.split_once('/').map_or("", |(_, path)| path)
    });
    let last = path.trim_end_matches('/').rsplit('/').next()?;
    let id = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    Some(Text::from(id)).filter(|id| !id.as_str().is_empty())
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

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("is_recorded", &self.is_recorded)
            .finish_non_exhaustive()
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
