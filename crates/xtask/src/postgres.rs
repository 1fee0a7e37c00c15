//! A Postgres for a run: the one that is named, or a throw-away cluster.
//!
//! ```no_run
//! use xtask::postgres::{Cluster, Commits};
//!
//! let mut cluster = Cluster::start(Commits::Survive)?;
//! cluster.kill()?;
//! cluster.start_again()?;
//! println!("{}", cluster.url());
//! # Ok::<_, anyhow::Error>(())
//! ```

use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    command::quiet,
    debian::{can_install, install},
};

/// Names the Postgres to use.
pub const VARIABLE: &str = "TOWER_AUDIT_TEST_POSTGRES";

/// A Postgres for a run. A throw-away cluster is stopped and deleted when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    cluster: Option<Cluster>,
}

impl Postgres {
    /// Returns the Postgres that the environment names, or starts a throw-away one.
    ///
    /// # Errors
    ///
    /// Returns an error that says what to do if there is none and none can be started.
    pub fn find_or_start() -> anyhow::Result<Self> {
        if let Ok(url) = std::env::var(VARIABLE) {
            ensure!(
                !url.is_empty(),
                "{VARIABLE} is empty: set it to a postgres:// URL, or unset it"
            );
            println!("Postgres: the one in {VARIABLE}");
            return Ok(Self { url, cluster: None });
        }
        let cluster = Cluster::start(Commits::AreFast)?;
        println!("Postgres: a throw-away cluster on port {}", cluster.port);
        Ok(Self {
            url: cluster.url(),
            cluster: Some(cluster),
        })
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// `cargo xtask postgres`.
///
/// # Errors
///
/// Returns an error if no Postgres can be found or started.
pub fn serve() -> anyhow::Result<()> {
    let postgres = Postgres::find_or_start()?;
    println!("export {VARIABLE}={}", postgres.url());
    println!("Press Enter to stop.");
    std::io::stdin()
        .read_line(&mut String::new())
        .context("could not wait for Enter")?;
    if postgres.cluster.is_none() {
        println!("It is not ours: it goes on.");
    }
    Ok(())
}

/// What a commit is worth when the server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Commits {
    /// The last ones may be lost.
    AreFast,
    /// They are there when it starts again. (Not when the machine is switched off.)
    Survive,
    /// They are on the disk, as a server is set up that nobody has set up otherwise.
    AreSynced,
}

/// A running server with a folder of its own, both gone when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    owner: Owner,
    commits: Commits,
    folder: PathBuf,
    port: u16,
    /// One for each time it was started.
    keepers: Vec<Child>,
}

impl Cluster {
    /// Starts a server on a free port, from the installed programs or, as root on Debian, from the
    /// package.
    ///
    /// # Errors
    ///
    /// Returns an error that says what to do if there are no programs, or what the server said.
    pub fn start(commits: Commits) -> anyhow::Result<Self> {
        let programs = find_or_install()?;
        // Somebody else may take the port between our look and the start: try another one then.
        let mut log = String::new();
        for _ in 0..5 {
            let mut cluster = Self::prepare(&programs, commits)?;
            if cluster.run()? {
                return Ok(cluster);
            }
            log = cluster.log();
        }
        bail!("Postgres ended as soon as it was started:\n{log}");
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Returns the port, which it keeps when it is killed and started again.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills every process of the server at once, as SIGKILL does.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not running.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid"))
            .context("the server is not running")?;
        let pid = file
            .lines()
            .next()
            .context("the server has no process id")?;
        // It must not start new children while the old ones are killed.
        quiet(Command::new("kill").args(["-STOP", pid]))?;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for process in children.split_whitespace().chain([pid]) {
            // A child may end by itself.
            let _ = quiet(Command::new("kill").args(["-KILL", process]));
        }
        if let Some(keeper) = self.keepers.last_mut() {
            keeper.wait()?;
        }
        Ok(())
    }

    /// Starts it again after a [`kill`](Self::kill), on the same port and data.
    ///
    /// # Errors
    ///
    /// Returns what the server said if it does not start.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.run()?, "Postgres did not start again:\n{}", self.log());
        Ok(())
    }

    fn prepare(programs: &Path, commits: Commits) -> anyhow::Result<Self> {
        let owner = Owner::find()?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let name = format!("tower-audit-postgres-{}-{started}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        owner.give(&folder)?;
        let data = folder.join("data");
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.args([
            "--username",
            SUPERUSER,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--no-sync",
        ]);
        quiet(owner.run(initdb.args(["--locale", "C", "--pgdata"]).arg(&data)))?;
        Ok(Self {
            programs: programs.to_owned(),
            owner,
            commits,
            folder,
            port: free_port()?,
            keepers: Vec::new(),
        })
    }

    /// Runs the server; returns `false` if it ended at once.
    fn run(&mut self) -> anyhow::Result<bool> {
        let log = fs::File::create(self.folder.join("log")).context("could not create the log")?;
        let data = self.folder.join("data");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&self.folder);
        keeper
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(&data);
        keeper
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(&self.folder);
        keeper.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let commits: &[&str] = match self.commits {
            Commits::AreFast => &[
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
            ],
            Commits::Survive => &["fsync=off", "full_page_writes=off"],
            Commits::AreSynced => &[],
        };
        keeper.args(commits.iter().flat_map(|setting| ["-c", setting]));
        keeper
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A group of its own: Ctrl-C in the terminal is for us.
        let keeper = self.owner.run(keeper.process_group(0)).spawn();
        let mut keeper = keeper.context("could not start Postgres")?;
        let is_ready = wait_until_ready(&mut keeper, self.port);
        self.keepers.push(keeper);
        is_ready
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            drop(keeper.stdin.take());
        }
        for keeper in &mut self.keepers {
            let _ = keeper.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs the server until its standard input closes, which happens however we end, and then deletes
/// the folder. A throw-away cluster needs no orderly end. One that was killed (137) keeps its folder:
/// whoever killed it may start it again.
const KEEPER: &str = r#"
folder=$1; shift
exec 3<&0
"$@" & server=$!
(cat <&3 >/dev/null; kill -QUIT "$server"; while kill -0 "$server"; do sleep 0.1; done; rm -rf "$folder") 2>/dev/null &
watcher=$!
wait "$server"
[ $? -ne 137 ] || kill "$watcher"
"#;

/// Returns whether the server takes connections; `false` if it has ended instead.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing else runs on this thread"
)]
fn wait_until_ready(server: &mut Child, port: u16) -> anyhow::Result<bool> {
    let started = Instant::now();
    loop {
        if server.try_wait()?.is_some() {
            return Ok(false);
        }
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error).context("could not reach Postgres"),
        }
        ensure!(
            started.elapsed() < START_LIMIT,
            "Postgres took no connections within {START_LIMIT:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Who the server runs as: Postgres refuses to run as root.
#[derive(Debug)]
enum Owner {
    Us,
    Other { user: u32, group: u32 },
}

impl Owner {
    fn find() -> anyhow::Result<Self> {
        if quiet(Command::new("id").arg("-u"))? != "0" {
            return Ok(Self::Us);
        }
        for name in ["postgres", "nobody"] {
            let id = |flag: &str| quiet(Command::new("id").args([flag, name]));
            if let (Ok(user), Ok(group)) = (id("-u"), id("-g")) {
                return Ok(Self::Other {
                    user: user.parse()?,
                    group: group.parse()?,
                });
            }
        }
        bail!(
            "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody`"
        );
    }

    fn give(&self, folder: &Path) -> anyhow::Result<()> {
        if let Self::Other { user, group } = self {
            chown(folder, Some(*user), Some(*group))
                .context("could not give the folder to Postgres")?;
        }
        Ok(())
    }

    fn run<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        match self {
            Self::Us => command,
            // Its own folder: the one that we stand in may be closed to it.
            Self::Other { user, group } => command.uid(*user).gid(*group).current_dir("/"),
        }
    }
}

/// Returns the folder of the programs of Postgres, such as `pg_dump`; installs them as root on Debian if they are not there.
///
/// # Errors
///
/// Returns what to install if that cannot be done here.
pub fn programs() -> anyhow::Result<PathBuf> {
    find_or_install()
}

fn find_or_install() -> anyhow::Result<PathBuf> {
    if let Some(programs) = find() {
        return Ok(programs);
    }
    if !can_install()? {
        bail!(
            "there is no Postgres here: install the server (13 or later; on Debian `apt-get install \
             postgresql`), or set {VARIABLE} to the URL of one"
        );
    }
    // Without the cluster that the package would start.
    fs::create_dir_all("/etc/postgresql-common/createcluster.d")?;
    fs::write(
        "/etc/postgresql-common/createcluster.d/tower-audit.conf",
        "create_main_cluster = false\n",
    )?;
    install("postgresql")?;
    find().context("the package was installed, but there is no `initdb` in /usr/lib/postgresql")
}

/// Looks where Debian keeps the programs, newest version first, and then in the path.
fn find() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort();
    let from_path = std::env::var_os("PATH").unwrap_or_default();
    let from_path = std::env::split_paths(&from_path).collect::<Vec<_>>();
    let folders = versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(from_path);
    let has = |folder: &Path, program: &str| folder.join(OsStr::new(program)).is_file();
    folders
        .into_iter()
        .find(|folder| has(folder, "initdb") && has(folder, "postgres"))
}

const SUPERUSER: &str = "tower_audit";
const START_LIMIT: Duration = Duration::from_secs(60);

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "max_connections=200",
    "shared_buffers=128MB",
];
