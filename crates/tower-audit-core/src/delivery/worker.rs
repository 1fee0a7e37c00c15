//! The one task that writes.

use std::{
    future::poll_fn,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    backoff::{full_jitter, random},
    batch::Batch,
    queue::{Next, Queue},
    record::Record,
    settings::DeliverySettings,
    trouble::Trouble,
};
use crate::store::{EventWriter, StoreError};

/// The one task that writes. It ends when the queue is closed and empty.
pub(super) struct Worker<R: Record, W> {
    queue: Arc<Queue<R>>,
    writer: Arc<W>,
    settings: DeliverySettings,
    trouble: Arc<Trouble>,
    /// Dropped after the batches under way, and even if the task never ran.
    _finish: Finish<R>,
}

type Write<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<R: Record, W: EventWriter<R>> Worker<R, W> {
    pub(super) fn new(
        queue: Arc<Queue<R>>,
        writer: Arc<W>,
        trouble: Arc<Trouble>,
        settings: DeliverySettings,
    ) -> Self {
        let finish = Finish(Arc::clone(&queue));
        Self {
            queue,
            writer,
            settings,
            trouble,
            _finish: finish,
        }
    }

    pub(super) async fn run(self) {
        let mut writes: Vec<Write<'_>> = Vec::new();
        loop {
            match self.queue.next(Instant::now()) {
                Next::Write(batch) => writes.push(Box::pin(self.deliver(batch))),
                Next::Wait(limit) => tokio::select! {
                    () = one_of(&mut writes) => {}
                    () = self.queue.work.notified() => {}
                    () = sleep(limit.unwrap_or_default()), if limit.is_some() => {}
                },
                Next::Done => break,
            }
        }
    }

    /// Writes the whole batch: repeats what may succeed later, and divides what the store rejects
    /// until only the bad record is left.
    async fn deliver(&self, mut batch: Batch<R>) {
        let whole = 0..batch.records().len();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            match self.append(&batch.records()[part.clone()]).await {
                Ok(()) => batch.written(&part),
                Err(error) if part.len() == 1 => {
                    self.trouble
                        .rejected(batch.records()[part.start].id(), &error);
                    batch.rejected(&part);
                }
                Err(_) => parts.extend(halves(part)),
            }
        }
    }

    /// Writes until the store took the records or rejected them.
    async fn append(&self, records: &[R]) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            match self.try_append(records).await {
                Err(error) if error.is_transient() => {
                    self.queue.count_retry();
                    self.trouble
                        .down(&error, records.len(), self.queue.stats().queued);
                }
                result => {
                    self.trouble.up();
                    return result;
                }
            }
            self.back_off(attempt).await;
            attempt = attempt.saturating_add(1);
        }
    }

    async fn try_append(&self, records: &[R]) -> Result<(), StoreError> {
        let limit = self.settings.write_timeout;
        // In a block of its own, so that a panic before the first await is caught as well.
        let append = caught(async { self.writer.append(records).await });
        match timeout(limit, append).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Unavailable(Box::new(WriteTimedOut(limit)))),
        }
    }

    async fn back_off(&self, attempt: u32) {
        let closing = self.queue.closing.notified();
        let mut closing = pin!(closing);
        closing.as_mut().enable();
        let is_closed = self.queue.is_closed();
        let most = if is_closed {
            CLOSING_RETRY.min(self.settings.retry_most)
        } else {
            self.settings.retry_most
        };
        let wait = full_jitter(attempt, self.settings.retry_first, most, random());
        tokio::select! {
            () = sleep(wait) => {}
            () = closing, if !is_closed => {}
        }
    }
}

/// Completes when one of the writes has, and forgets it; never if there is none.
async fn one_of(writes: &mut Vec<Write<'_>>) {
    poll_fn(|cx| {
        let done = writes
            .iter_mut()
            .position(|write| write.as_mut().poll(cx).is_ready());
        match done {
            Some(index) => {
                drop(writes.swap_remove(index));
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    })
    .await;
}

/// Turns a panic of the store into an error: a store that fails must not end the worker.
async fn caught(append: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    let mut append = pin!(append);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| append.as_mut().poll(cx)))
            .unwrap_or_else(|_| Poll::Ready(Err(StoreError::Unavailable(Box::new(WriterPanicked)))))
    })
    .await
}

fn halves(part: Range<usize>) -> [Range<usize>; 2] {
    let middle = part.start + part.len() / 2;
    // The first half is taken first: the worker takes from the end.
    [middle..part.end, part.start..middle]
}

/// Gives up what waits when the worker ends, however it ends.
struct Finish<R: Record>(Arc<Queue<R>>);

impl<R: Record> Drop for Finish<R> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the write took longer than {0:?}")]
struct WriteTimedOut(Duration);

#[derive(Debug, thiserror::Error)]
#[error("the writer panicked")]
struct WriterPanicked;

/// The longest wait between two tries while the worker shuts down.
const CLOSING_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_cover_the_whole() {
        assert_eq!(halves(3..8), [5..8, 3..5]);
        assert_eq!(halves(0..2), [1..2, 0..1]);
    }
}
