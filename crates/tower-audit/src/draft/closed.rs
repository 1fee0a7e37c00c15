//! A request that has ended, on its way to the worker.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tower_audit_core::{AuditEvent, EventId, Outcome, Text, delivery::Deferred};

use super::{End, Facts, Story};
use crate::{
    context::{Notes, Slot},
    naming::Names,
    privacy::Redaction,
};

/// A request that has ended, of which the worker makes the event. It owns all that it needs, and holds on to nothing
/// that is larger: neither to what the server read the request into, nor to its bodies.
pub(crate) struct Closed {
    teller: Arc<Teller>,
    home: Weak<Spares>,
    shelf: usize,
    facts: Facts,
    id: Option<EventId>,
    notes: Notes,
}

impl Closed {
    /// Takes over what is known of a request that is over.
    pub(super) fn of(slot: &Slot, notes: &mut Notes) -> Box<Self> {
        let mut closed = slot.shared.spares.take();
        closed.facts.copy(&slot.facts);
        closed.id = slot.known_id();
        std::mem::swap(&mut closed.notes, notes);
        notes.remain_of(&closed.notes);
        closed
    }

    /// Returns the event.
    pub(super) fn event(&mut self) -> AuditEvent {
        let Self {
            teller,
            facts,
            id,
            notes,
            ..
        } = self;
        let id = id.unwrap_or_else(|| EventId::at(facts.arrived_at()));
        let metadata = notes.take_metadata();
        // It is there until this very moment.
        let end = notes.end.take();
        let end = end.unwrap_or_else(|| End::unknown(facts, None, Outcome::Unknown));
        Story::of(teller, facts, notes).ended(id, end, metadata)
    }
}

impl Deferred<AuditEvent> for Closed {
    fn size(&self) -> usize {
        size_of::<Self>() + self.facts.texts.heap_size() + self.notes.heap_size()
    }

    fn make(mut self: Box<Self>) -> Option<AuditEvent> {
        let event = self.event();
        if let Some(spares) = self.home.upgrade() {
            spares.give_back(self);
        }
        Some(event)
    }
}

/// What it takes to tell of a request, beside what is known of it.
pub(crate) struct Teller {
    pub(crate) redaction: Redaction,
    pub(super) names: Names,
    pub(super) service: Option<Text>,
    has_warned: AtomicBool,
}

impl Teller {
    /// Says once that an annotation asks for a parameter that its route does not have.
    pub(super) fn warn_of_param(&self, template: &str, param: &str) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                route = template,
                param,
                "an annotation takes the id of its target from a path parameter that its route does not have; \
                 the id is left empty"
            );
        }
    }
}

/// Memory of requests that are recorded, to be used again. It is filled on one thread and done with on another: to
/// allocate it here and free it there makes both wait for each other. What was longest out of use comes first: it has
/// left the cache of the other thread.
pub(crate) struct Spares {
    pub(crate) teller: Arc<Teller>,
    shelves: [Shelf; SHELVES],
}

/// Those of one thread, or of few: more would ask for the same lock again and again. In a line of the cache of its
/// own, which else they would ask for.
#[derive(Default)]
#[repr(align(64))]
struct Shelf(Mutex<VecDeque<Box<Closed>>>);

thread_local! {
    static SHELF: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHELVES
    };
}

impl Spares {
    pub(crate) fn new(redaction: Redaction, service: Option<Text>) -> Arc<Self> {
        let teller = Teller {
            redaction,
            names: Names::default(),
            service,
            has_warned: AtomicBool::new(false),
        };
        Arc::new(Self {
            teller: Arc::new(teller),
            shelves: Default::default(),
        })
    }

    fn take(self: &Arc<Self>) -> Box<Closed> {
        // A thread that ends takes what there is.
        let shelf = SHELF.try_with(|shelf| *shelf).unwrap_or(0);
        let ready = self.on(shelf).pop_front();
        ready.unwrap_or_else(|| {
            Box::new(Closed {
                teller: Arc::clone(&self.teller),
                home: Arc::downgrade(self),
                shelf,
                facts: Facts::default(),
                id: None,
                notes: Notes::default(),
            })
        })
    }

    fn give_back(&self, mut spare: Box<Closed>) {
        spare.notes = Notes::default();
        spare.facts.forget();
        let mut ready = self.on(spare.shelf);
        if ready.len() < MOST {
            ready.push_back(spare);
        }
    }

    fn on(&self, shelf: usize) -> MutexGuard<'_, VecDeque<Box<Closed>>> {
        let ready = self.shelves[shelf].0.lock();
        ready.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spares").finish_non_exhaustive()
    }
}

const SHELVES: usize = 8;

/// Of a shelf. What comes together while the events of others are made; more is given back to the allocator.
const MOST: usize = 500;
