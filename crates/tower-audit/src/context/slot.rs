//! What everybody who works on a request shares.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::{Extensions, HeaderMap};
use tower_audit_core::{
    Action, Actor, AlreadyRecorded, AuditEvent, AuditEventBuilder, EventId, Outcome, Target, Text,
};

use super::{Mark, Notes};
use crate::{
    annotation::Annotation,
    capture::Incoming,
    draft::{Facts, Story},
    identify::AuthFailed,
    layer::Shared,
    mode::{Admission, Mode},
    policy::{Plan, Policy},
    route::Template,
};

/// What everybody who works on a request shares.
pub(crate) struct Slot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) facts: Facts,
    /// What the table of the layer says of the route.
    pub(crate) table: Option<Arc<Annotation>>,
    /// The policy of this request, from its arrival to its end.
    pub(crate) policy: Policy,
    pub(crate) plan: Plan,
    pub(crate) incoming: Incoming,
    /// Made when somebody asks: most requests are not recorded.
    id: OnceLock<EventId>,
    notes: Mutex<Notes>,
    /// `None` until something is promised: most requests are promised nothing.
    admission: OnceLock<Mutex<Admission>>,
}

impl Slot {
    #[inline]
    pub(crate) fn new(shared: Arc<Shared>, facts: Facts, headers: &HeaderMap) -> Self {
        let policy = shared.policy.current();
        let plan = policy.plan(&facts.subject(&policy));
        let incoming = Incoming::of(headers, &plan, shared.body_limit);
        let table = shared.annotation(&facts).cloned();
        Self {
            shared,
            facts,
            table,
            policy,
            plan,
            incoming,
            id: OnceLock::new(),
            notes: Mutex::default(),
            admission: OnceLock::new(),
        }
    }

    /// Returns the id, if somebody asked for it.
    pub(crate) fn known_id(&self) -> Option<EventId> {
        self.id.get().copied()
    }

    pub(crate) fn event_id(&self) -> EventId {
        *self.id.get_or_init(|| EventId::at(self.facts.arrived_at()))
    }

    /// Returns the annotation that counts: what was said inside goes before the table.
    pub(crate) fn annotation<'a>(&'a self, notes: &'a Notes) -> Option<&'a Arc<Annotation>> {
        let of_template = || {
            let template = notes.template.as_ref().map(Template::as_str)?;
            let method = self.facts.method();
            self.shared.routes.annotation(method, template)
        };
        let table = self.table.as_ref();
        let from_table = table.or_else(|| of_template().filter(|_| !self.facts.has_template()));
        notes.annotation.as_ref().or(from_table)
    }

    /// Returns what was said so far.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was promised for the record so far.
    pub(crate) fn admission(&self) -> MutexGuard<'_, Admission> {
        let admission = self.admission.get_or_init(Mutex::default);
        admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was promised, if anything was.
    pub(crate) fn admission_so_far(&self) -> Option<MutexGuard<'_, Admission>> {
        let admission = self.admission.get()?;
        Some(admission.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether what is known may wait in the queue: it holds neither captured headers nor bodies.
    pub(crate) fn is_light(&self) -> bool {
        !self.incoming.is_there() && self.facts.texts().are_light()
    }

    /// Returns in which mode a request has to be admitted that turns out to be annotated so, if it was
    /// not admitted before.
    pub(crate) fn admission_of(&self, annotation: &Annotation) -> Option<Mode> {
        if annotation.is_skip() {
            return None;
        }
        let shared = &self.shared;
        let mode = annotation.mode.max(shared.mode);
        let admission = self.admission();
        let needs_room =
            shared.reserves() && admission.permit.is_none() && !admission.was_room_asked_for;
        (mode > admission.mode || needs_room).then_some(mode)
    }

    /// Returns the mode in which the request was admitted.
    pub(crate) fn mode(&self) -> Mode {
        self.admission().mode
    }

    /// Notes what inner code left in the extensions of the response.
    pub(crate) fn note_response(&self, extensions: &Extensions) {
        if let Some(actor) = extensions.get::<Actor>() {
            let actor = actor.clone();
            self.note(|notes| notes.actor = Some(actor));
        }
        if let Some(failed) = extensions.get::<AuthFailed>() {
            self.note(|notes| notes.auth_failed(failed.clone()));
        }
        if extensions.get::<AlreadyRecorded>().is_some() {
            self.note(|notes| notes.mark = Some(Mark::Skip));
        }
    }

    /// Lets an audited function name the request, if none did before.
    pub(crate) fn claim(&self, action: &'static str, target: &Target) -> bool {
        let mut notes = self.notes();
        if notes.is_over || std::mem::replace(&mut notes.is_claimed, true) {
            return false;
        }
        notes.say().action = Some(Action::new(Text::from_static(action)));
        if *target != Target::none() {
            notes.say().to(target.clone());
        }
        notes.mark.get_or_insert(Mark::Record);
        true
    }

    /// Notes how the function ended that named the request.
    pub(crate) fn note_call(&self, outcome: Outcome, reason: Option<Text>) {
        self.note(|notes| {
            notes.failed = Some(outcome).filter(|outcome| *outcome != Outcome::Success);
            // What the function itself said is nearer to what happened.
            if notes.said().reason.is_none() && reason.is_some() {
                notes.say().reason = reason;
            }
        });
    }

    /// Returns an event of something else that was done in this request.
    pub(crate) fn event_within(&self, action: &'static str, target: Target) -> AuditEventBuilder {
        let Self { shared, facts, .. } = self;
        let notes = self.notes();
        let annotation = self.annotation(&notes).map(|known| &**known);
        Story::of(&shared.spares.teller, facts, &notes).within(action, target, annotation)
    }

    pub(crate) fn annotate(&self, annotation: &Arc<Annotation>) {
        self.note(|notes| notes.annotation = Some(Arc::clone(annotation)));
    }

    pub(super) fn note_template(&self, extensions: &Extensions) {
        if !self.facts.has_template()
            && let Some(template) = Template::of(extensions)
        {
            self.note(|notes| notes.template = Some(template));
        }
    }

    /// Returns the event that says that the request has begun.
    pub(crate) fn pending_event(&self) -> AuditEvent {
        let Self { shared, facts, .. } = self;
        let notes = self.notes();
        let annotation = self.annotation(&notes).cloned();
        Story::of(&shared.spares.teller, facts, &notes).begun(self.event_id(), annotation)
    }

    pub(crate) fn note(&self, note: impl FnOnce(&mut Notes)) {
        let mut notes = self.notes();
        if !notes.is_over {
            note(&mut notes);
        }
    }
}
