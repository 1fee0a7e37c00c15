//! The handle that records events.

use std::time::Duration;

use crate::{
    delivery::{Delivery, DeliverySettings, Health, Overflow, Permit, ShutdownReport, Stats},
    event::{AuditEvent, Text},
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
        self.delivery
            .record(event.or_service(self.service.as_ref()));
    }

    /// Records an event; waits for room in the queue as [`Overflow::Wait`] says.
    ///
    /// Dropping the future before it is done drops the event, uncounted.
    pub async fn record_wait(&self, event: AuditEvent) {
        self.delivery
            .record_wait(event.or_service(self.service.as_ref()))
            .await;
    }

    /// Records an event in the room that was reserved for it.
    pub fn record_reserved(&self, permit: Permit<AuditEvent>, event: AuditEvent) {
        permit.send(event.or_service(self.service.as_ref()));
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

    /// Returns what happens to an event that finds the queue full.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.delivery.overflow()
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

    /// Waits until every event recorded before is written or dropped.
    ///
    /// With a store that is down it waits until the store is back: put a timeout around it.
    /// Dropping the future is harmless.
    pub async fn flush(&self) {
        self.delivery.flush().await;
    }

    /// Takes no more events, writes what is queued, and ends the worker; at the deadline it gives
    /// up what is left and says so.
    ///
    /// Call it after the server has stopped: an event that comes later is dropped and counted as
    /// [`Closed`](crate::delivery::DropReason::Closed).
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.delivery.shutdown(deadline).await
    }
}

/// Configures an [`Auditor`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `start`"]
pub struct AuditorBuilder {
    service: Option<Text>,
    delivery: DeliverySettings,
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
        self.delivery = settings;
        self
    }

    /// Starts the worker, which writes to `store`.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn start(self, store: impl EventWriter) -> Auditor {
        Auditor {
            delivery: Delivery::start(self.delivery, store),
            service: self.service,
        }
    }
}

/// The longest name of a service, in bytes.
const MAX_SERVICE: usize = 512;
