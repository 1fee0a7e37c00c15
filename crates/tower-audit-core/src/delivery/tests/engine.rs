//! The queue, the batches and the shutdown.

use std::sync::atomic::Ordering;

use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn a_record_is_written_at_once_when_the_store_is_idle() {
    let store = Scripted::open();
    let delivery = start(DeliverySettings::new(), store.clone());
    delivery.record(item(1));
    until(|| delivery.stats().written == 1).await;
    assert_eq!(store.written(), [1]);
}

#[tokio::test(start_paused = true)]
async fn records_that_come_while_a_batch_is_written_go_together() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().in_flight(some(1)), store.clone());
    delivery.record(item(0));
    until(|| delivery.stats().in_flight == 1).await;
    (1..=10).for_each(|id| delivery.record(item(id)));
    store.let_through(2);
    delivery.flush().await;
    assert_eq!(store.batch_sizes(), [1, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_quick_gets_a_batch_a_pace_and_not_one_a_record() {
    let store = Scripted::open();
    let delivery = start(DeliverySettings::new(), store.clone());
    for id in 0..20 {
        delivery.record(item(id));
        tokio::time::advance(Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
    }
    delivery.flush().await;
    let sizes = store.batch_sizes();
    assert_eq!(sizes.iter().sum::<usize>(), 20);
    assert_eq!(sizes[0], 1, "the first is written at once");
    assert!((3..=4).contains(&sizes.len()), "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_smaller_than_a_batch_does_not_fill_up_beside_an_idle_store() {
    let by_count = DeliverySettings::new().capacity(some(64));
    let by_bytes = DeliverySettings::new().capacity_bytes(some(6_400));
    for settings in [by_count, by_bytes] {
        let store = Scripted::open();
        let delivery = start(settings.pace(LIMIT).linger(LIMIT), store.clone());
        delivery.record(item(0));
        until(|| delivery.stats().written == 1).await;
        for id in 1..1_000 {
            delivery.record(item(id));
            tokio::task::yield_now().await;
        }
        delivery.flush().await;
        assert_eq!(store.written().len(), 1_000, "{}", delivery.stats());
        assert!(store.batch_sizes().len() < 50, "not one a record");
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_stuck_batch_a_record_waits_no_longer_than_the_linger() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().write_timeout(LIMIT), store.clone());
    delivery.record(item(0));
    until(|| delivery.stats().in_flight == 1).await;
    let before = tokio::time::Instant::now();
    delivery.record(item(1));
    while delivery.stats().in_flight < 2 {
        tokio::time::advance(Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
    }
    let waited = before.elapsed();
    assert!((199..=205).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_batches_are_under_way_than_allowed() {
    let store = Scripted::closed();
    let settings = DeliverySettings::new()
        .batch_records(some(1))
        .write_timeout(LIMIT);
    let delivery = start(settings, store.clone());
    (0..20).for_each(|id| delivery.record(item(id)));
    for _ in 0..20 {
        store.let_through(1);
        tokio::time::advance(Duration::from_millis(300)).await;
    }
    delivery.flush().await;
    assert_eq!(store.0.most_under_way.load(Ordering::SeqCst), 2);
    assert_eq!(store.written().len(), 20);
}

#[tokio::test]
async fn a_batch_is_bounded_in_records_and_in_bytes() {
    let store = Scripted::closed();
    let settings = DeliverySettings::new()
        .batch_records(some(4))
        .batch_bytes(some(1_000))
        .in_flight(some(1));
    let delivery = start(settings, store.clone());
    (0..5).for_each(|id| delivery.record(item(id)));
    (5..9).for_each(|id| delivery.record(Item(id, 600)));
    delivery.record(Item(9, 5_000));
    store.let_through(100);
    delivery.flush().await;
    assert_eq!(store.batch_sizes(), [4, 2, 1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_error_is_repeated_until_the_batch_is_written() {
    let store = Scripted::open().script([Act::Unavailable; 12]);
    let delivery = start(DeliverySettings::new(), store.clone());
    delivery.record(item(1));
    delivery.flush().await;
    assert_eq!(store.written(), [1]);
    assert_eq!(delivery.stats().retries, 12);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_panics_is_tried_again() {
    let store = Scripted::open().script([Act::Panic]);
    let delivery = start(DeliverySettings::new(), store.clone());
    delivery.record(item(1));
    delivery.flush().await;
    assert_eq!(store.written(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_never_answers_is_tried_again_after_the_timeout() {
    let store = Scripted::open().script([Act::Hang]);
    let delivery = start(DeliverySettings::new(), store.clone());
    delivery.record(item(1));
    delivery.flush().await;
    assert_eq!(store.written(), [1]);
}

#[tokio::test(start_paused = true)]
async fn records_wait_for_a_store_that_is_not_ready() {
    let store = Scripted::open();
    store.set_ready(false);
    let delivery = start(DeliverySettings::new(), store.clone());
    delivery.record(item(1));
    until(|| delivery.stats().retries > 0).await;
    assert_eq!(
        *delivery.health().await.status(),
        HealthStatus::Degraded(HealthReason::NotReady("run the migrations"))
    );
    store.set_ready(true);
    delivery.flush().await;
    assert_eq!(store.written(), [1]);
    assert_eq!(*delivery.health().await.status(), HealthStatus::Healthy);
}

#[tokio::test]
async fn a_rejected_record_costs_only_itself() {
    let store = Scripted::closed().poison([3, 11]);
    let delivery = start(DeliverySettings::new().in_flight(some(1)), store.clone());
    (0..20).for_each(|id| delivery.record(item(id)));
    store.let_through(100);
    delivery.flush().await;
    let expected: Vec<u64> = (0..20).filter(|id| ![3, 11].contains(id)).collect();
    assert_eq!(store.written(), expected);
    assert_eq!(delivery.stats().dropped[DropReason::Rejected], 2);
    assert_conserved(delivery.stats());
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().capacity(some(10)), store.clone());
    (0..25).for_each(|id| delivery.record(item(id)));
    let stats = delivery.stats();
    assert_eq!(
        (
            stats.accepted,
            stats.queued,
            stats.dropped[DropReason::Full]
        ),
        (25, 10, 15)
    );
    assert_eq!(
        *delivery.health().await.status(),
        HealthStatus::Failing(HealthReason::QueueFull)
    );
    store.let_through(100);
    delivery.flush().await;
    assert_eq!(store.written(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_being_written_takes_room_too() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().capacity(some(1)), store.clone());
    delivery.record(item(0));
    until(|| delivery.stats().in_flight == 1).await;
    delivery.record(item(1));
    assert_eq!(delivery.stats().dropped[DropReason::Full], 1);
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().capacity_bytes(some(1_000)), store);
    (0..25).for_each(|id| delivery.record(Item(id, 300)));
    let stats = delivery.stats();
    assert_eq!(
        (
            stats.queued,
            stats.queued_bytes,
            stats.dropped[DropReason::Full]
        ),
        (3, 900, 22)
    );
}

#[tokio::test]
async fn a_record_larger_than_the_queue_is_delivered_alone() {
    let store = Scripted::open();
    let delivery = start(
        DeliverySettings::new().capacity_bytes(some(1_000)),
        store.clone(),
    );
    delivery.record(Item(1, 50_000));
    delivery.flush().await;
    assert_eq!(store.written(), [1]);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_ends_when_there_is_room() {
    let store = Scripted::closed();
    let settings = DeliverySettings::new()
        .capacity(some(1))
        .overflow(Overflow::Wait(LIMIT));
    let delivery = start(settings.write_timeout(LIMIT), store.clone());
    delivery.record(item(0));
    let waiting = tokio::spawn({
        let delivery = delivery.clone();
        async move { delivery.record_wait(item(1)).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(delivery.stats().accepted, 1);
    store.let_through(2);
    waiting.await.unwrap();
    delivery.flush().await;
    assert_eq!(store.written(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_ends_at_its_limit_and_the_loss_is_counted() {
    let store = Scripted::closed();
    let overflow = Overflow::Wait(Duration::from_millis(50));
    let delivery = start(
        DeliverySettings::new().capacity(some(1)).overflow(overflow),
        store,
    );
    delivery.record(item(0));
    delivery.record_wait(item(1)).await;
    assert_eq!(delivery.stats().dropped[DropReason::Full], 1);
    assert_conserved(delivery.stats());
}

#[tokio::test]
async fn a_permit_finds_room_in_a_queue_that_filled_up_since() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new().capacity(some(2)), store.clone());
    let permit = delivery.try_reserve(100).unwrap();
    (0..5).for_each(|id| delivery.record(item(id)));
    permit.send(item(9));
    store.let_through(100);
    delivery.flush().await;
    assert_eq!(store.written(), [0, 1, 9]);
}

#[tokio::test]
async fn what_is_reserved_makes_nobody_else_lose_a_record() {
    let store = Scripted::open();
    let delivery = start(DeliverySettings::new().capacity(some(2)), store.clone());
    let _permits = (
        delivery.try_reserve(100).unwrap(),
        delivery.try_reserve(100).unwrap(),
    );
    assert!(delivery.try_reserve(100).is_none());
    delivery.record(item(1));
    delivery.flush().await;
    assert_eq!(
        (store.written(), delivery.health().await.status().clone()),
        (vec![1], HealthStatus::Healthy)
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_smaller_than_its_reservation_lets_the_next_one_in() {
    let settings = DeliverySettings::new()
        .capacity_bytes(some(6_000))
        .write_timeout(LIMIT * 10);
    let delivery = start(settings.overflow(Overflow::Wait(LIMIT)), Scripted::closed());
    let (first, _second) = (
        delivery.try_reserve(2_500).unwrap(),
        delivery.try_reserve(2_500).unwrap(),
    );
    let started = tokio::time::Instant::now();
    let (third, ()) = tokio::join!(delivery.reserve(2_500), async { first.send(Item(1, 500)) });
    assert!(third.is_some() && started.elapsed() < LIMIT);
}

#[tokio::test]
async fn a_queue_that_is_full_by_bytes_is_failing() {
    let settings = DeliverySettings::new().capacity_bytes(some(1_000));
    let delivery = start(settings, Scripted::closed());
    (0..4).for_each(|id| delivery.record(Item(id, 300)));
    assert_eq!(
        *delivery.health().await.status(),
        HealthStatus::Failing(HealthReason::QueueFull)
    );
}

#[tokio::test]
async fn a_permit_that_is_dropped_gives_its_room_back() {
    let delivery = start(
        DeliverySettings::new().capacity(some(1)),
        Scripted::closed(),
    );
    let permit = delivery.try_reserve(100).unwrap();
    assert!(delivery.try_reserve(100).is_none());
    drop(permit);
    assert!(delivery.try_reserve(100).is_some());
    assert_eq!(delivery.stats().accepted, 0);
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_an_older_batch_that_a_newer_one_overtook() {
    let store = Scripted::open().script([Act::Hang]);
    let settings = DeliverySettings::new()
        .batch_records(some(1))
        .write_timeout(LIMIT / 2);
    let delivery = start(settings, store.clone());
    delivery.record(item(0));
    until(|| delivery.stats().in_flight == 1).await;
    delivery.record(item(1));
    until(|| delivery.stats().written == 1).await;
    delivery.flush().await;
    assert_eq!(store.written(), [0, 1]);
}

#[tokio::test]
async fn a_flush_of_nothing_ends_at_once() {
    let delivery = start(DeliverySettings::new(), Scripted::closed());
    delivery.flush().await;
}

#[tokio::test]
async fn a_shutdown_writes_what_is_queued() {
    let store = Scripted::open();
    let delivery = start(DeliverySettings::new(), store.clone());
    (0..2_000).for_each(|id| delivery.record(item(id)));
    let report = delivery.shutdown(LIMIT).await;
    assert_eq!(
        (report.stats.accepted, report.stats.written, report.left),
        (2_000, 2_000, 0)
    );
    assert_eq!(store.written().len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_up_at_its_deadline_and_counts_what_is_left() {
    let settings = DeliverySettings::new()
        .batch_records(some(2))
        .write_timeout(LIMIT * 2);
    let delivery = start(settings, Scripted::closed());
    (0..10).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().in_flight == 2).await;
    let report = delivery.shutdown(LIMIT).await;
    assert_eq!((report.left, report.stats.queued), (10, 0));
    assert_conserved(report.stats);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_sit_out_a_long_backoff() {
    let store = Scripted::open().script([Act::Unavailable; 3]);
    let settings = DeliverySettings::new().retry(LIMIT * 100, LIMIT * 100);
    let delivery = start(settings, store.clone());
    delivery.record(item(1));
    until(|| delivery.stats().retries == 1).await;
    let report = delivery.shutdown(Duration::from_secs(10)).await;
    assert_eq!((report.stats.written, report.left), (1, 0));
}

#[tokio::test]
async fn a_second_shutdown_waits_for_the_same_end() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new(), store.clone());
    delivery.record(item(1));
    let both = async { tokio::join!(delivery.shutdown(LIMIT), delivery.shutdown(LIMIT)) };
    let open = async {
        tokio::task::yield_now().await;
        store.let_through(1);
    };
    let ((first, second), ()) = tokio::join!(both, open);
    assert_eq!(first, second);
    assert_eq!(first.stats.written, 1);
}

#[tokio::test]
async fn a_record_after_the_shutdown_is_dropped_and_counted() {
    let delivery = start(DeliverySettings::new(), Scripted::open());
    let _ = delivery.shutdown(LIMIT).await;
    delivery.record(item(1));
    delivery.record_wait(item(2)).await;
    assert_eq!(delivery.stats().dropped[DropReason::Closed], 2);
    assert_eq!(
        *delivery.health().await.status(),
        HealthStatus::Failing(HealthReason::Closed)
    );
    assert_conserved(delivery.stats());
}

#[tokio::test]
async fn dropping_every_handle_still_writes_what_is_queued() {
    let store = Scripted::closed();
    let delivery = start(DeliverySettings::new(), store.clone());
    (0..50).for_each(|id| delivery.record(item(id)));
    drop(delivery);
    store.let_through(100);
    timeout(LIMIT, until(|| store.written().len() == 50))
        .await
        .unwrap();
}

#[test]
fn a_runtime_that_ends_leaves_every_record_counted() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let delivery = runtime.block_on(async { start(DeliverySettings::new(), Scripted::closed()) });
    (0..50).for_each(|id| delivery.record(item(id)));
    drop(runtime);
    delivery.record(item(50));
    let stats = delivery.stats();
    assert_eq!(
        (
            stats.dropped[DropReason::Abandoned],
            stats.dropped[DropReason::Closed]
        ),
        (50, 1)
    );
    assert_conserved(stats);
}

#[test]
fn starting_outside_of_a_runtime_panics_with_what_to_do() {
    let start = || start(DeliverySettings::new(), Scripted::closed());
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(start)).unwrap_err();
    let message = panic.downcast_ref::<&str>().unwrap();
    assert!(message.contains("inside a Tokio runtime"), "{message}");
}

#[tokio::test]
async fn room_for_two_is_reserved_at_once_or_not_at_all() {
    let settings = DeliverySettings::new().capacity(some(3));
    let delivery = start(settings, Scripted::closed());
    let _two: [Permit<Item>; 2] = delivery.reserve_all(100).await.unwrap();
    let more: Option<[Permit<Item>; 2]> = delivery.reserve_all(100).await;
    assert!(more.is_none());
    assert!(delivery.try_reserve(100).is_some());
    assert!(delivery.could_hold(3, 100) && !delivery.could_hold(4, 100));
}

#[tokio::test(start_paused = true)]
async fn the_age_of_what_is_being_written_counts() {
    let delivery = start(
        DeliverySettings::new().write_timeout(LIMIT),
        Scripted::closed(),
    );
    delivery.record(item(1));
    until(|| delivery.stats().in_flight == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(delivery.stats().oldest_queued.unwrap() >= Duration::from_secs(3));
}

#[tokio::test]
async fn times_without_end_are_no_trouble() {
    let settings = DeliverySettings::new()
        .confirm_timeout(Duration::MAX)
        .retry(Duration::MAX, Duration::MAX);
    let delivery = start(settings, Scripted::open().script([Act::Unavailable]));
    delivery.record(item(1));
    until(|| delivery.stats().retries == 1).await;
    let waiting = delivery.record_durable(item(2));
    let (kept, report) = tokio::join!(waiting, delivery.shutdown(Duration::MAX));
    assert_eq!((kept, report.left), (Ok(Kept::Written), 0));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_wakes_whoever_waits_for_room() {
    let settings = DeliverySettings::new().capacity(some(1));
    let delivery = start(settings.overflow(Overflow::Wait(LIMIT)), Scripted::closed());
    let permit = delivery.try_reserve(100).unwrap();
    let started = tokio::time::Instant::now();
    let (next, ()) = tokio::join!(delivery.reserve(100), async { drop(permit) });
    assert!(next.is_some() && started.elapsed() < LIMIT);
}
