//! What everybody who works on a request shares.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::HeaderMap;
use tower_audit_core::EventId;

use super::Notes;
use crate::{
    capture::Incoming,
    draft::Facts,
    layer::Shared,
    mode::Admission,
    policy::{Plan, Policy},
};

/// What everybody who works on a request shares.
pub(crate) struct Slot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) facts: Facts,
    /// The policy of this request, from its arrival to its end.
    pub(crate) policy: Policy,
    pub(crate) plan: Plan,
    pub(crate) incoming: Incoming,
    /// Made when somebody asks: most requests are not recorded.
    id: OnceLock<EventId>,
    notes: Mutex<Notes>,
    admission: Mutex<Admission>,
}

impl Slot {
    pub(super) fn new(shared: Arc<Shared>, facts: Facts, headers: &HeaderMap) -> Self {
        let policy = shared.policy.current();
        let plan = policy.plan(&facts.subject());
        let incoming = Incoming::of(headers, &plan, shared.body_limit);
        Self {
            shared,
            facts,
            policy,
            plan,
            incoming,
            id: OnceLock::new(),
            notes: Mutex::default(),
            admission: Mutex::default(),
        }
    }

    pub(crate) fn event_id(&self) -> EventId {
        *self.id.get_or_init(|| EventId::at(self.facts.arrived_at()))
    }

    /// Returns what was said so far.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was promised for the record so far.
    pub(crate) fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
