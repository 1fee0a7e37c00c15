//! What is published.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tempfile::TempDir;

use super::*;
use crate::spool::Spool;

/// Runs the future with a recorder, and returns what it has: `name{label}` to a number, and for a
/// histogram how many values there are.
fn published(run: impl Future<Output = ()>) -> BTreeMap<String, f64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
    ::metrics::with_local_recorder(&recorder, || runtime.block_on(run));
    let all = snapshotter.snapshot().into_vec().into_iter();
    let named = all.map(|(key, _, _, value)| {
        let labels: String = key
            .key()
            .labels()
            .map(|label| format!("{{{}}}", label.value()))
            .collect();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => values.len() as f64,
        };
        (format!("{}{labels}", key.key().name()), value)
    });
    named.collect()
}

#[test]
fn counters_and_gauges_say_what_the_stats_say() {
    let folder = TempDir::new().unwrap();
    let all = published(async {
        let store = Scripted::open().poison([3]);
        store.set_ready(false);
        let spool = Spool::open(folder.path()).unwrap();
        let settings = DeliverySettings::new().capacity(some(50));
        let delivery = Delivery::builder()
            .settings(settings)
            .spool(spool)
            .start(store.clone());
        (0..60).for_each(|id| delivery.record(item(id)));
        until(|| delivery.stats().spooled == 50).await;
        store.set_ready(true);
        until(|| delivery.stats().spooled == 0).await;
        let _ = delivery.shutdown(LIMIT).await;
        delivery.record(item(60));
    });
    let expected = [
        ("tower_audit_accepted_total", 61.0),
        ("tower_audit_written_total", 49.0),
        ("tower_audit_dead_lettered_total", 1.0),
        ("tower_audit_dropped_total{full}", 10.0),
        ("tower_audit_dropped_total{closed}", 1.0),
        ("tower_audit_queue_depth", 0.0),
        ("tower_audit_spooled", 0.0),
        ("tower_audit_spool_bytes", 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(all.get(name), Some(&value), "{name} in {all:?}");
    }
    assert!(all["tower_audit_retries_total"] >= 3.0, "{all:?}");
    assert!(all["tower_audit_batch_size"] >= 1.0 && all["tower_audit_flush_seconds"] >= 1.0);
}

#[test]
fn gauges_are_published_while_the_store_hangs() {
    let all = published(async {
        let delivery = start(
            DeliverySettings::new().write_timeout(LIMIT),
            Scripted::closed(),
        );
        (0..20).for_each(|id| delivery.record(item(id)));
        tokio::time::sleep(Duration::from_secs(3)).await;
    });
    assert_eq!(all["tower_audit_queue_depth"], 20.0);
    assert_eq!(all["tower_audit_queue_bytes"], 2_000.0);
}
