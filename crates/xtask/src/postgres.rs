//! A Postgres for a run: the one that is named, or a throw-away cluster.

use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::command::{quiet, run};

/// Names the Postgres to use.
pub(crate) const VARIABLE: &str = "TOWER_AUDIT_TEST_POSTGRES";

/// A Postgres for a run. A throw-away cluster is stopped and deleted when this is dropped.
pub(crate) struct Postgres {
    url: String,
    cluster: Option<Cluster>,
}

impl Postgres {
    /// Returns the Postgres that the environment names, or starts a throw-away one.
    pub(crate) fn find_or_start() -> anyhow::Result<Self> {
        if let Ok(url) = std::env::var(VARIABLE) {
            ensure!(
                !url.is_empty(),
                "{VARIABLE} is empty: set it to a postgres:// URL, or unset it"
            );
            println!("Postgres: the one in {VARIABLE}");
            return Ok(Self { url, cluster: None });
        }
        let cluster = Cluster::start()?;
        let url = format!("postgres://{SUPERUSER}@127.0.0.1:{}/postgres", cluster.port);
        println!("Postgres: a throw-away cluster on port {}", cluster.port);
        Ok(Self {
            url,
            cluster: Some(cluster),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// `cargo xtask postgres`.
pub(crate) fn serve() -> anyhow::Result<()> {
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

/// A running server with a folder of its own.
struct Cluster {
    keeper: Child,
    folder: PathBuf,
    port: u16,
}

impl Cluster {
    fn start() -> anyhow::Result<Self> {
        let programs = find_or_install()?;
        let owner = Owner::find()?;
        // Somebody else may take the port between our look and the start: try another one then.
        let mut log = String::new();
        for attempt in 0..5 {
            let name = format!("tower-audit-postgres-{}-{attempt}", std::process::id());
            let mut cluster = Self::spawn(&programs, &owner, std::env::temp_dir().join(name))?;
            if wait_until_ready(&mut cluster.keeper, cluster.port)? {
                return Ok(cluster);
            }
            log = fs::read_to_string(cluster.folder.join("log")).unwrap_or_default();
        }
        bail!("Postgres ended as soon as it was started:\n{log}");
    }

    fn spawn(programs: &Path, owner: &Owner, folder: PathBuf) -> anyhow::Result<Self> {
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

        let port = free_port()?;
        let log = fs::File::create(folder.join("log")).context("could not create the log")?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&folder);
        keeper.arg(programs.join("postgres")).arg("-D").arg(&data);
        keeper.args(["-p", &port.to_string(), "-k"]).arg(&folder);
        keeper.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        keeper
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A group of its own: Ctrl-C in the terminal is for us.
        let keeper = owner
            .run(keeper.process_group(0))
            .spawn()
            .context("could not start Postgres")?;
        Ok(Self {
            keeper,
            folder,
            port,
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs the server until its standard input closes, which happens however we end, and then deletes
/// the folder. A throw-away cluster needs no orderly end.
const KEEPER: &str = r#"
folder=$1; shift
exec 3<&0
"$@" & server=$!
(cat <&3 >/dev/null; kill -QUIT "$server"; while kill -0 "$server"; do sleep 0.1; done; rm -rf "$folder") 2>/dev/null &
wait "$server"
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

/// Returns the folder with the programs of the server; installs them as root on Debian.
fn find_or_install() -> anyhow::Result<PathBuf> {
    if let Some(programs) = find() {
        return Ok(programs);
    }
    let is_root = quiet(Command::new("id").arg("-u"))? == "0";
    if !is_root || !Path::new("/etc/debian_version").exists() {
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
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args([
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            "postgresql",
        ]))?;
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

/// A throw-away cluster may lose its data when the machine does.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "max_connections=200",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=128MB",
];
