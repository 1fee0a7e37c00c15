//! Somebody who writes all the time, as a service does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tower_audit::EventWriter;

use crate::{
    events::events,
    reading::{median_and_p99, ms},
};

/// What was appended and acknowledged: how many rows, and how long a batch took.
#[derive(Debug)]
pub(super) struct Appends {
    pub(super) rows: u64,
    median: Duration,
    p99: Duration,
    longest: Duration,
}

impl Appends {
    /// Appends batches for so long, and at least one.
    pub(super) async fn during(store: &impl EventWriter, time: Duration) -> anyhow::Result<Self> {
        let started = Instant::now();
        Self::until(store, || started.elapsed() >= time).await
    }

    /// Appends batches of events of now until it is over, and at least one.
    async fn until(store: &impl EventWriter, is_over: impl Fn() -> bool) -> anyhow::Result<Self> {
        let mut times = Vec::new();
        let mut turns = interval(PERIOD);
        // Who had to wait does not catch up: a service that is slow does not get more requests for it.
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let batch = events(BATCH);
            let started = Instant::now();
            let appended = store.append(&batch).await;
            times.push(started.elapsed());
            appended.context("a batch was not appended")?;
            if is_over() {
                return Ok(Self::of(times));
            }
        }
    }

    /// Returns what these times come to. There is at least one.
    fn of(mut times: Vec<Duration>) -> Self {
        let (median, p99) = median_and_p99(&mut times);
        Self {
            rows: (times.len() * BATCH) as u64,
            median,
            p99,
            longest: times.iter().max().copied().unwrap_or_default(),
        }
    }

    /// Returns the cells of a table.
    pub(super) fn cells(&self) -> String {
        format!(
            "{} | {} | {}",
            ms(self.median),
            ms(self.p99),
            ms(self.longest)
        )
    }
}

/// A task that appends until it is stopped.
#[derive(Debug)]
pub(super) struct Writer {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<Appends>>,
}

impl Writer {
    /// Starts it.
    pub(super) fn start(store: impl EventWriter) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let task =
            tokio::spawn(
                async move { Appends::until(&store, || told.load(Ordering::Relaxed)).await },
            );
        Self { is_over, task }
    }

    /// Stops it, and returns what it appended.
    pub(super) async fn stop(self) -> anyhow::Result<Appends> {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

/// How many events a batch has.
pub(super) const BATCH: usize = 100;

/// How long it is at least from the begin of a batch to that of the next one.
pub(super) const PERIOD: Duration = Duration::from_millis(5);
