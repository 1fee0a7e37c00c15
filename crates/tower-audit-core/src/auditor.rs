//! The handle that records events.

use std::time::Duration;

use crate::{
    dead_letters::DeadLetters,
    delivery::{
        Deferred, Delivery, DeliveryBuilder, DeliverySettings, Health, Kept, NotKept, Overflow,
        Permit, ShutdownReport, Stats,
    },
    event::{AuditEvent, Text},
    spool::Spool,
    store::EventWriter,
};

/// Records events: the handle to the [delivery engine](crate::delivery) for everything that is not
/// a request. Cheap to clone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use tower_audit_core::{Actor, AuditEvent, Auditor, MemoryStore, Target};
///
/// let auditor = Auditor::builder().service("reports@1.4.0").start(MemoryStore::new());
/// auditor.record(
///     AuditEvent::builder(Actor::system(), "report.send", Target::new("report", 7)).build(),
/// );
/// let report = auditor.shutdown(Duration::from_secs(10)).await;
/// assert_eq!(report.stats.written, 1);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Auditor {
    delivery: Delivery<AuditEvent>,
    service: Option<Text>,
}

impl Auditor {
    /// Starts an auditor with default settings, which writes to `store`.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn new(store: impl EventWriter) -> Self {
        Self::builder().start(store)
    }

    /// Returns a builder.
    pub fn builder() -> AuditorBuilder {
        AuditorBuilder::default()
    }

    /// Records an event and never waits. An event that finds the queue full is dropped and counted.
    pub fn record(&self, event: AuditEvent) {
        self.delivery.record(self.named(event));
    }

    /// Records an event that is made once it has left the queue, and never waits. The [name of this
    /// service](Self::named) is not added.
    pub fn record_deferred(&self, event: Box<dyn Deferred<AuditEvent>>) {
        self.delivery.record_deferred(event);
    }

    /// Records an event; waits for room in the queue as [`Overflow::Wait`] says.
    ///
    /// Dropping the future before it is done drops the event, uncounted.
    pub async fn record_wait(&self, event: AuditEvent) {
        self.delivery.record_wait(self.named(event)).await;
    }

    /// Records an event, and waits until it is kept: committed by the store or, while that is down,
    /// synced to the [spool](crate::spool), if there is one that
    /// [counts](crate::delivery::Confirm).
    ///
    /// Waits at most [`confirm_timeout`](DeliverySettings::confirm_timeout), and before that for room
    /// as [`Overflow::Wait`] says. Dropping the future while it waits for room drops the event,
    /// uncounted; later it makes no difference to the event.
    ///
    /// # Errors
    ///
    /// Says why the event is not known to be kept, and whether it is still on its way: see
    /// [`NotKept`].
    pub async fn record_durable(&self, event: AuditEvent) -> Result<Kept, NotKept> {
        self.delivery.record_durable(self.named(event)).await
    }

    /// Records an event in the room that was reserved for it, and waits until it is kept, as
    /// [`record_durable`](Self::record_durable) does.
    ///
    /// # Errors
    ///
    /// See [`record_durable`](Self::record_durable).
    pub async fn record_reserved_durable(
        &self,
        permit: Permit<AuditEvent>,
        event: AuditEvent,
    ) -> Result<Kept, NotKept> {
        let event = self.named(event);
        self.delivery.send_durable(permit, event).await
    }

    /// Says whether an event that is recorded now could be kept, `in_store` or in whatever counts.
    /// Asks nobody and never waits.
    ///
    /// # Errors
    ///
    /// Returns why it could not.
    pub fn can_keep(&self, in_store: bool) -> Result<(), NotKept> {
        self.delivery.can_keep(in_store)
    }

    /// Records an event in the room that was reserved for it.
    pub fn record_reserved(&self, permit: Permit<AuditEvent>, event: AuditEvent) {
        permit.send(self.named(event));
    }

    /// Reserves room for one event of about this many bytes, if there is some now.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<Permit<AuditEvent>> {
        self.delivery.try_reserve(bytes)
    }

    /// Reserves room for one event of about this many bytes; waits for it as [`Overflow`] says.
    /// Dropping the future reserves nothing.
    pub async fn reserve(&self, bytes: usize) -> Option<Permit<AuditEvent>> {
        self.delivery.reserve(bytes).await
    }

    /// Reserves room for `N` events of about this many bytes each, for all of them or for none; else as
    /// [`reserve`](Self::reserve).
    pub async fn reserve_all<const N: usize>(
        &self,
        bytes: usize,
    ) -> Option<[Permit<AuditEvent>; N]> {
        self.delivery.reserve_all(bytes).await
    }

    /// Returns whether there would be room for so many events of this size in an empty queue.
    #[must_use]
    pub fn could_hold(&self, events: usize, bytes: usize) -> bool {
        self.delivery.could_hold(events, bytes)
    }

    /// Returns what happens to an event that finds the queue full.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.delivery.overflow()
    }

    /// Counts a request that was refused because its event could not be kept, and logs it once a
    /// period.
    pub fn note_refused(&self, reason: NotKept) {
        self.delivery.note_refused(reason);
    }

    /// Counts a request that was answered although nobody could say that its event is kept, and logs it
    /// once a period.
    pub fn note_unconfirmed(&self, reason: NotKept) {
        self.delivery.note_unconfirmed(reason);
    }

    /// Asks for pending events to be looked after from now on: those that nobody completes within
    /// [`pending_timeout`](DeliverySettings::pending_timeout) become unknown.
    ///
    /// A layer whose own mode or table says `Strict` does it by itself, and so does the first request of
    /// a handler that is annotated so; call it at the start for what a process before this one left.
    pub fn reap_pending(&self) {
        self.delivery.reap_pending();
    }

    /// Returns the store, if it is of this type.
    #[must_use]
    pub fn store<W: 'static>(&self) -> Option<&W> {
        self.delivery.writer()
    }

    /// Returns the name of this service, as `name@version`.
    #[must_use]
    pub fn service(&self) -> Option<&Text> {
        self.service.as_ref()
    }

    /// Returns the same event with the name of this service in it, unless it has one.
    #[must_use]
    pub fn named(&self, event: AuditEvent) -> AuditEvent {
        event.or_service(self.service.as_ref())
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.delivery.stats()
    }

    /// Asks the store whether a write could work now, and looks at the queue. Takes at most
    /// [`health_timeout`](DeliverySettings::health_timeout).
    pub async fn health(&self) -> Health {
        self.delivery.health().await
    }

    /// Waits until every event recorded before has left the memory: it is written, spooled,
    /// dead-lettered or dropped.
    ///
    /// With a store that is down, and no spool, it waits until the store is back: put a timeout
    /// around it. Dropping the future is harmless.
    pub async fn flush(&self) {
        self.delivery.flush().await;
    }

    /// Takes no more events, writes what is queued, and ends the worker; what the deadline leaves no
    /// time for goes to the [spool](crate::spool) or, without one, is given up. The report says what
    /// became of everything.
    ///
    /// Call it after the server has stopped: an event that comes later is dropped and counted as
    /// [`Closed`](crate::delivery::DropReason::Closed).
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.delivery.shutdown(deadline).await
    }
}

/// Configures an [`Auditor`].
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `start`"]
pub struct AuditorBuilder {
    service: Option<Text>,
    delivery: DeliveryBuilder<AuditEvent>,
}

impl AuditorBuilder {
    /// Sets the name of this service, as `name@version`. Defaults to none.
    ///
    /// ```
    /// # use tower_audit_core::Auditor;
    /// Auditor::builder()
    ///     .service(concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION")));
    /// ```
    pub fn service(mut self, service: impl Into<Text>) -> Self {
        self.service = Some(Text::capped(service.into().as_str(), MAX_SERVICE));
        self
    }

    /// Sets how events travel to the store.
    pub fn delivery(mut self, settings: DeliverySettings) -> Self {
        self.delivery = self.delivery.settings(settings);
        self
    }

    /// Sets where events go while the store is away, and what a shutdown has no time for. Defaults to
    /// nowhere: they wait in the queue, in memory.
    pub fn spool(mut self, spool: Spool) -> Self {
        self.delivery = self.delivery.spool(spool);
        self
    }

    /// Sets where events go that the store refuses. Defaults to `dead-letters.jsonl` in the folder of
    /// the spool; without a spool they are dropped and counted.
    pub fn dead_letters(mut self, letters: DeadLetters) -> Self {
        self.delivery = self.delivery.dead_letters(letters);
        self
    }

    /// Starts the worker, which writes to `store`.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime, and for [`Overflow::Spill`] without a spool.
    #[must_use]
    #[track_caller]
    pub fn start(self, store: impl EventWriter) -> Auditor {
        Auditor {
            delivery: self.delivery.start(store),
            service: self.service,
        }
    }
}

/// The longest name of a service, in bytes.
const MAX_SERVICE: usize = 512;
