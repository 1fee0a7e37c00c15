//! Our lock, wake-ups, permits and tickets under a model checker, which tries thousands of ways in which
//! threads may take turns: `RUSTFLAGS="--cfg shuttle" cargo test -p tower-audit-core --lib interleavings`.

use shuttle::{future::block_on, thread};
use tokio::{sync::oneshot, time::Instant};

use super::*;
use crate::delivery::{
    fate::{Fate, Ticket},
    queue::{Next, Queue},
    state::Phase,
};

const SCHEDULES: usize = 5_000;

fn queue(capacity: usize) -> Arc<Queue<Item>> {
    let settings = DeliverySettings::new()
        .capacity(some(capacity))
        .batch_records(some(2));
    Queue::new(&settings.in_flight(some(1)), false)
}

/// Writes until the queue is closed and empty, as the worker does, but without a clock.
fn write(queue: &Arc<Queue<Item>>) {
    loop {
        match queue.next(Instant::now()) {
            Next::Work(mut batch) => {
                assert!(batch.make(usize::MAX));
                let whole = 0..batch.records().len();
                batch.settle(&whole, Fate::Written);
            }
            Next::Wait(_) => block_on(queue.work.notified()),
            Next::Done => break,
        }
    }
    queue.finish();
}

fn close(queue: &Queue<Item>) {
    queue.enter_phase(Phase::Closed);
}

#[test]
fn the_worker_is_woken_for_every_record_and_each_is_settled_once() {
    let run = || {
        let queue = queue(8);
        let worker = thread::spawn({
            let queue = Arc::clone(&queue);
            move || write(&queue)
        });
        let push = |ids: std::ops::Range<u64>| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for id in ids {
                    queue.push(item(id).into());
                    assert_conserved(queue.stats());
                }
            })
        };
        let pushers = [push(0..3), push(3..6)];
        pushers
            .into_iter()
            .for_each(|pusher| pusher.join().unwrap());
        block_on(queue.flush());
        assert_eq!(queue.stats().written, 6);
        close(&queue);
        worker.join().unwrap();
    };
    shuttle::check_random(run, SCHEDULES);
}

#[test]
fn a_shutdown_beside_records_that_come_leaves_each_counted() {
    let run = || {
        let queue = queue(2);
        let worker = thread::spawn({
            let queue = Arc::clone(&queue);
            move || write(&queue)
        });
        let pusher = thread::spawn({
            let queue = Arc::clone(&queue);
            move || (0..5).for_each(|id| queue.push(item(id).into()))
        });
        close(&queue);
        assert_conserved(queue.stats());
        block_on(queue.finished());
        pusher.join().unwrap();
        worker.join().unwrap();
        let stats = queue.stats();
        assert_eq!((stats.accepted, stats.queued), (5, 0));
        assert_conserved(stats);
    };
    shuttle::check_random(run, SCHEDULES);
}

#[test]
fn permits_are_never_more_than_there_is_room_for_and_whoever_waits_for_one_gets_it() {
    let run = || {
        let queue = queue(2);
        let held = Arc::new(AtomicUsize::new(0));
        let worker = thread::spawn({
            let queue = Arc::clone(&queue);
            move || write(&queue)
        });
        let reserve = |id: u64| {
            let (queue, held) = (Arc::clone(&queue), Arc::clone(&held));
            thread::spawn(move || {
                let [permit] = block_on(queue.reserve(100));
                assert!(held.fetch_add(1, Ordering::SeqCst) < 2, "too many permits");
                held.fetch_sub(1, Ordering::SeqCst);
                if id == 0 {
                    drop(permit);
                } else {
                    permit.send(item(id));
                }
            })
        };
        let holders = [reserve(0), reserve(1), reserve(2), reserve(3)];
        holders
            .into_iter()
            .for_each(|holder| holder.join().unwrap());
        block_on(queue.flush());
        assert_eq!(queue.stats().written, 3);
        close(&queue);
        worker.join().unwrap();
    };
    shuttle::check_random(run, SCHEDULES);
}

#[test]
fn whoever_waits_for_a_record_is_told_what_became_of_it_even_beside_a_shutdown() {
    let run = || {
        let queue = queue(4);
        let worker = thread::spawn({
            let queue = Arc::clone(&queue);
            move || write(&queue)
        });
        let waiter = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let (ticket, fate): (Ticket, _) = oneshot::channel();
                let [permit] = block_on(queue.reserve(100));
                permit.send_with(item(1).into(), Some(ticket));
                // An error: the ticket went with a record that came too late.
                block_on(fate).ok()
            }
        });
        close(&queue);
        let fate = waiter.join().unwrap();
        worker.join().unwrap();
        let stats = queue.stats();
        let expected = if fate.is_some() { (1, 0) } else { (0, 1) };
        assert_eq!((stats.written, stats.dropped[DropReason::Closed]), expected);
    };
    shuttle::check_random(run, SCHEDULES);
}
