//! What the layer costs under many requests at once, and when nothing is written.

use std::{fs, future::pending, process::Command, time::Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use tokio::{runtime::Runtime, task::JoinSet};
use tower_audit::{AuditEvent, Auditor, DeliverySettings, EventWriter, StoreError};
use xtask::command::quiet;

use crate::{
    app::{App, Discard, Variant},
    measure::{Rounds, interleaved},
    summary::{Summary, per},
};

/// Measures `scale.*`: what a request costs in time of a processor, the worker's part included.
pub(crate) fn scale(summary: &mut Summary, rounds: usize, requests: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut single = None;
    for at_once in AT_ONCE {
        let _inside = runtime.enter();
        let roomy = || {
            // Whatever is dropped would cost less.
            let settings = DeliverySettings::new()
                .capacity(requests.max(1).try_into().expect("it is not zero"))
                .capacity_bytes((4 << 30).try_into().expect("it is not zero"));
            Auditor::builder().delivery(settings).start(Discard)
        };
        let apps = [Variant::Bare, Variant::Audited].map(|variant| App::with(variant, roomy));
        for app in &apps {
            serve(&runtime, app, at_once, requests / 4);
        }
        let mut speeds: [Vec<f64>; 2] = Default::default();
        let costs: [Rounds; 2] = interleaved(rounds, |thing| {
            let (cost, speed) = serve(&runtime, &apps[thing], at_once, requests);
            speeds[thing].push(speed);
            cost
        });
        let overhead = costs[1].beyond(&costs[0]);
        let [bare, audited] = speeds.map(Rounds);
        summary.set(format!("scale.{at_once}.overhead_ns"), overhead);
        summary.set(format!("scale.{at_once}.rps"), audited.median());
        summary.set(format!("scale.{at_once}.rps_ratio"), audited.times(&bare));
        let single = *single.get_or_insert(overhead);
        if at_once > 1 {
            summary.set(format!("scale.{at_once}"), overhead / single);
        }
    }
    Ok(())
}

/// Serves requests, so many at once; returns the nanoseconds of processors that one took, and how many there were a
/// second.
fn serve(runtime: &Runtime, app: &App, at_once: usize, requests: usize) -> (f64, f64) {
    let (busy, started) = (processor_ns(), Instant::now());
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..at_once {
            let mut app = app.clone();
            tasks.spawn(async move {
                for _ in 0..requests / at_once {
                    let req = app.request();
                    app.serve(req).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        tasks.join_all().await;
    });
    let speed = 1e9 / per(started.elapsed().as_nanos(), requests);
    app.settle(runtime);
    (per(processor_ns() - busy, requests), speed)
}

/// Returns how long the threads of this process have run.
fn processor_ns() -> u64 {
    let threads = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let times = threads.filter_map(|thread| {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    });
    times.sum()
}

/// Measures `memory.full_queue_bytes`, in a process of its own.
#[expect(clippy::cast_precision_loss, reason = "no figure has that many digits")]
pub(crate) fn memory(summary: &mut Summary) -> anyhow::Result<()> {
    let said = quiet(Command::new(std::env::current_exe()?).arg("fill"))?;
    let grown: u64 = said.trim().parse()?;
    summary.set("memory.full_queue_bytes", grown as f64);
    Ok(())
}

/// Fills the queue of a dead store, goes on for as many requests again, and says how much memory that took.
pub(crate) fn fill() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let _inside = runtime.enter();
    let mut app = App::with(Variant::Audited, || Auditor::new(Dead));
    let auditor = app.auditor.clone().context("there is a layer")?;
    for _ in 0..100 {
        let req = app.request();
        app.serve_now(req);
    }
    let before = resident()?;
    while auditor.stats().dropped.total() < MORE {
        let req = app.request();
        app.serve_now(req);
    }
    println!("{}", resident()?.saturating_sub(before));
    Ok(())
}

pub(crate) fn resident() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("there is no VmRSS")?.parse::<u64>()? * 1024)
}

/// A store that never answers.
struct Dead;

impl EventWriter for Dead {
    async fn append(&self, _batch: &[AuditEvent]) -> Result<(), StoreError> {
        pending().await
    }

    async fn check(&self) -> Result<tower_audit::store::StoreStatus, StoreError> {
        pending().await
    }

    async fn reap(&self, _created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        pending().await
    }
}

const AT_ONCE: [usize; 4] = [1, 8, 64, 512];

/// So many requests find the queue full.
const MORE: u64 = 20_000;
