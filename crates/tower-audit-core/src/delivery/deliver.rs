//! Carries one batch to the store, or to the spool, or to the dead letters.

use std::{
    future::poll_fn,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::timeout;

use super::{
    batch::Batch,
    disk::{Disk, SPOOL_RETRY},
    fate::Fate,
    queue::{Queue, Tried, Way},
    record::Record,
    settings::DeliverySettings,
    state::Phase,
    stats::DropReason,
    trouble::Trouble,
};
use crate::store::{EventWriter, StoreError};

/// Carries batches; shared by all that are under way.
pub(super) struct Courier<R: Record, W> {
    pub(super) queue: Arc<Queue<R>>,
    pub(super) writer: Arc<W>,
    pub(super) disk: Disk,
    pub(super) trouble: Arc<Trouble>,
    pub(super) settings: DeliverySettings,
}

/// Where records ended up.
enum Placed {
    Written,
    Spooled,
    Rejected(StoreError),
    Left,
}

impl<R: Record, W: EventWriter<R>> Courier<R, W> {
    /// Delivers the whole batch: repeats what may succeed later, and divides what the store rejects
    /// until only the bad record is left.
    pub(super) async fn deliver(&self, mut batch: Batch<R>) {
        // Other tasks have their turn in between.
        while !batch.make(MADE_AT_ONCE) {
            tokio::task::yield_now().await;
        }
        let whole = 0..batch.records().len();
        if whole.is_empty() {
            return;
        }
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            match self
                .place(batch.first(), &batch.records()[part.clone()])
                .await
            {
                Placed::Written => batch.settle(&part, Fate::Written),
                Placed::Spooled => batch.settle(&part, Fate::Spooled),
                Placed::Rejected(error) if part.len() == 1 => {
                    let fate = self.bury(&batch.records()[part.start], &error).await;
                    batch.settle(&part, fate);
                }
                Placed::Rejected(_) => parts.extend(halves(part)),
                Placed::Left => return,
            }
        }
    }

    /// Tries until these records of the batch that begins at number `first` are somewhere.
    async fn place(&self, first: u64, records: &[R]) -> Placed {
        loop {
            match self.queue.way(first).await {
                Way::Spool if self.spool(records).await => return Placed::Spooled,
                Way::Spool => {}
                Way::GiveUp => return Placed::Left,
                Way::Try => match self.append(records).await {
                    Ok(()) => return Placed::Written,
                    Err(error) if error.is_transient() => {}
                    Err(error) => return Placed::Rejected(error),
                },
            }
        }
    }

    /// Tries once, and says how it went. Only after the queue gave a turn for it.
    pub(super) async fn append(&self, records: &[R]) -> Result<(), StoreError> {
        let mut turn = HeldTurn {
            queue: &self.queue,
            tried: Tried::GaveUp,
        };
        let limit = self.settings.write_timeout;
        #[cfg(feature = "metrics")]
        let started = tokio::time::Instant::now();
        // In a block of its own, so that a panic before the first await is caught as well.
        let append = caught(async { self.writer.append(records).await });
        let append = timeout(limit, append);
        let result = tokio::select! {
            result = append => result,
            () = self.queue.reached(Phase::GivingUp) => return Err(StoreError::Unavailable(Box::new(NoTimeLeft))),
        };
        let took_long = result.is_err();
        let result =
            result.unwrap_or_else(|_| Err(StoreError::Unavailable(Box::new(WriteTimedOut(limit)))));
        match &result {
            Err(error) if error.is_transient() => {
                turn.tried = Tried::Failed { took_long };
                let queued = self.queue.stats().queued;
                self.trouble.down(error, records.len(), queued);
            }
            answered => {
                turn.tried = Tried::Answered;
                self.trouble.up();
                #[cfg(feature = "metrics")]
                if answered.is_ok() {
                    super::metrics::written(records.len(), started.elapsed());
                }
                #[cfg(not(feature = "metrics"))]
                let _ = answered;
            }
        }
        result
    }

    /// Spools the records; returns whether the spool took them.
    pub(super) async fn spool(&self, records: &[R]) -> bool {
        match self.disk.spool(records).await {
            Ok(bytes) => {
                self.queue.spooled(bytes, None);
                self.trouble.spool_up();
                true
            }
            Err(error) => {
                let bytes = self.queue.stats().spooled_bytes;
                self.queue.spooled(bytes, Some(SPOOL_RETRY));
                self.trouble.spool_down(&error);
                false
            }
        }
    }

    /// Puts a record that the store refused among the dead letters.
    pub(super) async fn bury(&self, record: &R, error: &StoreError) -> Fate {
        let buried = self.disk.bury(record, error).await;
        self.trouble.rejected(record.id(), error, &buried);
        match buried {
            Ok(true) => Fate::DeadLettered,
            Ok(false) | Err(_) => Fate::Dropped(DropReason::Rejected),
        }
    }
}

/// Gives a turn back, however the try ended.
struct HeldTurn<'a, R: Record> {
    queue: &'a Queue<R>,
    tried: Tried,
}

impl<R: Record> Drop for HeldTurn<'_, R> {
    fn drop(&mut self) {
        self.queue.tried(self.tried);
    }
}

/// Turns a panic of the store into an error: a store that fails must not end the worker.
pub(super) async fn caught<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)))
            .unwrap_or_else(|_| Poll::Ready(Err(StoreError::Unavailable(Box::new(WriterPanicked)))))
    })
    .await
}

pub(super) fn halves(part: Range<usize>) -> [Range<usize>; 2] {
    let middle = part.start + part.len() / 2;
    // The first half is taken first: the worker takes from the end.
    [middle..part.end, part.start..middle]
}

/// Some 100 microseconds.
const MADE_AT_ONCE: usize = 64;

#[derive(Debug, thiserror::Error)]
#[error("the write took longer than {0:?}")]
struct WriteTimedOut(Duration);

#[derive(Debug, thiserror::Error)]
#[error("the shutdown left no time for the write")]
struct NoTimeLeft;

#[derive(Debug, thiserror::Error)]
#[error("the writer panicked")]
struct WriterPanicked;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_cover_the_whole() {
        assert_eq!(halves(3..8), [5..8, 3..5]);
        assert_eq!(halves(0..2), [1..2, 0..1]);
    }
}
