//! Brings what was spooled to the store, oldest first.

use std::{io, ops::Range, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    deliver::{Courier, halves},
    disk::SPOOL_RETRY,
    fate::Fate,
    queue::Queue,
    record::Record,
    stats::DropReason,
};
use crate::{
    spool::{Sealed, read_segment},
    store::{EventWriter, StoreError},
};

impl<R: Record, W: EventWriter<R>> Courier<R, W> {
    /// Takes over what ended processes left, and brings what is spooled to the store. Never ends:
    /// when it is dropped, what it has not brought stays in its files.
    pub(super) async fn replay(&self) {
        let mut adopt_at = Instant::now();
        loop {
            if adopt_at <= Instant::now() {
                self.adopt().await;
                adopt_at = Instant::now() + ADOPT_PERIOD;
            }
            if timeout_at(adopt_at, self.queue.until_spooled(1))
                .await
                .is_ok()
            {
                match self.disk.take_oldest().await {
                    Ok(Some(segment)) => self.replay_segment(segment).await,
                    Ok(None) => sleep(SPOOL_RETRY).await,
                    Err(error) => {
                        self.trouble.spool_failed(&error);
                        sleep(SPOOL_RETRY).await;
                    }
                }
            }
        }
    }

    async fn adopt(&self) {
        let result = match self.disk.adopt().await {
            Ok((adopted, result, bytes)) => {
                self.queue.count(|counts| {
                    counts.accepted += adopted.records + adopted.damaged;
                    counts.add(Fate::Spooled, adopted.records);
                    counts.add(Fate::Dropped(DropReason::Damaged), adopted.damaged);
                    counts.spool_bytes = bytes;
                });
                self.trouble.adopted(adopted);
                result
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.trouble.spool_failed(&error);
        }
    }

    async fn replay_segment(&self, segment: Sealed) {
        // A batch is in its file a moment before it counts as spooled, and nothing leaves a count that it has not
        // entered.
        self.queue.until_spooled(segment.records).await;
        let content = self.read(&segment).await;
        let mut read = read_segment(&content).unwrap_or_default();
        // No more than were counted leave the count.
        let counted = usize::try_from(segment.records).unwrap_or(usize::MAX);
        read.records.truncate(counted);
        let found = u64::try_from(read.records.len()).unwrap_or(u64::MAX);
        let mut lost = segment.records.saturating_sub(found);
        self.lose(lost);
        let mut records = read.records.as_slice();
        while !records.is_empty() {
            let (chunk, rest) = records.split_at(self.chunk(records));
            records = rest;
            let decoded: Vec<R> = chunk
                .iter()
                .filter_map(|range| R::decode(&content[range.clone()]).ok())
                .collect();
            let unread = u64::try_from(chunk.len() - decoded.len()).unwrap_or(u64::MAX);
            self.lose(unread);
            lost += unread;
            self.replay_records(&decoded).await;
        }
        let is_damaged = lost > 0 || read.damaged > 0;
        self.trouble.replayed(&segment, lost);
        match self.disk.finish(segment, is_damaged).await {
            Ok(bytes) => {
                // There is room again.
                self.queue.spooled(bytes, None);
                self.trouble.spool_up();
            }
            Err(error) => self.trouble.spool_failed(&error),
        }
    }

    /// Reads the segment; what nobody can find or read any more is empty.
    async fn read(&self, segment: &Sealed) -> Vec<u8> {
        for _ in 0..READ_TRIES {
            match self.disk.read(segment.clone()).await {
                Ok(content) => return content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => {
                    self.trouble.spool_failed(&error);
                    sleep(SPOOL_RETRY).await;
                }
            }
        }
        Vec::new()
    }

    /// Returns how many of these records make a batch.
    fn chunk(&self, records: &[Range<usize>]) -> usize {
        let most = self.settings.batch_records.get();
        let mut bytes = 0;
        let fits = |range: &&Range<usize>| {
            bytes += range.len();
            bytes <= self.settings.batch_bytes.get()
        };
        records.iter().take(most).take_while(fits).count().max(1)
    }

    async fn replay_records(&self, records: &[R]) {
        let whole = 0..records.len();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
            let count = u64::try_from(part.len()).unwrap_or(u64::MAX);
            let fate = match self.replay_part(&records[part.clone()]).await {
                Ok(()) => Fate::Written,
                Err(error) if count == 1 => self.bury(&records[part.start], &error).await,
                Err(_) => {
                    parts.extend(halves(part));
                    continue;
                }
            };
            self.queue.count(|counts| counts.unspool(fate, count));
        }
    }

    /// Writes until the store took the records or rejected them.
    async fn replay_part(&self, records: &[R]) -> Result<(), StoreError> {
        loop {
            self.queue.turn_of_replay().await;
            let _place = Place(&self.queue);
            match self.append(records).await {
                Err(error) if error.is_transient() => {}
                result => return result,
            }
        }
    }

    fn lose(&self, records: u64) {
        if records > 0 {
            let fate = Fate::Dropped(DropReason::Damaged);
            self.queue.count(|counts| counts.unspool(fate, records));
        }
    }
}

/// One of the places of the batches under way.
struct Place<'a, R: Record>(&'a Queue<R>);

impl<R: Record> Drop for Place<'_, R> {
    fn drop(&mut self) {
        self.0.end_replay();
    }
}

/// A segment that cannot be read so many times in a row goes to quarantine: the others behind it must
/// not wait for ever.
const READ_TRIES: usize = 5;

/// How often somebody looks for what ended processes left.
const ADOPT_PERIOD: Duration = Duration::from_secs(60);
