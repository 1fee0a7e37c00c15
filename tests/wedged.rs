//! A store that never answers: a hundred thousand requests go on as if nothing were the matter, and
//! memory stays within the bound of the queue.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "it says what it measured")]

use std::time::{Duration, Instant};

use axum::{Json, Router, body::Body, routing::post};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Request;
use tower::{Service, ServiceExt};
use tower_audit::{
    AuditEvent, AuditLayer, Auditor, EventWriter, Policy, Stats, StoreError,
    policy::{Bodies, Capture, Rule},
};

struct Wedged;

impl EventWriter for Wedged {
    async fn append(&self, _batch: &[AuditEvent]) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn check(&self) -> Result<tower_audit::store::StoreStatus, StoreError> {
        std::future::pending().await
    }

    async fn reap(&self, _created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        std::future::pending().await
    }
}

/// Takes everything and keeps nothing, so that only the queue takes memory.
struct Sink;

impl EventWriter for Sink {
    async fn append(&self, _batch: &[AuditEvent]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn check(&self) -> Result<tower_audit::store::StoreStatus, StoreError> {
        Ok(tower_audit::store::StoreStatus::default())
    }

    async fn reap(&self, _created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(0)
    }
}

const REQUESTS: usize = 100_000;
const ROUNDS: usize = 100;
/// Twice what the queue holds by default, for what the allocator keeps.
const BOUND: u64 = 2 * (16 << 20);
/// How long an answer is, and how many there are: twice as much as the bound.
const LONG: usize = 16 << 10;
const LONG_ANSWERS: u64 = 4_000;

fn app(auditor: &Auditor) -> Router {
    Router::new()
        .route("/things/{id}", post(|| async { "done" }))
        .layer(AuditLayer::new(auditor))
}

/// Returns an app whose answers are long, and would be captured if they were failures.
fn talkative(auditor: &Auditor) -> Router {
    let capture = Capture::metadata().response_body(Bodies::OnFailure);
    let rule = Rule::record("all").capture(capture);
    let policy = Policy::builder().rule(rule).build().unwrap();
    let answer = || async { Json(vec!["done"; LONG / "'done',".len()]) };
    Router::new()
        .route("/things/{id}", post(answer))
        .layer(AuditLayer::new(auditor).policy(policy))
}

/// Makes sure that what waits holds no response: many long ones pass.
async fn long_answers() {
    let auditor = Auditor::new(Wedged);
    let mut app = talkative(&auditor);
    let before = memory();
    for _ in 0..LONG_ANSWERS {
        call(&mut app).await;
    }
    let grown = memory().saturating_sub(before);
    let stats = auditor.stats();
    assert_eq!(
        (stats.queued, stats.dropped.total()),
        (LONG_ANSWERS, 0),
        "{stats}"
    );
    assert!(grown < BOUND, "{grown} bytes for {stats}");
}

/// Returns what the app answers.
async fn call(app: &mut Router) -> Bytes {
    let request = Request::post("/things/7").header("user-agent", "wedged");
    let request = request.body(Body::empty()).unwrap();
    let mut service = app.as_service();
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await;
    body.unwrap().to_bytes()
}

async fn round(app: &mut Router, times: &mut Vec<Duration>) {
    for _ in 0..REQUESTS / ROUNDS {
        let started = Instant::now();
        let answer = call(app).await;
        times.push(started.elapsed());
        assert_eq!(answer, "done");
        // A client would have to read the answer.
        tokio::task::yield_now().await;
    }
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Returns what the process has in memory, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1_024
}

fn assert_counted(stats: Stats) {
    let wanted = u64::try_from(REQUESTS).unwrap();
    assert_eq!(stats.accepted, wanted);
    let counted = stats.written + stats.queued + stats.dropped.total();
    assert_eq!(counted, wanted, "{stats}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (wedged, healthy) = (Auditor::new(Wedged), Auditor::new(Sink));
    let (mut wedged_app, mut healthy_app) = (app(&wedged), app(&healthy));
    let mut wedged_times = Vec::with_capacity(REQUESTS);
    let mut healthy_times = Vec::with_capacity(REQUESTS);
    round(&mut healthy_app, &mut healthy_times).await;
    healthy_times.clear();
    let before = memory();
    // In turns, so that whatever else the machine does strikes both.
    for _ in 0..ROUNDS {
        round(&mut healthy_app, &mut healthy_times).await;
        round(&mut wedged_app, &mut wedged_times).await;
    }
    let grown = memory().saturating_sub(before);
    assert_eq!(wedged_times.len(), REQUESTS);
    assert_counted(wedged.stats());
    assert!(
        wedged.stats().queued_bytes <= 16 << 20,
        "{:?}",
        wedged.stats()
    );
    assert!(grown <= BOUND, "{grown} bytes more than before");
    let (healthy, wedged) = (p99(&mut healthy_times), p99(&mut wedged_times));
    let ratio = wedged.as_secs_f64() / healthy.as_secs_f64();
    println!(
        "wedged store: {REQUESTS} requests, p99 {wedged:?} against {healthy:?} with a healthy one ({ratio:.2} \
         times), {} KiB more memory",
        grown >> 10
    );
    long_answers().await;
}
