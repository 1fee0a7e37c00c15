//! Whoever waits until a record is kept.

use tempfile::TempDir;

use super::*;
use crate::spool::Spool;

fn quick() -> DeliverySettings {
    let first = Duration::from_millis(1);
    DeliverySettings::new().retry(first, Duration::from_millis(20))
}

fn with_spool(folder: &TempDir, settings: DeliverySettings, store: &Scripted) -> Delivery<Item> {
    let spool = Spool::open(folder.path()).unwrap();
    Delivery::builder()
        .settings(settings)
        .spool(spool)
        .start(store.clone())
}

#[tokio::test]
async fn a_durable_record_is_in_the_store_when_it_is_confirmed() {
    let store = Scripted::open();
    let delivery = start(DeliverySettings::new(), store.clone());
    assert_eq!(delivery.record_durable(item(1)).await, Ok(Kept::Written));
    assert_eq!(store.written(), [1]);
}

#[tokio::test(start_paused = true)]
async fn durable_records_that_come_together_are_committed_together() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().in_flight(some(1)), store.clone());
    let record = |id| {
        let delivery = delivery.clone();
        tokio::spawn(async move { delivery.record_durable(item(id)).await })
    };
    let tasks: Vec<_> = (0..50).map(record).collect();
    until(|| delivery.stats().accepted == 50).await;
    store.let_through(10);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(Kept::Written));
    }
    assert!(store.batch_sizes().len() <= 2, "{:?}", store.batch_sizes());
}

#[tokio::test(start_paused = true)]
async fn a_durable_record_does_not_linger() {
    let store = Scripted::closed();
    let delivery = start(
        DeliverySettings::new().write_timeout(LIMIT).linger(LIMIT),
        store.clone(),
    );
    delivery.record(item(0));
    until(|| delivery.stats().in_flight == 1).await;
    // This one lingers, and the worker with it.
    delivery.record(item(2));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(delivery.stats().in_flight, 1);
    let waiting = tokio::spawn({
        let delivery = delivery.clone();
        async move { delivery.record_durable(item(1)).await }
    });
    until(|| delivery.stats().in_flight == 2).await;
    store.let_through(2);
    assert_eq!(waiting.await.unwrap(), Ok(Kept::Written));
}

#[tokio::test(start_paused = true)]
async fn with_the_store_down_a_durable_record_is_confirmed_by_the_spool() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    let delivery = with_spool(&folder, quick(), &store);
    assert_eq!(delivery.record_durable(item(1)).await, Ok(Kept::Spooled));
    assert_eq!(
        (delivery.stats().spooled, delivery.can_keep(false)),
        (1, Ok(()))
    );
    until(|| delivery.can_keep(true) == Err(NotKept::Unavailable)).await;
}

#[tokio::test(start_paused = true)]
async fn a_spool_that_does_not_count_confirms_nothing() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    let delivery = with_spool(&folder, quick().confirm(Confirm::Store), &store);
    assert_eq!(
        delivery.record_durable(item(1)).await,
        Err(NotKept::OnlySpooled)
    );
    until(|| delivery.can_keep(false) == Err(NotKept::Unavailable)).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_spool_a_durable_record_waits_and_then_says_that_it_is_still_on_its_way() {
    let store = Scripted::open();
    store.set_ready(false);
    let delivery = start(quick(), store.clone());
    assert_eq!(
        delivery.record_durable(item(1)).await,
        Err(NotKept::TimedOut)
    );
    // At the moment when the store is tried again it may be the one that takes a record.
    until(|| delivery.can_keep(false) == Err(NotKept::Unavailable)).await;
    assert_eq!(delivery.stats().queued, 1);
    store.set_ready(true);
    delivery.flush().await;
    assert_eq!(
        (store.written(), delivery.can_keep(true)),
        (vec![1], Ok(()))
    );
}

#[tokio::test(start_paused = true)]
async fn when_it_is_time_to_try_a_dead_store_again_a_durable_record_may_be_the_one_that_does() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    let delivery = with_spool(&folder, quick(), &store);
    delivery.record(item(1));
    until(|| delivery.stats().spooled == 1).await;
    // Nothing is left that would try: somebody has deleted the spool.
    std::fs::remove_dir_all(folder.path()).unwrap();
    until(|| delivery.can_keep(true).is_err()).await;
    until(|| delivery.can_keep(true).is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_told_to_whoever_waits() {
    let delivery = start(quick(), Scripted::open().poison([1]));
    assert_eq!(
        delivery.record_durable(item(1)).await,
        Err(NotKept::Rejected)
    );
}

#[tokio::test(start_paused = true)]
async fn a_durable_record_that_finds_no_room_is_dropped_and_counted() {
    let delivery = start(quick().capacity(some(1)), Scripted::closed());
    delivery.record(item(0));
    assert_eq!(delivery.record_durable(item(1)).await, Err(NotKept::Full));
    assert_eq!(delivery.stats().dropped[DropReason::Full], 1);
    assert_conserved(delivery.stats());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tells_whoever_waits() {
    let delivery = start(
        quick().write_timeout(LIMIT * 9).confirm_timeout(LIMIT * 9),
        Scripted::closed(),
    );
    let waiting = tokio::spawn({
        let delivery = delivery.clone();
        async move { delivery.record_durable(item(1)).await }
    });
    until(|| delivery.stats().in_flight == 1).await;
    let _ = delivery.shutdown(LIMIT).await;
    assert_eq!(waiting.await.unwrap(), Err(NotKept::Closed));
    assert_eq!(delivery.record_durable(item(2)).await, Err(NotKept::Closed));
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_does_not_disturb_the_record() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new(), store.clone());
    let waiting = tokio::spawn({
        let delivery = delivery.clone();
        async move { delivery.record_durable(item(1)).await }
    });
    until(|| delivery.stats().in_flight == 1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    store.let_through(1);
    delivery.flush().await;
    assert_eq!(store.written(), [1]);
}
