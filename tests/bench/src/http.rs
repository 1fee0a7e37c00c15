//! What the layer costs a service behind a socket, under `wrk`.

use std::{
    future::IntoFuture as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::routing::get;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tower_audit::{Auditor, PgStore, spool::Spool};
use xtask::{
    command::quiet,
    postgres::{Cluster, Commits},
};

use crate::{
    app::{App, Discard, HEADERS, Variant},
    measure::{Rounds, interleaved, median},
    summary::Summary,
};

/// Measures `http.rps_ratio` and `http.p99_ratio`.
pub(crate) fn run(summary: &mut Summary, rounds: usize, seconds: u32) -> anyhow::Result<()> {
    let script = Script::write(0)?;
    let servers = [
        Server::start(Variant::Bare, None)?,
        Server::start(Variant::Audited, None)?,
    ];
    for server in &servers {
        script.load(server.address, 1)?;
    }
    let mut tails: [Vec<f64>; 2] = Default::default();
    let mut failed = None;
    let [bare, audited]: [Rounds; 2] = interleaved(rounds, |thing| {
        match script.load(servers[thing].address, seconds) {
            Ok(load) => {
                tails[thing].push(load.p99_us);
                load.per_second
            }
            Err(error) => {
                failed = Some(error);
                f64::NAN
            }
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    summary.set("http.bare_rps", bare.median());
    summary.set("http.audited_rps", audited.median());
    summary.set("http.rps_ratio", audited.times(&bare));
    let [bare, audited] = tails.map(Rounds);
    summary.set("http.bare_p99_us", bare.median());
    summary.set("http.p99_ratio", audited.times(&bare));
    for server in servers {
        server.stop()?;
    }
    Ok(())
}

/// Measures `http.outage_*`: Postgres is killed in the middle of each round.
pub(crate) fn outage(summary: &mut Summary, rounds: usize, seconds: u32) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Commits::Survive)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let pool = sqlx::PgPool::connect(&cluster.url()).await?;
        anyhow::Ok(tower_audit::migrate(&pool).await?)
    })?;
    let spool = tempfile::tempdir()?;
    let script = Script::write(PAUSE_MS)?;
    let bare = Server::start(Variant::Bare, None)?;
    let url = cluster.url();
    let audited = Server::start(Variant::Audited, Some((&url, spool.path())))?;
    let (mut tails, mut ratios) = ((Vec::new(), Vec::new()), Vec::new());
    for server in [&bare, &audited] {
        script.load(server.address, 1)?;
    }
    for _ in 0..rounds {
        let without = script.load(bare.address, seconds)?;
        let with = script.spawn(audited.address, seconds)?;
        pause(Duration::from_secs(seconds.into()) / 3);
        cluster.kill()?;
        let with = Load::of(with)?;
        cluster.start_again()?;
        ratios.push(with.p99_us / without.p99_us);
        tails.0.push(without.p99_us);
        tails.1.push(with.p99_us);
        replayed(audited.address)?;
    }
    summary.set("http.outage_bare_p99_us", median(tails.0));
    summary.set("http.outage_p99_us", median(tails.1));
    summary.set("http.outage_p99_ratio", median(ratios));
    bare.stop()?;
    let report = audited.stop()?;
    let accepted = accepted(&report)?;
    let rows = runtime.block_on(rows(&cluster.url()))?;
    summary.set("http.outage_accepted", accepted);
    summary.set("http.outage_lost", accepted - rows);
    Ok(())
}

/// Waits until everything is in the store.
fn replayed(server: SocketAddr) -> anyhow::Result<()> {
    loop {
        let mut stream = TcpStream::connect(server)?;
        stream.write_all(b"GET /left HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        if said.lines().last() == Some("0") {
            return Ok(());
        }
        pause(Duration::from_millis(100));
    }
}

#[expect(clippy::cast_precision_loss, reason = "no figure has that many digits")]
async fn rows(url: &str) -> anyhow::Result<f64> {
    let pool = sqlx::PgPool::connect(url).await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM control_plane.audit_logs")
        .fetch_one(&pool)
        .await?;
    Ok(rows as f64)
}

/// Reads what the server said when it ended: `accepted 7, written 7, ...`.
fn accepted(report: &str) -> anyhow::Result<f64> {
    let count = report.strip_prefix("accepted ");
    let count = count.and_then(|report| report.split(',').next());
    Ok(count
        .with_context(|| format!("no report: {report:?}"))?
        .parse()?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing else runs on this thread"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// What `wrk` sends.
struct Script {
    file: tempfile::NamedTempFile,
}

impl Script {
    /// Returns requests with a pause after each, if there is one.
    fn write(pause_ms: u32) -> anyhow::Result<Self> {
        let mut file = tempfile::NamedTempFile::new()?;
        writeln!(file, "wrk.method = 'DELETE'")?;
        for (name, value) in HEADERS.iter().filter(|(name, _)| *name != "host") {
            writeln!(file, "wrk.headers['{name}'] = '{value}'")?;
        }
        if pause_ms > 0 {
            writeln!(file, "function delay() return {pause_ms} end")?;
        }
        Ok(Self { file })
    }

    fn load(&self, server: SocketAddr, seconds: u32) -> anyhow::Result<Load> {
        Load::of(self.spawn(server, seconds)?)
    }

    fn spawn(&self, server: SocketAddr, seconds: u32) -> anyhow::Result<Child> {
        Command::new("wrk")
            .args(["-t1", "-c32", "--latency", "-d"])
            .arg(format!("{seconds}s"))
            .arg("-s")
            .arg(self.file.path())
            .arg(format!("http://{server}/api/v1/projects/42"))
            .stdout(Stdio::piped())
            .spawn()
            .context("could not run wrk")
    }
}

/// What `wrk` says.
struct Load {
    per_second: f64,
    p99_us: f64,
}

impl Load {
    fn of(wrk: Child) -> anyhow::Result<Self> {
        let output = wrk.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success() && !said.contains("Non-2xx") && !said.contains("Socket errors"),
            "wrk met errors:\n{said}"
        );
        let after = |label: &str| {
            let line = said
                .lines()
                .find_map(|line| line.trim().strip_prefix(label));
            line.map(str::trim)
                .with_context(|| format!("wrk said nothing of {label}:\n{said}"))
        };
        Ok(Self {
            per_second: after("Requests/sec:")?.parse()?,
            p99_us: micros(after("99%")?)?,
        })
    }
}

/// Reads a time as `wrk` writes it: `980.00us`, `1.10ms` or `2.00s`.
fn micros(time: &str) -> anyhow::Result<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let found = units.iter().find_map(|(unit, factor)| {
        let number: f64 = time.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    });
    found.with_context(|| format!("{time:?} is no time"))
}

/// A server in a process of its own, killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(variant: Variant, store: Option<(&str, &Path)>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", variant.name()]);
        if let Some((url, spool)) = store {
            command.arg(url).arg(spool);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.as_mut().context("it has no output")?;
        // No more is said until it ends.
        BufReader::with_capacity(1, output).read_line(&mut line)?;
        Ok(Self {
            address: line.trim().parse()?,
            child,
        })
    }

    /// Ends it in order; returns what it said last.
    fn stop(mut self) -> anyhow::Result<String> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        if let Some(output) = self.child.stdout.as_mut() {
            output.read_to_string(&mut said)?;
        }
        self.child.wait()?;
        Ok(said.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the app until standard input closes, which happens however the one who started it ends.
pub(crate) fn serve(variant: Variant, store: Option<(&str, &str)>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let auditor = match store {
            Some((url, spool)) => {
                let patience = Duration::from_millis(500);
                let pool = PgPoolOptions::new().acquire_timeout(patience);
                let store = PgStore::new(pool.connect_lazy(url)?);
                Auditor::builder().spool(Spool::open(spool)?).start(store)
            }
            None => Auditor::new(Discard),
        };
        let app = App::with(variant, || auditor.clone());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let left = auditor.clone();
        let left = move || async move { (left.stats().queued + left.stats().spooled).to_string() };
        let service = app
            .router
            .route("/left", get(left))
            .into_make_service_with_connect_info::<SocketAddr>();
        let (mut input, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
        tokio::select! {
            served = axum::serve(listener, service).into_future() => served?,
            _ = tokio::io::copy(&mut input, &mut nowhere) => {}
        }
        println!("{}", auditor.shutdown(Duration::from_secs(60)).await);
        anyhow::Ok(())
    })
}

/// Says which `wrk` it is.
pub(crate) fn version() -> String {
    // It ends with an error, and says its version all the same.
    let said = quiet(Command::new("sh").args(["-c", "wrk -v 2>&1 | head -1"]));
    said.unwrap_or_default()
}

/// Between two requests on a connection, while Postgres needs its part of the machine.
const PAUSE_MS: u32 = 8;
