//! How the engine behaves.

use std::{num::NonZeroUsize, time::Duration};

/// What happens to a record that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// What the store is too slow for goes to the [spool](crate::spool), from when the queue is half
    /// full: so it becomes full only when the disk is too slow as well, and then the record is
    /// dropped and counted as [`DropReason::Full`](super::DropReason::Full). Nobody waits. The
    /// default with a spool, and refused without one.
    Spill,
    /// It is dropped and counted as [`DropReason::Full`](super::DropReason::Full). Nobody waits. The
    /// default without a spool.
    Drop,
    /// Whoever can wait, waits for room, at most this long; then the record is dropped and counted.
    ///
    /// A request that will be recorded for certain waits before its handler runs, and keeps the
    /// room until it ends; requests that take their time can so delay others, but never make them
    /// lose their record while nothing waits in the queue. What cannot wait - a synchronous call, a
    /// request whose client is gone - is dropped at once.
    Wait(Duration),
    /// A request that will be recorded for certain is answered 503 before its handler runs. What is
    /// no request is dropped and counted.
    Reject,
}

/// What counts as kept, for those who wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confirm {
    /// A commit of the store, or, while the store is down, a sync of the [spool](crate::spool). The
    /// default.
    #[default]
    StoreOrSpool,
    /// A commit of the store only: for machines whose disk may go with them.
    Store,
}

/// How the engine behaves. Every value has a default that suits a service of a few thousand events
/// a second.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are given to an auditor"]
pub struct DeliverySettings {
    pub(super) capacity: NonZeroUsize,
    pub(super) capacity_bytes: NonZeroUsize,
    overflow: Option<Overflow>,
    pub(super) batch_records: NonZeroUsize,
    pub(super) batch_bytes: NonZeroUsize,
    pub(super) in_flight: NonZeroUsize,
    pub(super) linger: Duration,
    pub(super) pace: Duration,
    pub(super) spill_after: Duration,
    pub(super) confirm: Confirm,
    pub(super) confirm_timeout: Duration,
    pub(super) pending_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) retry_first: Duration,
    pub(super) retry_most: Duration,
    pub(super) health_timeout: Duration,
    pub(super) log_period: Duration,
}

impl DeliverySettings {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self {
            capacity: CAPACITY,
            capacity_bytes: CAPACITY_BYTES,
            overflow: None,
            batch_records: BATCH_RECORDS,
            batch_bytes: BATCH_BYTES,
            in_flight: IN_FLIGHT,
            linger: Duration::from_millis(200),
            pace: Duration::from_millis(10),
            spill_after: Duration::from_secs(1),
            confirm: Confirm::StoreOrSpool,
            confirm_timeout: Duration::from_secs(8),
            pending_timeout: Duration::from_secs(3_600),
            write_timeout: Duration::from_secs(5),
            retry_first: Duration::from_millis(100),
            retry_most: Duration::from_secs(5),
            health_timeout: Duration::from_secs(2),
            log_period: Duration::from_secs(30),
        }
    }

    /// Sets how many records may wait or be written at once. Defaults to 8,192.
    ///
    /// Room that is reserved is bounded by the same number, apart from this. A request in `Strict` mode
    /// reserves room for two.
    pub fn capacity(mut self, records: NonZeroUsize) -> Self {
        self.capacity = records;
        self
    }

    /// Sets how many bytes those records may take. Defaults to 16 MiB.
    ///
    /// A single record larger than this is taken when the queue is empty, so that no record is
    /// impossible to deliver. A record may be larger than the 2 KiB that were reserved for it before its
    /// handler ran, and is taken all the same: the bound may be exceeded by as much, once a request.
    pub fn capacity_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.capacity_bytes = bytes;
        self
    }

    /// Sets what happens to a record that finds the queue full. Defaults to [`Overflow::Spill`] with a
    /// spool and to [`Overflow::Drop`] without one.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = Some(overflow);
        self
    }

    /// Sets how many records are written in one batch at most. Defaults to 2,000.
    ///
    /// So many are written at once, without waiting for more; so is half of what the queue holds, if that is less.
    pub fn batch_records(mut self, records: NonZeroUsize) -> Self {
        self.batch_records = records;
        self
    }

    /// Sets how many bytes are written in one batch at most. Defaults to 2 MiB. A batch holds at
    /// least one record.
    pub fn batch_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Sets how many batches may be written at the same time, each on a connection of its own.
    /// Defaults to 2.
    pub fn in_flight(mut self, batches: NonZeroUsize) -> Self {
        self.in_flight = batches;
        self
    }

    /// Sets how long a record waits for company, at most, while another batch is being written.
    /// Defaults to 200 ms. With no batch under way a record waits for the [`pace`](Self::pace) alone.
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// Sets how long after the begin of one batch the next one is begun, at the earliest, while no batch is under
    /// way. Defaults to 10 ms, and zero writes each record as soon as the store is idle. A batch that is full and a
    /// record that somebody waits for are not held up.
    pub fn pace(mut self, time: Duration) -> Self {
        self.pace = time;
        self
    }

    /// Sets after how long a record is spooled, with [`Overflow::Spill`], when as many batches as
    /// allowed are under way and none of them ends. Defaults to 1 s.
    pub fn spill_after(mut self, time: Duration) -> Self {
        self.spill_after = time;
        self
    }

    /// Sets what counts as kept for those who wait for it: a request in `Durable` mode, and
    /// [`record_durable`](super::Delivery::record_durable). Defaults to [`Confirm::StoreOrSpool`].
    pub fn confirm(mut self, confirm: Confirm) -> Self {
        self.confirm = confirm;
        self
    }

    /// Sets how long they wait. Defaults to 8 s, longer than a [write](Self::write_timeout): what a write
    /// that hangs leaves can still be spooled in time. After that a request whose handler has run is
    /// answered and counted as [`unconfirmed`](super::Stats::unconfirmed), and one whose handler has
    /// not run is refused.
    pub fn confirm_timeout(mut self, time: Duration) -> Self {
        self.confirm_timeout = time;
        self
    }

    /// Sets after how long a pending record that nobody completed becomes an unknown one. Defaults to
    /// 1 h. An end that comes later, from a slow request or a spool, still takes its place.
    pub fn pending_timeout(mut self, time: Duration) -> Self {
        self.pending_timeout = time;
        self
    }

    /// Sets after how long a write counts as failed and is repeated. Defaults to 5 s.
    pub fn write_timeout(mut self, time: Duration) -> Self {
        self.write_timeout = time;
        self
    }

    /// Sets how long nobody tries to write after one failed: the n-th wait is a random time between
    /// zero and `first * 2^n`, never more than `most`. Defaults to 100 ms and 5 s. After three
    /// failures in a row, or one that took [`write_timeout`](Self::write_timeout), the store counts as
    /// down: records go to the spool, where there is one.
    ///
    /// This is "full jitter" of the AWS Architecture Blog's *Exponential Backoff And Jitter*. While
    /// the worker shuts down no wait is longer than a second.
    pub fn retry(mut self, first: Duration, most: Duration) -> Self {
        self.retry_first = first;
        self.retry_most = most;
        self
    }

    /// Sets how long [`health`](super::Delivery::health) waits for the store. Defaults to 2 s.
    pub fn health_timeout(mut self, time: Duration) -> Self {
        self.health_timeout = time;
        self
    }

    /// Sets how often the same kind of trouble is logged, at most. Defaults to 30 s.
    pub fn log_period(mut self, time: Duration) -> Self {
        self.log_period = time;
        self
    }

    pub(super) fn overflow_with(&self, has_spool: bool) -> Overflow {
        self.overflow.unwrap_or(if has_spool {
            Overflow::Spill
        } else {
            Overflow::Drop
        })
    }
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self::new()
    }
}

const CAPACITY: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
const CAPACITY_BYTES: NonZeroUsize = NonZeroUsize::new(16 << 20).unwrap();
const BATCH_RECORDS: NonZeroUsize = NonZeroUsize::new(2_000).unwrap();
const BATCH_BYTES: NonZeroUsize = NonZeroUsize::new(2 << 20).unwrap();
const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(2).unwrap();
