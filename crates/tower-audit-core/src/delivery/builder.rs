//! What an engine is made of.

use std::{any::Any, marker::PhantomData, pin::Pin, sync::Arc};

use tokio::runtime::Handle;

use super::{
    disk::Disk,
    handle::{Delivery, Running},
    queue::Queue,
    record::Record,
    settings::{DeliverySettings, Overflow},
    trouble::Trouble,
    worker::Worker,
};
use crate::{
    dead_letters::DeadLetters,
    spool::Spool,
    store::{EventWriter, StoreError, StoreStatus},
};

/// What an engine is made of, besides its store.
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct DeliveryBuilder<R> {
    settings: DeliverySettings,
    spool: Option<Spool>,
    dead_letters: Option<DeadLetters>,
    record: PhantomData<fn() -> R>,
}

impl<R> Default for DeliveryBuilder<R> {
    fn default() -> Self {
        Self {
            settings: DeliverySettings::default(),
            spool: None,
            dead_letters: None,
            record: PhantomData,
        }
    }
}

impl<R: Record> DeliveryBuilder<R> {
    /// Sets how the engine behaves.
    pub fn settings(mut self, settings: DeliverySettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets where records go while the store is away. Defaults to nowhere: they wait in the queue.
    pub fn spool(mut self, spool: Spool) -> Self {
        self.spool = Some(spool);
        self
    }

    /// Sets where records go that the store refuses. Defaults to a file in the folder of the spool,
    /// and without a spool to nowhere: they are dropped and counted.
    pub fn dead_letters(mut self, letters: DeadLetters) -> Self {
        self.dead_letters = Some(letters);
        self
    }

    /// Starts the worker, which writes to `writer`.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime, and for [`Overflow::Spill`] without a spool.
    #[must_use]
    #[track_caller]
    pub fn start(self, writer: impl EventWriter<R>) -> Delivery<R> {
        let runtime = runtime();
        let Self {
            settings,
            spool,
            dead_letters,
            ..
        } = self;
        let has_spool = spool.is_some();
        let overflow = settings.overflow_with(has_spool);
        assert!(
            has_spool || overflow != Overflow::Spill,
            "Overflow::Spill needs a spool to spill to: give the builder one, or choose another policy"
        );
        let letters = dead_letters.or_else(|| spool.as_ref().map(letters_of));
        let disk = Disk::new(spool.map(|spool| spool.files), letters);
        let writer = Arc::new(writer);
        let queue = Queue::new(&settings, has_spool);
        let trouble = Arc::new(Trouble::new(settings.log_period));
        let worker = Worker::new(
            Arc::clone(&queue),
            Arc::clone(&writer),
            disk,
            Arc::clone(&trouble),
            settings.clone(),
        );
        let running = Running {
            queue,
            worker: runtime.spawn(worker.run()).abort_handle(),
            store: Box::new(StoreOf(writer, PhantomData)),
            trouble,
            has_spool,
            overflow,
            confirm: settings.confirm,
            confirm_timeout: settings.confirm_timeout,
            health_timeout: settings.health_timeout,
        };
        Delivery {
            running: Arc::new(running),
        }
    }
}

#[track_caller]
fn runtime() -> Handle {
    let Ok(runtime) = Handle::try_current() else {
        panic!(
            "tower-audit starts a task that writes the events, so it must be built inside a \
             Tokio runtime, for example in `#[tokio::main] async fn main`"
        );
    };
    runtime
}

fn letters_of(spool: &Spool) -> DeadLetters {
    DeadLetters::at(spool.folder().join(DEAD_LETTERS))
}

/// A writer whose type was forgotten.
pub(super) trait Store: Send + Sync {
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<StoreStatus, StoreError>> + Send + '_>>;

    fn as_any(&self) -> &dyn Any;
}

struct StoreOf<W, R>(Arc<W>, PhantomData<fn() -> R>);

impl<R: Record, W: EventWriter<R>> Store for StoreOf<W, R> {
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<StoreStatus, StoreError>> + Send + '_>> {
        Box::pin(self.0.check())
    }

    fn as_any(&self) -> &dyn Any {
        &*self.0
    }
}

const DEAD_LETTERS: &str = "dead-letters.jsonl";
