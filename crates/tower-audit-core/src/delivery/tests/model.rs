//! Random schedules against the conservation law.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tempfile::TempDir;

use tokio::time::timeout;

use super::*;
use crate::spool::Spool;

#[derive(Clone, Debug)]
enum Step {
    Record(usize),
    RecordDurable,
    LetThrough(usize),
    Yield,
    Advance(u64),
    /// The store goes away, or comes back.
    Ready(bool),
    Flush,
    /// The process ends, with this much time for its shutdown, and starts again.
    Restart(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_usize..400).prop_map(Step::Record),
        1 => Just(Step::RecordDurable),
        4 => (1_usize..4).prop_map(Step::LetThrough),
        3 => Just(Step::Yield),
        2 => (1_u64..20_000).prop_map(Step::Advance),
        2 => any::<bool>().prop_map(Step::Ready),
        1 => Just(Step::Flush),
        1 => (0_u64..5_000).prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..80)
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Unavailable),
        Just(Act::CommitAndFail),
        Just(Act::Panic),
        Just(Act::Hang)
    ];
    prop::collection::vec(act, 0..12)
}

/// One process after the other, on one store and one folder.
struct Lives {
    folder: Option<TempDir>,
    spool_bytes: u64,
    store: Scripted,
    delivery: Delivery<Item>,
    recorded: u64,
    /// What earlier lives dropped, but for what the store refused.
    dropped: u64,
    /// What was cut off by a shutdown: it may have reached the store all the same.
    left: u64,
}

impl Lives {
    fn new(has_spool: bool, spool_bytes: u64, store: Scripted) -> Self {
        let folder = has_spool.then(|| TempDir::new().unwrap());
        let delivery = Self::start(folder.as_ref(), spool_bytes, &store);
        Self {
            folder,
            spool_bytes,
            store,
            delivery,
            recorded: 0,
            dropped: 0,
            left: 0,
        }
    }

    fn start(folder: Option<&TempDir>, spool_bytes: u64, store: &Scripted) -> Delivery<Item> {
        let settings = DeliverySettings::new()
            .capacity(some(50))
            .capacity_bytes(some(6_000))
            .batch_records(some(7));
        let mut builder = Delivery::builder().settings(settings);
        if let Some(folder) = folder {
            let spool = Spool::builder(folder.path())
                .max_bytes(spool_bytes)
                .segment_bytes(200);
            builder = builder.spool(spool.open().unwrap());
        }
        builder.start(store.clone())
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Record(size) => {
                self.delivery.record(Item(self.recorded, size));
                self.recorded += 1;
            }
            Step::RecordDurable => {
                let id = self.recorded;
                self.recorded += 1;
                let kept = self.delivery.record_durable(item(id)).await;
                if kept == Ok(Kept::Written) {
                    assert!(self.store.written().contains(&id), "{id} was confirmed");
                }
            }
            Step::LetThrough(writes) => self.store.let_through(writes),
            Step::Yield => tokio::task::yield_now().await,
            Step::Advance(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Step::Ready(is_ready) => self.store.set_ready(is_ready),
            Step::Flush => drop(timeout(Duration::from_secs(60), self.delivery.flush()).await),
            Step::Restart(ms) => self.restart(Duration::from_millis(ms)).await,
        }
        assert_conserved(self.delivery.stats());
    }

    async fn restart(&mut self, deadline: Duration) {
        let report = self.delivery.shutdown(deadline).await;
        assert_conserved(report.stats);
        assert_eq!(report.stats.queued, 0);
        let dropped = report.stats.dropped;
        self.dropped += dropped.total() - dropped[DropReason::Rejected];
        self.left += report.left;
        self.delivery = Self::start(self.folder.as_ref(), self.spool_bytes, &self.store);
    }

    /// With a store that works, everything arrives that was not counted as something else.
    async fn check_the_end(mut self) {
        self.store.set_ready(true);
        self.store.let_through(100_000);
        let delivery = &self.delivery;
        let folder = self.folder.as_ref().map(TempDir::path);
        // Twice: while a file is taken over, whoever looks at one folder after the other may see it in neither.
        let is_empty = || folder.is_none_or(|path| (0..2).all(|_| files(path).is_empty()));
        until(|| delivery.stats().queued == 0 && delivery.stats().spooled == 0 && is_empty()).await;
        self.restart(LIMIT).await;
        let written: BTreeSet<u64> = self.store.written().into_iter().collect();
        let poison = self.store.0.poison.lock().unwrap().clone();
        let refused: BTreeSet<u64> = poison.into_iter().collect();
        assert!(
            written.is_disjoint(&refused),
            "a refused record was written"
        );
        let missing = (0..self.recorded).filter(|id| !written.contains(id));
        let (refused, lost): (Vec<u64>, Vec<u64>) = missing.partition(|id| refused.contains(id));
        let (refused, lost) = (refused.len() as u64, lost.len() as u64);
        assert!(
            lost <= self.dropped,
            "{lost} lost, {} counted",
            self.dropped
        );
        assert!(
            self.dropped <= lost + refused + self.left,
            "{lost} lost, {} counted",
            self.dropped
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// The oracle: the law holds at every step, and at the end each record is in the store or was
    /// counted as dropped or dead-lettered; what the end of a process cut off may be both.
    #[test]
    fn nothing_is_lost_whatever_the_store_the_spool_and_the_process_do(
        steps in steps(),
        acts in acts(),
        poison in prop::collection::hash_set(0_u64..60, 0..4),
        has_spool in prop::bool::weighted(0.8),
        spool_bytes in prop_oneof![Just(1_000_000_u64), 100_u64..2_000],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = Scripted::closed().script(acts).poison(poison);
            let mut lives = Lives::new(has_spool, spool_bytes, store);
            for step in steps {
                lives.step(step).await;
            }
            lives.check_the_end().await;
        });
    }
}
