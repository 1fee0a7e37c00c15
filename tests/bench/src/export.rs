//! An export of half of the trail to a client that is slower than the database.

use std::{
    future::IntoFuture as _,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::ensure;
use axum::Router;
use chrono::DateTime;
use tokio::net::TcpListener;
use tower_audit::{Actor, Auditor, MemoryStore, PgStore};
use tower_audit_web::{Access, AuditWeb};
use xtask::rows::{FIRST_SECOND, SECONDS_APART};

use crate::load::resident;

/// Exports the older half of that many rows, and prints how long it took and how much memory.
pub(crate) async fn run(store: PgStore, rows: u64) -> anyhow::Result<()> {
    let all = |_: &http::request::Parts| Ok(Access::all_tenants(Actor::system()).with_export());
    let auditor = Auditor::new(MemoryStore::new());
    let web = AuditWeb::new(store, all, &auditor).router();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let app = Router::new().nest("/audit", web);
    let server = tokio::spawn(axum::serve(listener, app).into_future());
    let middle = FIRST_SECOND + rows / 2 * SECONDS_APART;
    let middle = DateTime::from_timestamp(i64::try_from(middle)?, 0).unwrap_or_default();
    let until = middle.format("%Y-%m-%dT%H:%M:%SZ");
    let path = format!("/audit/export?format=jsonl&q=created:..{until}");
    let taken = tokio::task::spawn_blocking(move || take(address, &path)).await?;
    server.abort();
    let Taken {
        lines,
        bytes,
        time,
        early,
        most,
    } = taken?;
    println!(
        "\nexport: {lines} rows, {} MB in {} s to a client that pauses; the process, with the client in it, held {} MB after a \
         hundredth of it and at most {} MB",
        bytes / 1_000_000,
        time.as_secs(),
        early / 1_000_000,
        most / 1_000_000,
    );
    ensure!(
        lines.abs_diff(rows / 2) <= 1,
        "{lines} rows of {} came",
        rows / 2
    );
    Ok(())
}

/// What the client got, and how much memory there was meanwhile.
struct Taken {
    lines: u64,
    bytes: u64,
    time: Duration,
    early: u64,
    most: u64,
}

fn take(address: SocketAddr, path: &str) -> anyhow::Result<Taken> {
    let started = Instant::now();
    let mut connection = TcpStream::connect(address)?;
    // HTTP 1.0: the rest is the body, and ends with the connection.
    write!(connection, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut buffer = vec![0; 64 * 1024];
    let mut taken = Taken {
        lines: 0,
        bytes: 0,
        time: Duration::ZERO,
        early: 0,
        most: 0,
    };
    let mut head = Some(Vec::new());
    let mut next_pause = PAUSE_EVERY;
    loop {
        let read = connection.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let mut part = &buffer[..read];
        let whole;
        if let Some(mut begun) = head.take() {
            begun.extend_from_slice(part);
            let Some(end) = begun.windows(4).position(|four| four == b"\r\n\r\n") else {
                head = Some(begun);
                continue;
            };
            ensure!(
                begun.starts_with(b"HTTP/1.0 200"),
                "{}",
                String::from_utf8_lossy(&begun)
            );
            whole = begun.split_off(end + 4);
            part = &whole;
        }
        taken.bytes += u64::try_from(part.len())?;
        taken.lines += u64::try_from(part.iter().filter(|byte| **byte == b'\n').count())?;
        if taken.bytes >= next_pause {
            next_pause += PAUSE_EVERY;
            pause();
            let resident = resident()?;
            if taken.early == 0 {
                taken.early = resident;
            }
            taken.most = taken.most.max(resident);
        }
    }
    taken.time = started.elapsed();
    Ok(taken)
}

#[expect(clippy::disallowed_methods, reason = "a client that is slow")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// The client stops for a while after so many bytes: longer than the server takes for as much.
const PAUSE_EVERY: u64 = 32 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(500);
