//! A call of an audited function, while it runs.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, Utc};
use tower_audit_core::{
    Actor, AuditEvent, AuditEventBuilder as Builder, Auditor, Outcome, Target, Text,
};

use super::{job::Job, reason::Failure};
use crate::{
    context::{Current, Slot},
    privacy::Redaction,
};

/// A call of an audited function, while it runs. Dropping it says that it was dropped, or that it panicked.
#[must_use = "dropping it says that the function was dropped"]
pub struct Call {
    place: Place,
    action: &'static str,
    target: Target,
    created_at: DateTime<Utc>,
    started: Instant,
}

/// Where a call is recorded.
enum Place {
    /// It names the request.
    Request(Arc<Slot>),
    /// It has a row of its own, in a request that another one names.
    InRequest(Arc<Slot>),
    Job(Auditor, Actor),
    /// It was recorded, or cannot be.
    Nowhere,
}

impl Place {
    fn of(job: Job) -> Self {
        let (auditor, actor) = job.into_parts();
        Self::Job(auditor, actor)
    }
}

impl Call {
    /// Notes that the function begins.
    pub fn begin(action: &'static str, target: Option<(&'static str, String)>) -> Self {
        let target = target.map_or_else(Target::none, |(kind, id)| Target::new(kind, id));
        let place = match Current::get() {
            Current::Request(slot) if slot.claim(action, &target) => Place::Request(slot),
            Current::Request(slot) => Place::InRequest(slot),
            Current::Ignored => Job::running().map_or(Place::Nowhere, Place::of),
            Current::Nobody => match Job::current() {
                Some(job) => Place::of(job),
                None => {
                    warn_of_nobody(action);
                    Place::Nowhere
                }
            },
        };
        Self {
            place,
            action,
            target,
            created_at: Utc::now(),
            started: Instant::now(),
        }
    }

    /// Notes that the function has returned.
    pub fn end(mut self, failure: Option<Failure>) {
        let redacted = |failure: Failure| match &self.place {
            Place::Request(slot) | Place::InRequest(slot) => {
                failure.redacted(slot.shared.redaction())
            }
            Place::Job(..) | Place::Nowhere => failure.redacted(&Redaction::default()),
        };
        let (outcome, reason) = failure.map_or((Outcome::Success, None), redacted);
        self.record(outcome, reason);
    }

    fn record(&mut self, outcome: Outcome, reason: Option<Text>) {
        match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Request(slot) => slot.note_call(outcome, reason),
            Place::InRequest(slot) => {
                let event = slot.event_within(self.action, self.target.clone());
                let event = self.ended(event, outcome, reason);
                slot.shared.auditor.record(event);
            }
            Place::Job(auditor, actor) => {
                let event = AuditEvent::builder(actor, self.action, self.target.clone());
                auditor.record(self.ended(event, outcome, reason));
            }
            Place::Nowhere => {}
        }
    }

    fn ended(&self, event: Builder, outcome: Outcome, reason: Option<Text>) -> AuditEvent {
        event
            .created_at(self.created_at)
            .duration(self.started.elapsed())
            .outcome(outcome)
            .maybe(reason, Builder::reason)
            .build()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.record(Outcome::Failure, Some(Text::from_static(PANIC)));
        } else {
            self.record(Outcome::Aborted, None);
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

fn warn_of_nobody(action: &str) {
    static HAS_WARNED: AtomicBool = AtomicBool::new(false);
    if !HAS_WARNED.swap(true, Ordering::Relaxed) {
        tracing::error!(
            audit.action = action,
            "an audited function runs outside of a request and of a job, and no auditor is installed: it is not \
             recorded; call `tower_audit::call::install` when the process starts"
        );
    }
}

const PANIC: &str = "panic";
