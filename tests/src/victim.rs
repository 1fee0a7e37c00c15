//! A process to inflict faults on, and the load that it is under meanwhile.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinSet,
};
use tower_audit::Mode;

/// Names the database.
pub const DATABASE: &str = "VICTIM_DATABASE";
/// Names the mode of every route.
pub const MODE: &str = "VICTIM_MODE";
/// Names the folder of the spool; none without it.
pub const SPOOL: &str = "VICTIM_SPOOL";
/// Names the file that gets a line for each handler that begins.
pub const STARTED: &str = "VICTIM_STARTED";

/// What a victim is started with, again and again.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program: the binary `victim` of this package.
    pub program: PathBuf,
    /// The URL of its database.
    pub database: String,
    /// The mode of every route.
    pub mode: Mode,
    /// The folder of its spool.
    pub spool: Option<PathBuf>,
    /// The file that gets a line for each handler that begins.
    pub started: PathBuf,
    /// What `sh` does before the program takes its place, such as `ulimit -f 16`.
    pub before: Option<String>,
}

/// A running process, killed when this is dropped.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    address: SocketAddr,
}

/// What `/stats` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VictimStats {
    /// Events in memory.
    pub queued: u64,
    /// Events in the spool.
    pub spooled: u64,
    /// Events that were dropped.
    pub dropped: u64,
    /// Requests that were answered although nobody knew whether their event was kept.
    pub unconfirmed: u64,
    /// Batches that the spool could not take.
    pub spool_refused: u64,
}

impl Plan {
    /// Starts the process, and waits until it listens.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not start.
    pub async fn start(&self) -> anyhow::Result<Victim> {
        let mut command = self.command();
        command
            .env(DATABASE, &self.database)
            .env(STARTED, &self.started);
        command.env(MODE, format!("{:?}", self.mode).to_lowercase());
        match &self.spool {
            Some(spool) => command.env(SPOOL, spool),
            None => command.env_remove(SPOOL),
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("could not start the victim")?;
        let mut out = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut line = String::new();
        out.read_line(&mut line).await?;
        let address = line.trim().parse().context("the victim did not start")?;
        Ok(Victim { child, address })
    }

    fn command(&self) -> Command {
        let Some(before) = &self.before else {
            return Command::new(&self.program);
        };
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{before} && exec \"$0\""))
            .arg(&self.program);
        command
    }

    /// Returns the handlers that have begun.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read.
    pub fn started(&self) -> anyhow::Result<BTreeSet<u64>> {
        read_numbers(&self.started)
    }
}

fn read_numbers(path: &Path) -> anyhow::Result<BTreeSet<u64>> {
    if !path.exists() {
        return Ok(BTreeSet::new());
    }
    let text = fs::read_to_string(path)?;
    text.lines().map(|line| Ok(line.parse()?)).collect()
}

impl Victim {
    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it as SIGKILL does.
    ///
    /// # Errors
    ///
    /// Returns an error if it has ended before.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Lets it end by itself: with a shutdown of five seconds.
    ///
    /// # Errors
    ///
    /// Returns an error if it fails.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait().await?;
        ensure!(status.success(), "the victim failed: {status}");
        Ok(())
    }

    /// Asks for its counts.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not answer.
    pub async fn stats(&self) -> anyhow::Result<VictimStats> {
        let mut connection = Connection::open(self.address).await?;
        let (_, body) = connection.call("GET", "/stats").await?;
        let mut numbers = body.split_whitespace().map(str::parse);
        let mut next = || {
            numbers
                .next()
                .context("a number is missing")?
                .context("no number")
        };
        Ok(VictimStats {
            queued: next()?,
            spooled: next()?,
            dropped: next()?,
            unconfirmed: next()?,
            spool_refused: next()?,
        })
    }
}

/// Clients that send one request after the other, each with a number of its own.
#[derive(Debug, Default)]
pub struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    is_over: AtomicBool,
    answered: Mutex<BTreeSet<u64>>,
    refused: AtomicU64,
}

impl Load {
    /// Adds clients of this victim; each ends when it loses its connection or the load is over.
    pub fn clients(&mut self, address: SocketAddr, count: usize) {
        for _ in 0..count {
            let shared = Arc::clone(&self.shared);
            self.clients.spawn(async move {
                // A connection that ends is what this is about.
                let _ = shared.run(address).await;
            });
        }
    }

    /// Returns how many requests were answered so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.shared.answered().len()
    }

    /// Returns how many requests were refused (503) so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Waits for every client that has lost its connection.
    pub async fn lost(&mut self) {
        while self.clients.join_next().await.is_some() {}
    }

    /// Ends every client after its request, and returns the numbers that were answered 200.
    pub async fn end(mut self) -> BTreeSet<u64> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.lost().await;
        std::mem::take(&mut *self.shared.answered())
    }
}

impl Shared {
    async fn run(&self, address: SocketAddr) -> anyhow::Result<()> {
        let mut connection = Connection::open(address).await?;
        while !self.is_over.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let (status, _) = connection
                .call("POST", &format!("/things/{number}"))
                .await?;
            match status {
                200 => drop(self.answered().insert(number)),
                503 => drop(self.refused.fetch_add(1, Ordering::SeqCst)),
                other => anyhow::bail!("answered {other}"),
            }
        }
        Ok(())
    }

    fn answered(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.answered
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    async fn call(&mut self, method: &str, path: &str) -> anyhow::Result<(u16, String)> {
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: victim\r\ncontent-length: 0\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(self.0.read_line(&mut head).await? > 0, "the victim is gone");
        }
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let length = head.to_ascii_lowercase();
        let length = length
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: u64 = length.map_or(Ok(0), str::parse)?;
        let mut body = String::new();
        (&mut self.0).take(length).read_to_string(&mut body).await?;
        Ok((status, body))
    }
}
