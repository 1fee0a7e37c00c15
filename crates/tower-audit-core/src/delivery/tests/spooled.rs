//! What the spool, the breaker and the dead letters do for the engine.

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::spool::{Spool, SpoolBuilder};

fn quick() -> DeliverySettings {
    let first = Duration::from_millis(1);
    DeliverySettings::new().retry(first, Duration::from_millis(20))
}

fn spool(folder: &TempDir) -> SpoolBuilder {
    Spool::builder(folder.path())
}

fn start_in(folder: &TempDir, settings: DeliverySettings, store: &Scripted) -> Delivery<Item> {
    let spool = spool(folder).open().unwrap();
    Delivery::builder()
        .settings(settings)
        .spool(spool)
        .start(store.clone())
}

/// Returns an engine whose store is down, and these records in its spool.
async fn spooled(folder: &TempDir, store: &Scripted, ids: std::ops::Range<u64>) -> Delivery<Item> {
    store.set_ready(false);
    let delivery = start_in(folder, quick(), store);
    let count = ids.end - ids.start;
    ids.for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spooled == count).await;
    assert_conserved(delivery.stats());
    delivery
}

async fn drained(delivery: &Delivery<Item>) {
    until(|| delivery.stats().spooled == 0 && delivery.stats().queued == 0).await;
    assert_conserved(delivery.stats());
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_records_go_to_the_spool_and_afterwards_to_the_store() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    let delivery = spooled(&folder, &store, 0..1_000).await;
    assert_eq!(delivery.stats().queued, 0);
    store.set_ready(true);
    drained(&delivery).await;
    assert_eq!(store.written(), (0..1_000).collect::<Vec<_>>());
    assert_eq!(
        (delivery.stats().written, delivery.stats().spooled_bytes),
        (1_000, 0)
    );
    assert!(files(folder.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_spooled_is_written_oldest_first() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    // Batches that are under way together may change places.
    let delivery = start_in(&folder, quick().in_flight(some(1)), &store);
    (0..2_000).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spooled == 2_000).await;
    store.set_ready(true);
    drained(&delivery).await;
    assert_eq!(store.in_order(), (0..2_000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_spool_survives_the_process_and_is_written_by_the_next_one() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    let first = spooled(&folder, &store, 0..100).await;
    let report = first.shutdown(LIMIT).await;
    assert_eq!((report.stats.spooled, report.left), (100, 0));
    drop(first);
    store.set_ready(true);
    let second = start_in(&folder, quick(), &store);
    until(|| second.stats().written == 100).await;
    assert_eq!(second.stats().accepted, 100);
    assert_eq!(store.written(), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_a_shutdown_has_no_time_to_write_goes_to_the_spool() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let settings = quick().write_timeout(LIMIT * 2).spill_after(LIMIT * 2);
    let delivery = start_in(&folder, settings.batch_records(some(500)), &store);
    (0..2_000).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().in_flight == 2).await;
    let report = delivery.shutdown(Duration::from_secs(10)).await;
    assert_eq!(
        (report.stats.spooled, report.left, report.stats.queued),
        (2_000, 0, 0)
    );
    assert_conserved(report.stats);
}

#[test]
fn what_is_left_when_the_runtime_ends_goes_to_the_spool() {
    let folder = TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let delivery = runtime.block_on(async {
        let settings = quick().batch_records(some(500));
        let delivery = start_in(&folder, settings, &Scripted::closed());
        (0..1_200).for_each(|id| delivery.record(item(id)));
        until(|| delivery.stats().in_flight == 2).await;
        delivery
    });
    drop(runtime);
    assert_eq!(
        (delivery.stats().spooled, delivery.stats().queued),
        (1_200, 0)
    );
    assert_conserved(delivery.stats());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_makes_a_queue_spill_before_it_is_full() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let settings = quick()
        .capacity(some(200))
        .batch_records(some(20))
        .write_timeout(LIMIT * 9);
    let delivery = start_in(&folder, settings, &store);
    for id in 0..2_000 {
        delivery.record(item(id));
        until(|| delivery.stats().queued < 190).await;
    }
    let stats = delivery.stats();
    assert_eq!((stats.dropped.total(), stats.accepted), (0, 2_000));
    assert!(stats.spooled >= 1_800, "{stats}");
    store.let_through(10_000);
    drained(&delivery).await;
    assert_eq!(store.written().len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_a_file_leaves_the_spool_only_once_it_is_counted() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let mut spool = spool(&folder).open().unwrap();
    // The thread that wrote says so late.
    spool.files.lag = Duration::from_millis(100);
    let settings = quick().batch_records(some(1)).in_flight(some(1));
    let settings = settings.spill_after(Duration::ZERO);
    let delivery = Delivery::builder()
        .settings(settings.write_timeout(LIMIT * 9))
        .spool(spool)
        .start(store.clone());
    (0..2).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spooled == 1).await;
    // The first segment is taken, and waits for the store: the next records go to a second one.
    delivery.record(item(2));
    until(|| delivery.stats().spooled == 2).await;
    let before = bytes(folder.path());
    delivery.record(item(3));
    // The paused clock stands still while a thread writes.
    while bytes(folder.path()) == before {
        tokio::task::yield_now().await;
    }
    store.let_through(100);
    drained(&delivery).await;
    assert_eq!(store.in_order(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_spool_that_refused_once_does_not_leave_a_queue_to_a_store_that_never_answers() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let mut spool = spool(&folder).open().unwrap();
    let syncs = AtomicUsize::new(0);
    spool.files.sync = Box::new(move |_| match syncs.fetch_add(1, Ordering::SeqCst) {
        1 => Err(std::io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    });
    let settings = quick().capacity(some(200)).batch_records(some(20));
    let delivery = Delivery::builder()
        .settings(settings.write_timeout(LIMIT * 9))
        .spool(spool)
        .start(store.clone());
    for id in 0..500 {
        delivery.record(item(id));
        until(|| delivery.stats().queued < 190).await;
    }
    assert_eq!(delivery.stats().dropped.total(), 0);
    assert_eq!(store.0.under_way.load(Ordering::SeqCst), 2);
    store.let_through(10_000);
    drained(&delivery).await;
    assert_eq!(store.written().len(), 500);
}

fn bytes(folder: &Path) -> u64 {
    let sizes = files(folder)
        .into_iter()
        .filter_map(|path| Some(path.metadata().ok()?.len()));
    sizes.sum()
}

/// A spool that takes something only while `takes` says so.
fn fickle_spool(folder: &TempDir, takes: &Arc<AtomicBool>) -> Spool {
    let mut spool = spool(folder).open().unwrap();
    let takes = Arc::clone(takes);
    spool.files.sync = Box::new(move |_| match takes.load(Ordering::SeqCst) {
        true => Ok(()),
        false => Err(std::io::ErrorKind::StorageFull.into()),
    });
    spool
}

/// Returns an engine that writes one record at a time, of three: the store does not answer for the first, the spool
/// refused the second, and the third waits.
async fn refused(folder: &TempDir, takes: &Arc<AtomicBool>, store: &Scripted) -> Delivery<Item> {
    let settings = quick().batch_records(some(1)).in_flight(some(1));
    let delivery = Delivery::builder()
        .settings(settings.write_timeout(LIMIT * 9))
        .spool(fickle_spool(folder, takes))
        .start(store.clone());
    (0..3).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spool_refused > 0).await;
    delivery
}

#[tokio::test(start_paused = true)]
async fn what_the_spool_refused_is_written_next_and_no_more_at_once_than_may_be() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let delivery = refused(&folder, &Arc::default(), &store).await;
    store.let_through(100);
    drained(&delivery).await;
    assert_eq!(store.in_order(), [0, 1, 2]);
    assert_eq!(store.0.most_under_way.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_spool_refused_takes_turns_with_what_it_took_before() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let takes = Arc::new(AtomicBool::new(true));
    let settings = quick().batch_records(some(1)).in_flight(some(1));
    let delivery = Delivery::builder()
        .settings(settings.write_timeout(LIMIT * 9))
        .spool(fickle_spool(&folder, &takes))
        .start(store.clone());
    delivery.record(item(0));
    until(|| delivery.stats().in_flight == 1).await;
    // Two segments: the replay takes the first one at once.
    for id in 1..10 {
        delivery.record(item(id));
        until(|| delivery.stats().spooled == id).await;
    }
    // It is in the second one when the spool refuses.
    store.let_through(3);
    until(|| delivery.stats().written == 3 && store.0.under_way.load(Ordering::SeqCst) == 1).await;
    takes.store(false, Ordering::SeqCst);
    delivery.record(item(10));
    until(|| delivery.stats().spool_refused > 0).await;
    store.let_through(100);
    drained(&delivery).await;
    let order = store.in_order();
    let place = order.iter().position(|id| *id == 10).unwrap();
    assert!(place <= 5, "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn behind_what_the_spool_refused_the_next_is_spooled_once_it_takes_some() {
    // The worker looks at what it waits for in any order.
    for _ in 0..8 {
        let (folder, store, takes) = (TempDir::new().unwrap(), Scripted::closed(), Arc::default());
        let delivery = refused(&folder, &takes, &store).await;
        store.let_through(1);
        let is_next = || store.0.under_way.load(Ordering::SeqCst) == 1;
        until(|| delivery.stats().written == 1 && is_next()).await;
        takes.store(true, Ordering::SeqCst);
        until(|| delivery.stats().spooled == 1).await;
        store.let_through(100);
        drained(&delivery).await;
        assert_eq!(store.in_order(), [0, 1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_a_stuck_store_leaves_waiting_is_spooled_after_a_while() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let settings = quick().batch_records(some(1)).write_timeout(LIMIT * 9);
    let delivery = start_in(&folder, settings, &store);
    (0..3).for_each(|id| delivery.record(item(id)));
    timeout(LIMIT, until(|| delivery.stats().spooled == 1))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_store_is_probed_and_not_hammered() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    let settings = DeliverySettings::new().capacity(some(10_000));
    let delivery = start_in(&folder, settings, &store);
    (0..9_000).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spooled == 9_000).await;
    let before = delivery.stats().retries;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let probes = delivery.stats().retries - before;
    assert!((20..=400).contains(&probes), "{probes} tries in 100 s");
}

#[tokio::test(start_paused = true)]
async fn a_replay_does_not_starve_new_records_nor_they_it() {
    for in_flight in [1, 2] {
        let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
        store.set_ready(false);
        store.let_through(1_000);
        let settings = quick()
            .in_flight(some(in_flight))
            .batch_records(some(10))
            .write_timeout(LIMIT);
        let delivery = start_in(&folder, settings, &store);
        (0..100).for_each(|id| delivery.record(item(id)));
        until(|| delivery.stats().spooled == 100).await;
        store.0.gate.forget_permits(Semaphore::MAX_PERMITS);
        store.set_ready(true);
        store.let_through(1); // for the probe that finds out
        until(|| delivery.stats().written > 0).await;
        (100..200).for_each(|id| delivery.record(item(id)));
        for _ in 0..10 {
            let before = delivery.stats().written;
            store.let_through(1);
            until(|| delivery.stats().written > before).await;
            // The paused clock stands while a file is used: whoever wants to write next is there.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let new = store.written().iter().filter(|id| **id >= 100).count();
        assert!(
            (30..=70).contains(&new),
            "{new} of 100 with {in_flight} in flight"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_a_dead_letter_and_costs_only_itself() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open().poison([3, 11]));
    let delivery = start_in(&folder, quick(), &store);
    (0..20).for_each(|id| delivery.record(item(id)));
    delivery.flush().await;
    let stats = delivery.stats();
    assert_eq!(
        (stats.written, stats.dead_lettered, stats.dropped.total()),
        (18, 2, 0)
    );
    assert_conserved(stats);
    let letters = std::fs::read_to_string(folder.path().join("dead-letters.jsonl")).unwrap();
    assert!(
        letters.contains(r#""event":[3,100]"#) && letters.contains("poison"),
        "{letters}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_in_the_spool_is_a_dead_letter_too() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open().poison([3, 11]));
    let delivery = spooled(&folder, &store, 0..20).await;
    store.set_ready(true);
    drained(&delivery).await;
    assert_eq!(
        (delivery.stats().written, delivery.stats().dead_lettered),
        (18, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_leaves_records_in_the_queue_and_is_counted() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    let spool = spool(&folder).max_bytes(400).open().unwrap();
    let settings = quick().batch_records(some(10));
    let delivery = Delivery::builder()
        .settings(settings)
        .spool(spool)
        .start(store.clone());
    (0..100).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spool_refused > 3).await;
    let stats = delivery.stats();
    assert_eq!(
        (stats.spooled + stats.queued, stats.dropped.total()),
        (100, 0)
    );
    assert!(stats.spooled > 0 && stats.spooled_bytes <= 400, "{stats}");
    store.set_ready(true);
    drained(&delivery).await;
    assert_eq!(store.written().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_spill_that_the_spool_refuses_stays_in_the_queue() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    let spool = spool(&folder).max_bytes(100).open().unwrap();
    let settings = quick()
        .capacity(some(200))
        .batch_records(some(20))
        .write_timeout(LIMIT * 9);
    let delivery = Delivery::builder()
        .settings(settings)
        .spool(spool)
        .start(store.clone());
    (0..150).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spool_refused > 0).await;
    assert_eq!(
        (delivery.stats().spooled, delivery.stats().queued),
        (0, 150)
    );
    store.let_through(1_000);
    drained(&delivery).await;
    assert_eq!(store.written().len(), 150);
}

#[tokio::test(start_paused = true)]
async fn health_is_well_again_when_a_spool_that_was_full_was_read() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    let spool = spool(&folder).max_bytes(400).open().unwrap();
    let settings = quick().batch_records(some(5));
    let delivery = Delivery::builder()
        .settings(settings)
        .spool(spool)
        .start(store.clone());
    (0..100).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spool_refused > 0).await;
    store.set_ready(true);
    drained(&delivery).await;
    assert_eq!(*delivery.health().await.status(), HealthStatus::Healthy);
}

#[tokio::test(start_paused = true)]
async fn while_the_spool_refuses_what_waits_nobody_is_told_that_it_would_take_more() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    store.set_ready(false);
    let spool = spool(&folder).max_bytes(10).open().unwrap();
    let settings = DeliverySettings::new()
        .retry(LIMIT, LIMIT)
        .write_timeout(LIMIT);
    let delivery = Delivery::builder()
        .settings(settings)
        .spool(spool)
        .start(store.clone());
    delivery.record(item(1));
    // Three tries come before it, an hour apart.
    while delivery.stats().spool_refused == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for _ in 0..5_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(delivery.can_keep(false), Err(NotKept::Unavailable));
    }
    assert!(
        delivery.stats().spool_refused >= 4,
        "nobody asks the spool again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_cannot_be_read_does_not_hold_up_the_others() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    let first = spooled(&folder, &store, 0..10).await;
    first.shutdown(LIMIT).await;
    drop(first);
    let delivery = spooled_more(&folder, &store, 10..20).await;
    // The oldest was read as soon as it was there, and waits for the store.
    let last = files(folder.path()).into_iter().max().unwrap();
    std::fs::remove_file(&last).unwrap();
    std::fs::create_dir(&last).unwrap();
    store.set_ready(true);
    drained(&delivery).await;
    let stats = delivery.stats();
    assert!(
        stats.written >= 10 && stats.dropped[DropReason::Damaged] > 0,
        "{stats}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_spooled_record_that_cannot_be_understood_is_counted_and_its_file_kept() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    let left = folder.path().join(uuid::Uuid::now_v7().to_string());
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("lock"), "").unwrap();
    let mut spooled = start_and_spool(&left);
    assert!(crate::spool::push_record(&mut spooled, |buffer| buffer.extend_from_slice(b"{}")));
    assert!(crate::spool::push_record(&mut spooled, |buffer| item(7).encode(buffer)));
    std::fs::write(left.join("0.seg"), spooled).unwrap();
    let delivery = start_in(&folder, quick(), &store);
    until(|| delivery.stats().written == 1).await;
    drained(&delivery).await;
    assert_eq!(delivery.stats().dropped[DropReason::Damaged], 1);
    assert_eq!(
        std::fs::read_dir(folder.path().join("quarantine"))
            .unwrap()
            .count(),
        1
    );
}

/// Returns the first bytes of a segment, as a spool in this folder writes them.
fn start_and_spool(folder: &Path) -> Vec<u8> {
    let scratch = folder.join("scratch");
    let mut files = Spool::open(&scratch).unwrap().files;
    files.append(&[], 0).unwrap();
    let own = std::fs::read_dir(&scratch)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let is_open = |path: &PathBuf| path.extension().is_some();
    let mut entries = std::fs::read_dir(own)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let header = std::fs::read(entries.find(is_open).unwrap()).unwrap();
    drop(files);
    std::fs::remove_dir_all(scratch).unwrap();
    header
}

/// Returns an engine that has taken over what is in the folder, and spooled more.
async fn spooled_more(
    folder: &TempDir,
    store: &Scripted,
    ids: std::ops::Range<u64>,
) -> Delivery<Item> {
    let delivery = start_in(folder, quick(), store);
    until(|| delivery.stats().spooled > 0).await;
    let all = delivery.stats().spooled + (ids.end - ids.start);
    ids.for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spooled == all).await;
    delivery
}

#[tokio::test(start_paused = true)]
async fn a_spooled_record_that_is_damaged_is_counted_and_its_file_kept() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    spooled(&folder, &store, 0..10).await.shutdown(LIMIT).await;
    let segment = files(folder.path()).pop().unwrap();
    let mut content = std::fs::read(&segment).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    std::fs::write(&segment, content).unwrap();
    store.set_ready(true);
    let delivery = start_in(&folder, quick(), &store);
    until(|| delivery.stats().written == 9).await;
    drained(&delivery).await;
    assert_eq!(delivery.stats().dropped[DropReason::Damaged], 1);
    assert!(
        std::fs::read_dir(folder.path().join("quarantine"))
            .unwrap()
            .count()
            == 1
    );
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_somebody_deleted_is_counted() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::open());
    let delivery = spooled(&folder, &store, 0..10).await;
    (10..20).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spooled == 20).await;
    for file in files(folder.path()) {
        std::fs::remove_file(file).unwrap();
    }
    store.set_ready(true);
    drained(&delivery).await;
    let stats = delivery.stats();
    assert!(stats.dropped[DropReason::Damaged] >= 10, "{stats}");
}

#[tokio::test(start_paused = true)]
async fn health_says_that_spooled_records_wait() {
    let (folder, store) = (TempDir::new().unwrap(), Scripted::closed());
    store.let_through(10);
    store.set_ready(false);
    let settings = quick().write_timeout(LIMIT * 9);
    let delivery = start_in(&folder, settings, &store);
    (0..10).for_each(|id| delivery.record(item(id)));
    until(|| delivery.stats().spooled == 10).await;
    assert!(matches!(
        *delivery.health().await.status(),
        HealthStatus::Degraded(HealthReason::NotReady(_))
    ));
    store.set_ready(true);
    store.let_through(100);
    drained(&delivery).await;
    assert_eq!(*delivery.health().await.status(), HealthStatus::Healthy);
}

#[tokio::test]
#[should_panic(expected = "Overflow::Spill needs a spool")]
async fn spilling_without_a_spool_is_refused_when_it_is_built() {
    let _ = start(
        DeliverySettings::new().overflow(Overflow::Spill),
        Scripted::open(),
    );
}
