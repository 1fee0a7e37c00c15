//! A gigabyte goes up and comes back through a layer that captures all it can: the same bytes as without it,
//! and no more memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "it says what it measured")]

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Router, body::Body, http::Request, response::Response, routing::post};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tower_audit::{
    AuditLayer, MemoryStore, Policy,
    policy::{Bodies, Capture, Rule},
};

const LENGTH: usize = 1 << 30;
/// What sockets and the allocator may take more at one time than at another.
const BOUND: u64 = 16 << 20;

/// What is sent, again and again: its length divides no buffer.
fn pattern() -> Vec<u8> {
    let numbers: Vec<String> = (0..10_007).map(|number| number.to_string()).collect();
    format!("[{}],", numbers.join(",")).into_bytes()
}

/// Gives back what it gets, while it gets it.
async fn echo(req: Request<Body>) -> Response {
    let response = Response::builder().header("content-type", "application/json");
    response.body(req.into_body()).unwrap()
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// Sends so many bytes and makes sure that the same ones come back. Returns the head of the answer.
async fn there_and_back(address: SocketAddr, length: usize) -> String {
    let pattern = pattern();
    let (read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let to_send = pattern.clone();
    let sender = tokio::spawn(async move {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n"
        );
        write.write_all(head.as_bytes()).await.unwrap();
        let mut left = length;
        while left > 0 {
            let part = left.min(to_send.len());
            write.write_all(&to_send[..part]).await.unwrap();
            left -= part;
        }
        write
    });
    let mut read = BufReader::with_capacity(64 << 10, read);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(read.read_line(&mut head).await.unwrap() > 0, "no answer");
    }
    assert!(
        head.contains(&format!("content-length: {length}")),
        "{head}"
    );
    let mut seen = 0;
    let mut buffer = vec![0; 64 << 10];
    while seen < length {
        let count = read.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the answer ends after {seen} bytes");
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let expected = &pattern[seen % pattern.len()..];
            let (now, later) = rest.split_at(rest.len().min(expected.len()));
            assert!(now == &expected[..now.len()], "other bytes after {seen}");
            seen += now.len();
            rest = later;
        }
    }
    sender.await.unwrap();
    let lines = head.lines().filter(|line| !line.starts_with("date"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the most that the process had in memory since the last call.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    // Linux: sets the peak back to what it is now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kib * 1_024
}

#[tokio::main]
async fn main() {
    let capture = Capture::metadata()
        .headers(["content-type"])
        .query()
        .request_body(Bodies::Always)
        .response_body(Bodies::Always);
    let policy = Policy::builder().rule(Rule::record("all").capture(capture));
    let store = MemoryStore::new();
    let audit = AuditLayer::new(store.clone()).policy(policy.build().unwrap());
    let app = || {
        Router::new()
            .route("/", post(echo))
            .layer(axum::extract::DefaultBodyLimit::disable())
    };
    let plain = serve(app()).await;
    let audited = serve(app().layer(audit.clone())).await;

    // Both have buffers now.
    there_and_back(audited, LENGTH / 64).await;
    peak();
    let plain_head = there_and_back(plain, LENGTH).await;
    let plain_peak = peak();
    let audited_head = there_and_back(audited, LENGTH).await;
    let audited_peak = peak();

    assert_eq!(audited_head, plain_head);
    let grown = audited_peak.saturating_sub(plain_peak);
    assert!(grown <= BOUND, "{grown} bytes more than without the layer");
    let event = &store.wait_for(2).await[1];
    let captured = event.captured().unwrap();
    for part in ["request_body", "response_body"] {
        let body = captured.get(part).unwrap();
        assert_eq!(body["length"], LENGTH);
        assert_eq!(body["truncated"], true);
        assert_eq!(body["json"][1], 1);
    }
    println!(
        "1 GiB there and back: the same bytes, at most {} MiB in memory, {} MiB without the layer",
        audited_peak >> 20,
        plain_peak >> 20
    );
}
