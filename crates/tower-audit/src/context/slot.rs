//! What everybody who works on a request shares.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::HeaderMap;
use tower_audit_core::EventId;

use super::Notes;
use crate::{
    annotation::Annotation,
    capture::Incoming,
    draft::Facts,
    layer::Shared,
    mode::Admission,
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
    pub(super) fn new(shared: Arc<Shared>, facts: Facts, headers: &HeaderMap) -> Self {
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
}
