//! Begins and ends trails.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tower_audit_core::{
    DeliverySettings, EventId, Health, PageSize, ShutdownReport, Stats, StoreError,
    dead_letters::DeadLetters,
    delivery::Delivery,
    spool::Spool,
    store::{EventWriter, StoreStatus},
};

use crate::{
    Analytics, Call, Cost, Days, MessageId, Placeholder, Prices, Trail, TrailChange, TrailCursor,
    TrailPage, TrailStore, Usage,
    placeholder::{LONGEST_NAME, text},
    record::{End, Opening, Outcome, Parts, Served},
    retention::{Cleaner, Retention},
};

/// Begins and ends trails, and reads them. Cheap to clone.
///
/// Nothing that records waits: a change is handed to the [delivery engine](tower_audit_core::delivery), which writes it, in batches, with
/// repetitions and, if it was given one, through a spool.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tower_audit_ai::{MemoryTrails, Trail, TrailStatus, Trails, Usage};
///
/// let trails = Trails::new(MemoryTrails::new());
/// trails.begin(Trail::placeholder("msg_1", "project-7", "large-2026")?.context_layers(3));
/// trails.complete(&"msg_1".parse()?, Usage::new(100, 50), None, vec!["because".into()]);
/// trails.flush().await;
///
/// let trail = trails.get(&"msg_1".parse()?).await?.ok_or("it is not there")?;
/// assert_eq!((trail.status, trail.usage), (TrailStatus::Completed, Some(Usage::new(100, 50))));
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Trails<S> {
    store: Arc<S>,
    recorder: Recorder,
    cleaner: Option<Arc<Cleaner>>,
}

/// What calls are recorded with.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    delivery: Delivery<TrailChange>,
    prices: Arc<Prices>,
}

impl<S: TrailStore> Trails<S> {
    /// Returns trails in this store, with the defaults of the [builder](Self::builder).
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn new(store: S) -> Self {
        Self::builder(store).start()
    }

    /// Returns a builder.
    pub fn builder(store: S) -> TrailsBuilder<S> {
        TrailsBuilder {
            store,
            prices: Prices::new(),
            settings: DeliverySettings::default(),
            spool: None,
            dead_letters: None,
            retention: Some(Retention::default()),
        }
    }

    /// Records that a call begins. Whoever has its message id ends it; see [`start`](Self::start) for a call that one handler begins and
    /// ends.
    pub fn begin(&self, placeholder: Placeholder) {
        self.recorder.begin(placeholder);
    }

    /// Records that a call begins, and returns what ends it: as failed if it is dropped before.
    pub fn start(&self, placeholder: Placeholder) -> Call {
        let message_id = placeholder.message_id.clone();
        self.recorder.begin(placeholder);
        Call::new(self.recorder.clone(), message_id)
    }

    /// Records that a call was answered: how many tokens it took, what it cost, if somebody says so, and what the model thought.
    ///
    /// It may come before the begin, and twice: of what is said about the same thing the last counts.
    pub fn complete(
        &self,
        message_id: &MessageId,
        usage: Usage,
        cost: Option<Cost>,
        reasoning: Vec<String>,
    ) {
        self.recorder.update(
            message_id,
            Update::new()
                .usage(usage)
                .cost_if(cost)
                .reasoning(reasoning)
                .completed_at(Utc::now()),
        );
    }

    /// Records that a call failed.
    pub fn fail(&self, message_id: &MessageId, error: impl Into<String>) {
        let error = Some(error.into());
        let update = Update::new().ended(Outcome::Failed, Utc::now(), error);
        self.recorder.update(message_id, update);
    }

    /// Records something about a call, and leaves the rest as it is.
    pub fn update(&self, message_id: &MessageId, update: Update) {
        self.recorder.update(message_id, update);
    }

    /// Returns a trail, if its begin was written.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    pub async fn get(&self, message_id: &MessageId) -> Result<Option<Trail>, StoreError> {
        self.store.get(message_id).await
    }

    /// Returns the trails of a project, the newest first.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    pub async fn list(
        &self,
        project_id: &str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Result<TrailPage, StoreError> {
        self.store.list(project_id, older_than, size).await
    }

    /// Returns the trails of one request, the oldest first, at most so many.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    pub async fn of_event(
        &self,
        event_id: EventId,
        size: PageSize,
    ) -> Result<Vec<Trail>, StoreError> {
        self.store.of_event(event_id, size).await
    }

    /// Returns the projects of which there were calls: see [`TrailStore::projects`].
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    pub async fn projects(
        &self,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<Vec<String>, StoreError> {
        self.store.projects(after, size).await
    }

    /// Returns what the calls of a project add up to, those included of which the trails are deleted.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of reading.
    pub async fn analytics(&self, project_id: &str, days: Days) -> Result<Analytics, StoreError> {
        self.store.analytics(project_id, days).await
    }

    /// Counts the trails again: see [`TrailStore::recount`].
    ///
    /// # Errors
    ///
    /// Returns what is in the way of it: the days that were counted until then stay so.
    pub async fn recount(&self) -> Result<u64, StoreError> {
        self.store.recount().await
    }

    /// Deletes trails: see [`TrailStore::cleanup`].
    ///
    /// # Errors
    ///
    /// Returns what is in the way of it: what was deleted until then stays so.
    pub async fn cleanup(&self, older_than: DateTime<Utc>) -> Result<u64, StoreError> {
        self.store.cleanup(older_than).await
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns what was counted so far, in changes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.recorder.delivery.stats()
    }

    /// Says whether changes are written: see [`Delivery::health`].
    pub async fn health(&self) -> Health {
        self.recorder.delivery.health().await
    }

    /// Waits until everything that was recorded before is written: see [`Delivery::flush`].
    pub async fn flush(&self) {
        self.recorder.delivery.flush().await;
    }

    /// Takes no more changes, and writes those that there are: see [`Delivery::shutdown`].
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        if let Some(cleaner) = &self.cleaner {
            cleaner.stop();
        }
        self.recorder.delivery.shutdown(deadline).await
    }
}

impl<S> Clone for Trails<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            recorder: self.recorder.clone(),
            cleaner: self.cleaner.clone(),
        }
    }
}

impl Recorder {
    fn begin(&self, placeholder: Placeholder) {
        let price = self.prices.of(&placeholder.model);
        let actor = placeholder.actor.as_ref();
        let opening = Opening {
            project_id: placeholder.project_id,
            model: placeholder.model,
            started_micros: placeholder.started_at.timestamp_micros(),
            context_layers: placeholder.context_layers,
            actor: actor.map(|actor| (actor.kind(), actor.id().to_owned())),
            request_id: placeholder.request_id,
            event_id: placeholder.event_id,
            price,
        };
        let parts = Parts {
            opening: Some(opening),
            ..Parts::default()
        };
        self.record(placeholder.message_id, parts);
    }

    pub(crate) fn update(&self, message_id: &MessageId, update: Update) {
        let mut parts = update.0;
        if let Some(served) = &mut parts.served {
            served.price = self.prices.of(&served.model);
        }
        self.record(message_id.clone(), parts);
    }

    fn record(&self, message_id: MessageId, parts: Parts) {
        let change = TrailChange::new(message_id, Utc::now(), parts);
        self.delivery.record(change);
    }
}

/// What is to be said about a call; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "it is recorded by `Trails::update`"]
pub struct Update(Parts);

impl Update {
    /// Returns an update that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how many tokens the call took.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.0.usage = Some(usage);
        self
    }

    /// Says what the call cost.
    pub fn cost(self, cost: Cost) -> Self {
        self.cost_if(Some(cost))
    }

    /// Says what the model thought. Of more than 256 KiB the end is left out.
    pub fn reasoning(mut self, reasoning: Vec<String>) -> Self {
        let mut room = LONGEST_REASONING;
        let bounded = reasoning.into_iter().map_while(|step| {
            let step = (room > 0).then(|| text(step, room))?;
            room -= step.len().min(room);
            Some(step)
        });
        self.0.reasoning = Some(bounded.collect());
        self
    }

    /// Says which model answered.
    pub fn served_model(mut self, model: impl Into<String>) -> Self {
        self.0.served = Some(Served {
            model: text(model.into(), LONGEST_NAME),
            price: None,
        });
        self
    }

    /// Says that the call was answered at this time: for calls that are recorded when they are over.
    pub fn completed_at(self, time: DateTime<Utc>) -> Self {
        self.ended(Outcome::Completed, time, None)
    }

    /// Says that the call failed at this time: for calls that are recorded when they are over.
    pub fn failed_at(self, time: DateTime<Utc>, error: impl Into<String>) -> Self {
        self.ended(Outcome::Failed, time, Some(error.into()))
    }

    pub(crate) fn cost_if(mut self, cost: Option<Cost>) -> Self {
        self.0.cost = cost;
        self
    }

    pub(crate) fn ended(
        mut self,
        outcome: Outcome,
        time: DateTime<Utc>,
        error: Option<String>,
    ) -> Self {
        self.0.end = Some(End {
            outcome,
            ended_micros: time.timestamp_micros(),
            error: error.map(|error| text(error, LONGEST_ERROR)),
        });
        self
    }
}

/// Configures [`Trails`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct TrailsBuilder<S> {
    store: S,
    prices: Prices,
    settings: DeliverySettings,
    spool: Option<Spool>,
    dead_letters: Option<DeadLetters>,
    retention: Option<Retention>,
}

impl<S: TrailStore> TrailsBuilder<S> {
    /// Sets what tokens cost. Defaults to no prices: then nothing is computed.
    pub fn prices(mut self, prices: Prices) -> Self {
        self.prices = prices;
        self
    }

    /// Sets how changes are delivered. A call that nobody ends within
    /// [`pending_timeout`](DeliverySettings::pending_timeout) is given up as unknown.
    pub fn delivery(mut self, settings: DeliverySettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets where changes go while the store is away. Defaults to nowhere: they wait in the queue. It has to be a folder of its own.
    pub fn spool(mut self, spool: Spool) -> Self {
        self.spool = Some(spool);
        self
    }

    /// Sets where changes go that the store refuses: see [`DeliveryBuilder::dead_letters`](tower_audit_core::delivery::DeliveryBuilder::dead_letters).
    pub fn dead_letters(mut self, letters: DeadLetters) -> Self {
        self.dead_letters = Some(letters);
        self
    }

    /// Sets how long trails are kept: those that began before are [deleted](Trails::cleanup) when this starts, and then once a day.
    /// Defaults to seven days.
    pub fn retention(mut self, keep: Duration) -> Self {
        self.retention.get_or_insert_default().keep = keep;
        self
    }

    /// Deletes nothing by itself.
    pub fn keep_everything(mut self) -> Self {
        self.retention = None;
        self
    }

    /// Starts the worker that writes, and what deletes old trails.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime, and for [`Overflow::Spill`](tower_audit_core::Overflow::Spill) without a spool.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Trails<S> {
        let store = Arc::new(self.store);
        let mut delivery = Delivery::builder().settings(self.settings);
        if let Some(spool) = self.spool {
            delivery = delivery.spool(spool);
        }
        if let Some(letters) = self.dead_letters {
            delivery = delivery.dead_letters(letters);
        }
        let delivery = delivery.start(Shared(Arc::clone(&store)));
        delivery.reap_pending();
        let cleaner = self.retention.map(|retention| {
            let store = Arc::clone(&store);
            let clean = move |older_than| {
                let store = Arc::clone(&store);
                async move { store.cleanup(older_than).await }
            };
            Arc::new(Cleaner::start(retention, clean))
        });
        Trails {
            store,
            cleaner,
            recorder: Recorder {
                delivery,
                prices: Arc::new(self.prices),
            },
        }
    }
}

/// A store that is read beside the engine.
struct Shared<S>(Arc<S>);

impl<S: TrailStore> EventWriter<TrailChange> for Shared<S> {
    async fn append(&self, batch: &[TrailChange]) -> Result<(), StoreError> {
        self.0.append(batch).await
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        self.0.check().await
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.0.reap(created_before).await
    }
}

/// How many bytes of reasoning are kept.
const LONGEST_REASONING: usize = 256 * 1024;

/// How many bytes of an error are kept.
const LONGEST_ERROR: usize = 1_024;
