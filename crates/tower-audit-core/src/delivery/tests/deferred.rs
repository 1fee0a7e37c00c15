//! Records that are made of something else once they have left the queue.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::spool::Spool;

/// Makes an item, and says that it did.
struct Later {
    item: Item,
    was_made: Arc<AtomicBool>,
    does_panic: bool,
}

fn later(id: u64) -> Box<Later> {
    Box::new(Later {
        item: item(id),
        was_made: Arc::default(),
        does_panic: false,
    })
}

impl Deferred<Item> for Later {
    fn size(&self) -> usize {
        self.item.1
    }

    fn make(self: Box<Self>) -> Option<Item> {
        assert!(!self.does_panic, "this one cannot be made");
        self.was_made.store(true, Ordering::SeqCst);
        Some(self.item)
    }
}

#[tokio::test]
async fn a_record_is_made_by_the_worker_and_not_by_who_hands_it_over() {
    let store = Scripted::open();
    let delivery = start(DeliverySettings::new(), store.clone());
    let first = later(1);
    let was_made = Arc::clone(&first.was_made);
    delivery.record_deferred(first);
    // The worker is on this thread, and has not had its turn.
    assert!(!was_made.load(Ordering::SeqCst));
    delivery.flush().await;
    assert!(was_made.load(Ordering::SeqCst));
    assert_eq!(store.written(), [1]);
}

#[tokio::test]
async fn what_will_be_a_record_takes_room_from_the_start() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().capacity_bytes(some(250)), store);
    (0..3).for_each(|id| delivery.record_deferred(later(id)));
    let stats = delivery.stats();
    assert_eq!(
        (stats.queued_bytes, stats.dropped[DropReason::Full]),
        (200, 1)
    );
}

#[tokio::test]
async fn one_that_cannot_be_made_costs_only_itself() {
    let store = Scripted::open();
    let delivery = start(DeliverySettings::new(), store.clone());
    for id in 0..5 {
        let mut one = later(id);
        one.does_panic = id == 2;
        delivery.record_deferred(one);
    }
    delivery.flush().await;
    assert_eq!(store.written(), [0, 1, 3, 4]);
    assert_eq!(delivery.stats().dropped[DropReason::Rejected], 1);
    assert_conserved(delivery.stats());
}

#[tokio::test]
async fn a_batch_of_which_none_can_be_made_is_over() {
    let delivery = start(DeliverySettings::new(), Scripted::open());
    let mut one = later(1);
    one.does_panic = true;
    delivery.record_deferred(one);
    delivery.flush().await;
    let stats = delivery.stats();
    assert_eq!(
        (stats.in_flight, stats.dropped[DropReason::Rejected]),
        (0, 1)
    );
    assert_conserved(stats);
}

#[test]
fn what_is_left_when_the_runtime_ends_is_made_for_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::builder(folder.path()).open().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let delivery = runtime.block_on(async {
        let delivery = Delivery::builder().spool(spool).start(Scripted::closed());
        let mut broken = later(2);
        broken.does_panic = true;
        delivery.record_deferred(later(1));
        delivery.record_deferred(broken);
        delivery
    });
    drop(runtime);
    let stats = delivery.stats();
    assert_eq!((stats.spooled, stats.dropped[DropReason::Rejected]), (1, 1));
    assert_conserved(stats);
}

#[test]
fn what_is_not_made_yet_when_the_runtime_ends_is_made_for_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let delivery = runtime.block_on(async {
        let spool = Spool::open(folder.path()).unwrap();
        let delivery = Delivery::builder().spool(spool).start(Scripted::closed());
        let records: Vec<_> = (0..1_000).map(later).collect();
        let made: Vec<_> = records
            .iter()
            .map(|one| Arc::clone(&one.was_made))
            .collect();
        records
            .into_iter()
            .for_each(|one| delivery.record_deferred(one));
        // The worker makes some, and lets others have their turn.
        tokio::task::yield_now().await;
        let is_made = |made: &&Arc<AtomicBool>| made.load(Ordering::SeqCst);
        let some = made.iter().filter(is_made).count();
        assert!((1..1_000).contains(&some), "{some}");
        delivery
    });
    drop(runtime);
    assert_eq!(
        (delivery.stats().spooled, delivery.stats().queued),
        (1_000, 0)
    );
    assert_conserved(delivery.stats());
}
