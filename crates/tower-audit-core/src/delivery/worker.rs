//! The one task that writes.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use tokio::time::{Instant, sleep};

use super::{
    deliver::Courier,
    disk::Disk,
    fate::Fate,
    queue::{Next, Queue},
    record::Record,
    settings::DeliverySettings,
    state::{Left, Phase},
    stats::DropReason,
    trouble::Trouble,
};
use crate::store::EventWriter;

/// The one task that writes. It ends when the queue is closed and empty.
pub(super) struct Worker<R: Record, W> {
    courier: Courier<R, W>,
    /// Dropped after the batches under way, and even if the task never ran.
    finish: Finish<R>,
}

type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<R: Record, W: EventWriter<R>> Worker<R, W> {
    pub(super) fn new(
        queue: Arc<Queue<R>>,
        writer: Arc<W>,
        disk: Disk,
        trouble: Arc<Trouble>,
        settings: DeliverySettings,
    ) -> Self {
        let finish = Finish {
            queue: Arc::clone(&queue),
            disk: disk.clone(),
            batch: settings.batch_records.get(),
        };
        let courier = Courier {
            queue,
            writer,
            disk,
            trouble,
            settings,
        };
        Self { courier, finish }
    }

    pub(super) async fn run(self) {
        // Named, so that it is dropped last.
        let _finish = self.finish;
        let courier = self.courier;
        let mut replay = pin!(async {
            if courier.disk.has_spool() {
                courier.replay().await;
            }
        });
        let mut is_replaying = true;
        let mut reap = pin!(courier.reap());
        #[cfg(feature = "metrics")]
        let mut publish = pin!(courier.queue.publish());
        #[cfg(not(feature = "metrics"))]
        let mut publish = pin!(std::future::pending::<()>());
        let mut works: Vec<Work<'_>> = Vec::new();
        loop {
            match courier.queue.next(Instant::now()) {
                Next::Work(batch) => works.push(Box::pin(courier.deliver(batch))),
                Next::Wait(limit) => tokio::select! {
                    () = one_of(&mut works) => {}
                    () = courier.queue.work.notified() => {}
                    () = replay.as_mut(), if is_replaying => is_replaying = false,
                    () = reap.as_mut() => {}
                    () = publish.as_mut() => {}
                    () = sleep(limit.unwrap_or_default()), if limit.is_some() => {}
                },
                Next::Done => break,
            }
        }
    }
}

/// Completes when one of the works has, and forgets it; never if there is none.
async fn one_of(works: &mut Vec<Work<'_>>) {
    poll_fn(|cx| {
        let done = works
            .iter_mut()
            .position(|work| work.as_mut().poll(cx).is_ready());
        match done {
            Some(index) => {
                drop(works.swap_remove(index));
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    })
    .await;
}

/// Settles what is left when the worker ends, however it ends: it goes to the spool, unless the
/// shutdown has run out of time, and is given up where there is none.
struct Finish<R: Record> {
    queue: Arc<Queue<R>>,
    disk: Disk,
    batch: usize,
}

impl<R: Record> Finish<R> {
    fn settle(&self, mut left: Vec<Left<R>>) {
        let mut abandoned = 0;
        // A disk that hangs must not hold up the end of the runtime a second time.
        let mut may_spool = self.disk.has_spool() && self.queue.phase() < Phase::CutOff;
        while !left.is_empty() {
            let rest = left.split_off(self.batch.min(left.len()));
            let part = std::mem::replace(&mut left, rest);
            let whole = part.len();
            let made = part
                .into_iter()
                .filter_map(|(entry, ticket)| Some((entry.make()?, ticket)));
            let (records, tickets): (Vec<R>, Vec<_>) = made.unzip();
            let lost = whole - records.len();
            if lost > 0 {
                let fate = Fate::Dropped(DropReason::Rejected);
                self.queue.settle_left(lost, fate);
            }
            if records.is_empty() {
                continue;
            }
            may_spool = may_spool && self.disk.spool_now(&records).is_ok();
            let fate = if may_spool {
                Fate::Spooled
            } else {
                abandoned += records.len();
                Fate::Dropped(DropReason::Abandoned)
            };
            self.queue.settle_left(records.len(), fate);
            for ticket in tickets.into_iter().flatten() {
                let _ = ticket.send(fate);
            }
        }
        if abandoned > 0 {
            tracing::error!(
                dropped.abandoned = abandoned,
                "audit events were still queued when the auditor ended, and are lost"
            );
        }
    }
}

impl<R: Record> Drop for Finish<R> {
    fn drop(&mut self) {
        self.settle(self.queue.take_left());
        self.queue.finish();
    }
}
