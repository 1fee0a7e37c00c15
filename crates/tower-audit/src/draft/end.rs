//! How a request ended, and whether that is recorded.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tower_audit_core::{Actor, ActorKind, Captured, Metadata, Outcome, Text};

use super::{Ending, Facts};
use crate::{
    annotation::Annotation,
    context::{Mark, Notes, Slot},
    policy::{Recorded, Subject, Verdict},
    route::Template,
};

/// What the head of the response said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(super) status: StatusCode,
    pub(super) duration: Duration,
}

/// How a request ended that is recorded.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<&'static str>,
    pub(super) annotation: Option<Arc<Annotation>>,
    pub(super) captured: Option<Captured>,
    pub(super) duration: Duration,
    /// There is a pending row whose end this is.
    pub(super) is_intended: bool,
}

/// What was promised for the record of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    pub(super) is_intended: bool,
    pub(super) was_refused: bool,
}

impl End {
    /// Returns how the request ended, or `None` if it is not recorded.
    pub(super) fn of(slot: &Slot, notes: &Notes, ending: Ending, promise: Promise) -> Option<Self> {
        let status = notes.head.as_ref().map(|head| head.status);
        let outcome = ending.outcome(
            notes.outcome,
            notes.failed,
            status.map(|status| status.as_u16()),
        );
        // What a method router was told of one method does not hold for those it refuses.
        let annotation = slot
            .annotation(notes)
            .filter(|_| status != Some(StatusCode::METHOD_NOT_ALLOWED));
        let subject = subject(slot, notes, status, outcome);
        let verdict = slot.policy.verdict(&subject);
        let recorded = verdict.recorded();
        let is_recorded = match (notes.mark, annotation) {
            // There is a pending row that waits for its end.
            _ if promise.is_intended => true,
            // What could not be recorded did not happen, and does not take the room of what did.
            _ if promise.was_refused => false,
            _ if verdict == Verdict::Ignored => false,
            (Some(mark), _) => mark == Mark::Record,
            (None, Some(annotation)) => !annotation.is_skip(),
            (None, None) => recorded.is_some_and(|how| how.samples(&subject, || slot.event_id())),
        };
        if !is_recorded {
            return None;
        }
        let duration = notes.head.as_ref().map(|head| head.duration);
        Some(Self {
            outcome,
            reason: promise.was_refused.then_some(REFUSED).or(ending.reason()),
            annotation: annotation.cloned(),
            // Also of what is recorded for another reason.
            captured: recorded
                .and_then(|recorded| captured(slot, recorded, notes, outcome).map(Captured::from)),
            duration: duration.unwrap_or_else(|| slot.facts.elapsed()),
            is_intended: promise.is_intended,
        })
    }

    /// Returns the end of a request of which nobody knows how it ended, so far.
    pub(super) fn unknown(
        facts: &Facts,
        annotation: Option<Arc<Annotation>>,
        outcome: Outcome,
    ) -> Self {
        Self {
            outcome,
            reason: None,
            annotation,
            captured: None,
            duration: facts.elapsed(),
            is_intended: false,
        }
    }

    /// Returns roughly how many bytes it takes beside itself.
    pub(crate) fn heap_size(&self) -> usize {
        let captured = self.captured.as_ref();
        captured.map_or(0, |captured| captured.as_json().len())
    }
}

/// Returns what the policy decides on.
fn subject<'a>(
    slot: &'a Slot,
    notes: &'a Notes,
    status: Option<StatusCode>,
    outcome: Outcome,
) -> Subject<'a> {
    let facts = &slot.facts;
    let actor = notes.actor.as_ref();
    let has_rules = slot.policy.has_rules();
    let path = if has_rules { facts.path() } else { "" };
    let subject = Subject::new(facts.method.clone(), path)
        .actor(actor.map_or(ActorKind::Anonymous, Actor::kind))
        .maybe_status(status.map(|status| status.as_u16()))
        .outcome(outcome);
    if !has_rules {
        // Nothing asks for the rest.
        return subject;
    }
    let inner = || notes.template.as_ref().map(Template::as_str);
    let subject = match facts.template().or_else(inner) {
        Some(template) => subject.route(template),
        None => subject,
    };
    let tenant = notes.said().tenant_id.as_ref().map(Text::as_str);
    match tenant.or_else(|| actor?.tenant_id()) {
        Some(tenant) => subject.tenant(tenant),
        None => subject,
    }
}

fn captured(slot: &Slot, recorded: &Recorded, notes: &Notes, outcome: Outcome) -> Option<Metadata> {
    slot.incoming.captured(
        recorded,
        slot.facts.texts.query(),
        notes.said().body.as_ref(),
        outcome,
        slot.shared.redaction(),
    )
}

/// The reason of a request that was refused because its record could not be kept.
const REFUSED: &str = "audit_unavailable";
