//! What is counted, for the [`metrics`](https://docs.rs/metrics) crate: feature `metrics`.
//!
//! Install a recorder (an exporter) before the auditor is started. Counters and gauges follow
//! [`Stats`] once a second and when the worker ends; histograms are
//! recorded as it happens. Auditors in one process add up.
//!
//! | name | kind | unit | what |
//! |---|---|---|---|
//! | `tower_audit_accepted_total` | counter | records | handed over, or found in the spool of an ended process |
//! | `tower_audit_written_total` | counter | records | confirmed by the store |
//! | `tower_audit_dead_lettered_total` | counter | records | refused by the store, and among the dead letters |
//! | `tower_audit_dropped_total{reason}` | counter | records | given up: `full`, `closed`, `rejected`, `abandoned`, `damaged` |
//! | `tower_audit_retries_total` | counter | writes | failed, and were or will be repeated |
//! | `tower_audit_spool_refused_total` | counter | batches | the spool or its disk was full |
//! | `tower_audit_unconfirmed_total` | counter | requests | answered although nobody knew whether the record is kept |
//! | `tower_audit_refused_total` | counter | requests | refused because the record could not be kept |
//! | `tower_audit_pending_reaped_total` | counter | records | stayed pending and are unknown now |
//! | `tower_audit_queue_depth` | gauge | records | in memory |
//! | `tower_audit_queue_bytes` | gauge | bytes | in memory, roughly |
//! | `tower_audit_spooled` | gauge | records | in the spool |
//! | `tower_audit_spool_bytes` | gauge | bytes | that the spool takes on disk |
//! | `tower_audit_oldest_queued_seconds` | gauge | seconds | that the oldest waiting record has waited |
//! | `tower_audit_batch_size` | histogram | records | in a batch that the store confirmed |
//! | `tower_audit_flush_seconds` | histogram | seconds | that the store took to confirm it |
//!
//! Alert on any increase of `dropped`, `unconfirmed` and `dead_lettered`, and on a `spooled` that does
//! not go down.

use std::{sync::PoisonError, time::Duration};

use metrics::{counter, gauge, histogram};

use super::{
    queue::Queue,
    stats::{DropReason, Stats},
    sync::Mutex,
};

/// What was published so far.
#[derive(Default)]
pub(super) struct Meter(Mutex<Stats>);

impl Meter {
    /// Publishes what has changed since the last time.
    pub(super) fn publish(&self, now: Stats) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was = std::mem::replace(&mut *last, now);
        counters(&was, &now);
        gauges(&was, &now);
    }
}

fn counters(was: &Stats, now: &Stats) {
    let add = |name: &'static str, was: u64, now: u64| {
        if now > was {
            counter!(name).increment(now - was);
        }
    };
    add("tower_audit_accepted_total", was.accepted, now.accepted);
    add("tower_audit_written_total", was.written, now.written);
    add(
        "tower_audit_dead_lettered_total",
        was.dead_lettered,
        now.dead_lettered,
    );
    add("tower_audit_retries_total", was.retries, now.retries);
    add(
        "tower_audit_spool_refused_total",
        was.spool_refused,
        now.spool_refused,
    );
    add(
        "tower_audit_unconfirmed_total",
        was.unconfirmed,
        now.unconfirmed,
    );
    add("tower_audit_refused_total", was.refused, now.refused);
    add("tower_audit_pending_reaped_total", was.reaped, now.reaped);
    for reason in DropReason::ALL {
        let more = now.dropped[reason].saturating_sub(was.dropped[reason]);
        if more > 0 {
            counter!("tower_audit_dropped_total", "reason" => reason.as_str()).increment(more);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float: counts beyond 2^53 are nobody's"
)]
fn gauges(was: &Stats, now: &Stats) {
    // Differences, so that the auditors of one process add up.
    let change = |name: &'static str, was: u64, now: u64| {
        if now > was {
            gauge!(name).increment((now - was) as f64);
        } else {
            gauge!(name).decrement((was - now) as f64);
        }
    };
    change("tower_audit_queue_depth", was.queued, now.queued);
    change(
        "tower_audit_queue_bytes",
        was.queued_bytes,
        now.queued_bytes,
    );
    change("tower_audit_spooled", was.spooled, now.spooled);
    change(
        "tower_audit_spool_bytes",
        was.spooled_bytes,
        now.spooled_bytes,
    );
    let oldest = now.oldest_queued.unwrap_or_default();
    gauge!("tower_audit_oldest_queued_seconds").set(oldest.as_secs_f64());
}

/// Records a batch that the store confirmed.
#[expect(clippy::cast_precision_loss, reason = "a batch is small")]
pub(super) fn written(records: usize, took: Duration) {
    histogram!("tower_audit_batch_size").record(records as f64);
    histogram!("tower_audit_flush_seconds").record(took.as_secs_f64());
}

impl<R: super::Record> Queue<R> {
    /// Publishes the counts once a second. Never ends.
    pub(super) async fn publish(&self) {
        loop {
            self.meter.publish(self.stats());
            tokio::time::sleep(PERIOD).await;
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);
