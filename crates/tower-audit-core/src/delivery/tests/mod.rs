//! The engine as a whole, against a writer that does what the test says.

mod deferred;
mod durable;
mod engine;
#[cfg(shuttle)]
mod interleavings;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
mod spooled;

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    num::NonZeroUsize,
    panic::Location,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use super::*;
use crate::store::{BoxError, EventWriter, StoreError, StoreStatus};

#[derive(Clone, Debug)]
struct Item(u64, usize);

impl Record for Item {
    fn id(&self) -> impl fmt::Display {
        self.0
    }

    fn size(&self) -> usize {
        self.1
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(format!("[{},{}]", self.0, self.1).as_bytes());
    }

    fn decode(json: &[u8]) -> Result<Self, BoxError> {
        let (id, size) = serde_json::from_slice(json)?;
        Ok(Self(id, size))
    }
}

#[track_caller]
fn start(settings: DeliverySettings, store: Scripted) -> Delivery<Item> {
    Delivery::builder().settings(settings).start(store)
}

fn item(id: u64) -> Item {
    Item(id, 100)
}

/// What the writer does with the next call.
#[derive(Clone, Copy, Debug)]
enum Act {
    Unavailable,
    /// Writes the batch, and then does not answer.
    CommitAndFail,
    Panic,
    Hang,
}

/// Writes what the gate lets through.
#[derive(Clone)]
struct Scripted(Arc<Script>);

struct Script {
    gate: Semaphore,
    script: Mutex<VecDeque<Act>>,
    poison: Mutex<Vec<u64>>,
    is_ready: Mutex<bool>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    batches: Mutex<Vec<Vec<u64>>>,
}

impl Scripted {
    fn closed() -> Self {
        Self(Arc::new(Script {
            gate: Semaphore::new(0),
            script: Mutex::default(),
            poison: Mutex::default(),
            is_ready: Mutex::new(true),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            batches: Mutex::default(),
        }))
    }

    fn open() -> Self {
        let this = Self::closed();
        this.let_through(Semaphore::MAX_PERMITS);
        this
    }

    fn script(self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.0.script.lock().unwrap().extend(acts);
        self
    }

    fn poison(self, ids: impl IntoIterator<Item = u64>) -> Self {
        self.0.poison.lock().unwrap().extend(ids);
        self
    }

    fn set_ready(&self, is_ready: bool) {
        *self.0.is_ready.lock().unwrap() = is_ready;
    }

    fn let_through(&self, writes: usize) {
        self.0.gate.add_permits(writes);
    }

    fn batch_sizes(&self) -> Vec<usize> {
        self.0
            .batches
            .lock()
            .unwrap()
            .iter()
            .map(Vec::len)
            .collect()
    }

    /// Returns the ids in the order in which they were written first.
    fn in_order(&self) -> Vec<u64> {
        let mut seen = HashSet::new();
        let all = self.0.batches.lock().unwrap().concat();
        all.into_iter().filter(|id| seen.insert(*id)).collect()
    }

    /// Returns each id once: a store is idempotent.
    fn written(&self) -> Vec<u64> {
        let mut ids = self.0.batches.lock().unwrap().concat();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn not_ready(&self) -> Result<(), StoreError> {
        if *self.0.is_ready.lock().unwrap() {
            return Ok(());
        }
        Err(StoreError::NotReady {
            hint: "run the migrations",
            source: "no table".into(),
        })
    }
}

/// Counts a call as under way until it ends or is dropped.
struct UnderWay<'a>(&'a Script);

impl<'a> UnderWay<'a> {
    fn enter(script: &'a Script) -> Self {
        let now = script.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        script.most_under_way.fetch_max(now, Ordering::SeqCst);
        Self(script)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl EventWriter<Item> for Scripted {
    async fn append(&self, batch: &[Item]) -> Result<(), StoreError> {
        let _under_way = UnderWay::enter(&self.0);
        self.0.gate.acquire().await.unwrap().forget();
        self.not_ready()?;
        let act = self.0.script.lock().unwrap().pop_front();
        match act {
            Some(Act::Unavailable) => return Err(StoreError::Unavailable("cut".into())),
            Some(Act::Panic) => panic!("as scripted"),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::CommitAndFail) | None => {}
        }
        let poison = self.0.poison.lock().unwrap().clone();
        if batch.iter().any(|item| poison.contains(&item.0)) {
            return Err(StoreError::Rejected("poison".into()));
        }
        self.0
            .batches
            .lock()
            .unwrap()
            .push(batch.iter().map(|item| item.0).collect());
        if matches!(act, Some(Act::CommitAndFail)) {
            return Err(StoreError::Unavailable("cut".into()));
        }
        Ok(())
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        self.not_ready().map(|()| StoreStatus::default())
    }

    async fn reap(&self, _created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn some(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn assert_conserved(stats: Stats) {
    assert_eq!(
        stats.accepted,
        stats.written + stats.queued + stats.spooled + stats.dead_lettered + stats.dropped.total(),
        "{stats}"
    );
}

/// Waits until `condition` holds; every look lets the other tasks run first, and the paused clock go
/// on.
#[track_caller]
fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        for _ in 0..LOOKS {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("what {caller} waits for never comes");
    }
}

/// Returns every segment in the folders of this folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>()
    };
    let is_segment = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("seg" | "open")) && !path.parent().unwrap().ends_with("quarantine")
    };
    let mut all = Vec::new();
    for folder in entries(folder).iter().filter(|path| path.is_dir()) {
        all.extend(entries(folder));
    }
    all.retain(is_segment);
    all
}

/// A quarter of an hour of a paused clock.
const LOOKS: u32 = 1_000_000;
const LIMIT: Duration = Duration::from_secs(3_600);
