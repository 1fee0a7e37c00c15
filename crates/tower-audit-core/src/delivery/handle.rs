//! The handle to a running engine.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::{runtime::Handle, task::AbortHandle, time::timeout};

use super::{
    health::{Health, HealthReason},
    permit::Permit,
    queue::Queue,
    record::Record,
    settings::{DeliverySettings, Overflow},
    stats::{DropReason, ShutdownReport, Stats},
    trouble::Trouble,
    worker::Worker,
};
use crate::store::{EventWriter, StoreError};

/// The handle to a running engine; cheap to clone. See the [module page](crate::delivery).
///
/// When the last clone is dropped without [`shutdown`](Self::shutdown), the worker still writes
/// what is queued for as long as the runtime lives; nobody learns whether it could.
pub struct Delivery<R: Record> {
    running: Arc<Running<R>>,
}

struct Running<R: Record> {
    queue: Arc<Queue<R>>,
    worker: AbortHandle,
    probe: Box<dyn Probe>,
    trouble: Arc<Trouble>,
    overflow: Overflow,
    health_timeout: Duration,
}

impl<R: Record> Delivery<R> {
    /// Starts the worker, which writes to `writer`.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn start(settings: DeliverySettings, writer: impl EventWriter<R>) -> Self {
        let Ok(runtime) = Handle::try_current() else {
            panic!(
                "tower-audit starts a task that writes the events, so it must be built inside a \
                 Tokio runtime, for example in `#[tokio::main] async fn main`"
            );
        };
        let writer = Arc::new(writer);
        let queue = Queue::new(&settings);
        let trouble = Arc::new(Trouble::new(settings.log_period));
        let (overflow, health_timeout) = (settings.overflow, settings.health_timeout);
        let worker = Worker::new(
            Arc::clone(&queue),
            Arc::clone(&writer),
            Arc::clone(&trouble),
            settings,
        );
        let worker = runtime.spawn(worker.run()).abort_handle();
        let probe = Box::new(ProbeOf(writer, std::marker::PhantomData));
        Self {
            running: Arc::new(Running {
                queue,
                worker,
                probe,
                trouble,
                overflow,
                health_timeout,
            }),
        }
    }

    /// Hands over a record and never waits. A record that finds no room is dropped and counted.
    pub fn record(&self, record: impl Into<Box<R>>) {
        self.running.queue.push(record.into());
    }

    /// Hands over a record; waits for room as [`Overflow::Wait`] says.
    ///
    /// Dropping the future before it is done drops the record, uncounted: it was never handed over.
    pub async fn record_wait(&self, record: impl Into<Box<R>>) {
        let record = record.into();
        match self.reserve(record.size()).await {
            Some(permit) => permit.send(record),
            None => self.record(record),
        }
    }

    /// Reserves room for one record of about this many bytes, if there is some now.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<Permit<R>> {
        self.running.queue.try_reserve(bytes)
    }

    /// Reserves room for one record of about this many bytes; waits for it as [`Overflow`] says,
    /// and returns `None` when there was none in that time. Dropping the future reserves nothing.
    pub async fn reserve(&self, bytes: usize) -> Option<Permit<R>> {
        match self.running.overflow {
            Overflow::Drop => self.try_reserve(bytes),
            Overflow::Wait(limit) => timeout(limit, self.running.queue.reserve(bytes)).await.ok(),
        }
    }

    /// Returns what happens to a record that finds no room.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.running.overflow
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.running.queue.stats()
    }

    /// Asks the store whether a write could work now, and looks at the queue and the last write.
    ///
    /// Takes at most [`health_timeout`](DeliverySettings::health_timeout).
    pub async fn health(&self) -> Health {
        if self.running.queue.is_closed() {
            return Health::Failing(HealthReason::Closed);
        }
        if self.running.queue.is_full() {
            return Health::Failing(HealthReason::QueueFull);
        }
        let limit = self.running.health_timeout;
        let reason = match timeout(limit, self.running.probe.check()).await {
            // A store may look well and yet refuse to write, as a read-only one does.
            Ok(Ok(())) => self.running.trouble.reason(),
            Ok(Err(error)) => Some(HealthReason::of(&error)),
            Err(_) => Some(HealthReason::TimedOut(limit)),
        };
        reason.map_or(Health::Healthy, Health::Degraded)
    }

    /// Waits until every record that was handed over before is written or dropped.
    ///
    /// With a store that is down it waits until the store is back: put a timeout around it.
    /// Dropping the future is harmless.
    pub async fn flush(&self) {
        self.running.queue.flush().await;
    }

    /// Takes no more records, writes what is queued, and ends the worker; at the deadline it gives
    /// up what is left and counts it as [`DropReason::Abandoned`].
    ///
    /// A second call waits for the same end. Dropping the future leaves the worker draining.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let queue = &self.running.queue;
        queue.close();
        if timeout(deadline, queue.finished()).await.is_err() {
            self.running.worker.abort();
            queue.finished().await;
        }
        let stats = queue.stats();
        ShutdownReport {
            stats,
            left: stats.dropped[DropReason::Abandoned],
        }
    }
}

impl<R: Record> Clone for Delivery<R> {
    fn clone(&self) -> Self {
        Self {
            running: Arc::clone(&self.running),
        }
    }
}

impl<R: Record> fmt::Debug for Delivery<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl<R: Record> Drop for Running<R> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Asks a writer whose type was forgotten.
trait Probe: Send + Sync {
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + '_>>;
}

struct ProbeOf<W, R>(Arc<W>, std::marker::PhantomData<fn() -> R>);

impl<R: Record, W: EventWriter<R>> Probe for ProbeOf<W, R> {
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + '_>> {
        Box::pin(self.0.check())
    }
}
