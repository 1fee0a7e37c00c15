//! One that races: a process that is started again and again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinSet,
};
use tower_audit::retention::RetentionError;
use xtask::command::quiet;

use super::{KEEP, LEASE};

/// What they are started with.
#[derive(Debug)]
pub(super) struct Plan {
    url: String,
    replica: PathBuf,
    command: PathBuf,
    folder: PathBuf,
}

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// This one, again.
    Replica,
    /// The command `tower-audit`.
    Command,
}

/// One that races. Its process is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Contender {
    name: &'static str,
    kind: Kind,
    starts: u32,
    child: Option<Child>,
    is_stopped: bool,
    /// When to start it again.
    due: Instant,
    outcomes: Arc<Mutex<Outcomes>>,
    ears: JoinSet<()>,
}

/// What a contender has said, and how often it was started.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes {
    pub(super) name: &'static str,
    pub(super) starts: u32,
    pub(super) done: u64,
    pub(super) busy: u64,
    pub(super) lost: u64,
    pub(super) failed: u64,
    /// The first one.
    pub(super) failure: Option<String>,
}

impl Plan {
    /// Returns what to start, with the file of the policy in this folder.
    pub(super) fn new(url: String, folder: &Path) -> anyhow::Result<Self> {
        let replica = std::env::current_exe().context("this program is nowhere")?;
        let command = replica.with_file_name("tower-audit-command");
        ensure!(
            command.exists(),
            "{} is not built: use `cargo xtask chaos retention`",
            command.display()
        );
        let policy = format!("default = \"{KEEP}\"\n");
        fs::write(folder.join(POLICY), policy).context("could not write the policy")?;
        Ok(Self {
            url,
            replica,
            command,
            folder: folder.to_owned(),
        })
    }

    fn command(&self, kind: Kind, child: &str) -> Command {
        // So that the triggers know whose connection it is.
        let url = format!("{}?options[race.child]={child}", self.url);
        match kind {
            Kind::Replica => {
                let mut command = Command::new(&self.replica);
                command.args(["replica", &url, child]);
                command.stdin(Stdio::piped());
                command
            }
            Kind::Command => {
                let lease = LEASE.as_secs().to_string();
                let mut command = Command::new(&self.command);
                command.args(["prune", "--json", "--database", &url, "--policy", POLICY]);
                command.args(["--budget", "1", "--lease", &lease]);
                command.stdin(Stdio::null()).current_dir(&self.folder);
                command
            }
        }
    }
}

impl Contender {
    /// Returns one that does not run yet.
    pub(super) fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            starts: 0,
            child: None,
            is_stopped: false,
            due: Instant::now(),
            outcomes: Arc::default(),
            ears: JoinSet::new(),
        }
    }

    /// Starts it if it does not run, and should.
    pub(super) fn tend(&mut self, plan: &Plan) -> anyhow::Result<()> {
        while self.ears.try_join_next().is_some() {}
        if self.is_stopped {
            return Ok(());
        }
        if let Some(child) = &mut self.child
            && child.try_wait()?.is_some()
        {
            self.child = None;
        }
        if self.child.is_none() && Instant::now() >= self.due {
            self.start(plan)?;
        }
        Ok(())
    }

    fn start(&mut self, plan: &Plan) -> anyhow::Result<()> {
        self.starts += 1;
        let mut command = plan.command(self.kind, &self.child_name());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("could not start {}", self.name))?;
        let output = child.stdout.take().context("it has no output")?;
        let errors = child.stderr.take().context("it has no standard error")?;
        self.listen(output, |outcomes, _| outcomes.done += 1);
        self.listen(errors, Outcomes::hear_error);
        self.child = Some(child);
        Ok(())
    }

    /// Hears what its process says, line by line, until that ends.
    fn listen(
        &mut self,
        pipe: impl AsyncRead + Unpin + Send + 'static,
        hear: fn(&mut Outcomes, &str),
    ) {
        let outcomes = Arc::clone(&self.outcomes);
        self.ears.spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                hear(&mut lock(&outcomes), &line);
            }
        });
    }

    /// Kills it as SIGKILL does; it is started again after a while.
    pub(super) async fn kill(&mut self, again_in: Duration) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        self.due = Instant::now() + again_in;
        Ok(())
    }

    /// Stops it where it is.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        self.signal("-STOP")?;
        self.is_stopped = true;
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn wake(&mut self) -> anyhow::Result<()> {
        self.signal("-CONT")?;
        self.is_stopped = false;
        Ok(())
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let id = self.child.as_ref().and_then(Child::id);
        let id = id.context("it does not run")?.to_string();
        quiet(std::process::Command::new("kill").args([signal, &id]))?;
        Ok(())
    }

    /// Kills it for good; returns what it has said.
    pub(super) async fn end(mut self) -> anyhow::Result<Outcomes> {
        self.kill(Duration::ZERO).await?;
        while self.ears.join_next().await.is_some() {}
        let outcomes = lock(&self.outcomes).clone();
        Ok(Outcomes {
            name: self.name,
            starts: self.starts,
            ..outcomes
        })
    }

    /// Returns the name of its process.
    pub(super) fn child_name(&self) -> String {
        format!("{}.{}", self.name, self.starts)
    }

    /// Returns whether there is a process that can be killed or stopped.
    pub(super) fn is_running(&self) -> bool {
        self.child.is_some() && !self.is_stopped
    }
}

impl Outcomes {
    /// The command has no other way to say what it was than its text.
    fn hear_error(&mut self, line: &str) {
        if line.contains(&RetentionError::LeaseLost.to_string()) {
            self.lost += 1;
        } else if line.contains(BUSY) {
            self.busy += 1;
        } else {
            self.failed += 1;
            self.failure.get_or_insert_with(|| line.to_owned());
        }
    }
}

fn lock(outcomes: &Mutex<Outcomes>) -> MutexGuard<'_, Outcomes> {
    outcomes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of [`RetentionError::Busy`].
const BUSY: &str = " deletes already, ";

const POLICY: &str = "retention.toml";
