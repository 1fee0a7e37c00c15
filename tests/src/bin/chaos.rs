//! The kill and outage suite, for as many minutes as the first argument says: `cargo xtask chaos`.
//!
//! Each round starts a service on a database of its own, puts it under load, inflicts a fault, heals it,
//! and compares what was answered with what is in the table.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::{
    collections::BTreeSet,
    fmt,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tower_audit::Mode;
use tower_audit_tests::{
    proxy::{Fault, Proxy},
    victim::{Load, Plan, Victim, VictimStats},
};
use xtask::postgres::{Cluster, Commits};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let minutes = std::env::args().nth(1).unwrap_or_else(|| "1".into());
    let minutes: u64 = minutes.parse().context("usage: chaos MINUTES")?;
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let mut chaos = Chaos::start().await?;
    let mut cells: Vec<Cell> = cells().map(Cell::new).collect();
    loop {
        for cell in &mut cells {
            if cell.rounds > 0 && Instant::now() >= until {
                continue;
            }
            chaos
                .round(cell)
                .await
                .with_context(|| cell.scene.to_string())?;
        }
        if Instant::now() >= until {
            break;
        }
    }
    println!("{HEAD}");
    cells.iter().for_each(|cell| println!("{cell}"));
    let broken = cells.iter().filter(|cell| cell.is_broken()).count();
    ensure!(broken == 0, "{broken} promises were broken");
    println!("\nNothing was lost or duplicated where that is promised.");
    Ok(())
}

/// What is inflicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    ProcessKilled,
    DatabaseKilled,
    Network(Fault),
    /// The database cannot be reached, and then the process is killed.
    OutageAndKilled,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
struct Scene {
    mode: Mode,
    has_spool: bool,
    blow: Blow,
}

fn cells() -> impl Iterator<Item = Scene> {
    let blows = [
        Blow::ProcessKilled,
        Blow::DatabaseKilled,
        Blow::Network(Fault::Cut),
        Blow::Network(Fault::BlackHole),
        Blow::Network(Fault::CutAnswer),
        Blow::OutageAndKilled,
    ];
    let modes = [Mode::Background, Mode::Durable, Mode::Strict];
    modes.into_iter().flat_map(move |mode| {
        [false, true].into_iter().flat_map(move |has_spool| {
            let scene = move |blow| Scene {
                mode,
                has_spool,
                blow,
            };
            blows.map(scene)
        })
    })
}

impl Scene {
    /// Returns whether every answered request must have its row, but for those that were counted as
    /// dropped or unconfirmed.
    fn is_promised(self) -> bool {
        match (self.blow, self.mode) {
            // What is queued goes with the process.
            (Blow::ProcessKilled | Blow::OutageAndKilled, Mode::Background) => false,
            // Those that are answered after the confirmation has timed out go with it too.
            (Blow::OutageAndKilled, Mode::Durable) => self.has_spool,
            _ => true,
        }
    }
}

#[derive(Debug)]
struct Cell {
    scene: Scene,
    rounds: usize,
    answered: usize,
    refused: u64,
    rows: usize,
    duplicates: usize,
    lost: u64,
    /// Lost, and counted as dropped or unconfirmed.
    counted: u64,
}

impl Cell {
    fn new(scene: Scene) -> Self {
        Self {
            scene,
            rounds: 0,
            answered: 0,
            refused: 0,
            rows: 0,
            duplicates: 0,
            lost: 0,
            counted: 0,
        }
    }

    fn is_broken(&self) -> bool {
        self.duplicates > 0 || (self.scene.is_promised() && self.lost > self.counted)
    }
}

struct Chaos {
    cluster: Cluster,
    proxy: Proxy,
    folder: tempfile::TempDir,
    round: usize,
}

impl Chaos {
    async fn start() -> anyhow::Result<Self> {
        let cluster = Cluster::start(Commits::Survive)?;
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, cluster.port()));
        Ok(Self {
            cluster,
            proxy: Proxy::start(server).await?,
            folder: tempfile::tempdir()?,
            round: 0,
        })
    }

    async fn round(&mut self, cell: &mut Cell) -> anyhow::Result<()> {
        self.round += 1;
        let scene = cell.scene;
        let (pool, plan) = self.prepare(scene).await?;
        let mut victim = plan.start().await?;
        let mut load = Load::default();
        load.clients(victim.address(), 8);
        wait(|| load.answered() >= 50 + random(150)).await?;
        let counted = self.strike(scene, &plan, &mut victim, &mut load).await?;
        let refused = load.refused();
        let answered = load.end().await;
        settle(scene, &pool, &victim, &answered).await?;
        let stats = victim.stats().await?;
        victim.stop().await?;
        let rows = rows(&pool).await?;
        let found: BTreeSet<u64> = rows.iter().copied().collect();
        let wanted: BTreeSet<u64> = match scene.mode {
            Mode::Strict => answered.union(&plan.started()?).copied().collect(),
            _ => answered,
        };
        cell.rounds += 1;
        cell.answered += wanted.len();
        cell.refused += refused;
        cell.rows += rows.len();
        cell.duplicates += rows.len() - found.len();
        cell.lost += u64::try_from(wanted.difference(&found).count())?;
        cell.counted += counted + stats.dropped;
        pool.close().await;
        Ok(())
    }

    async fn prepare(&self, scene: Scene) -> anyhow::Result<(PgPool, Plan)> {
        let name = format!("round_{}", self.round);
        let admin = PgPool::connect(&self.cluster.url()).await?;
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&admin).await?;
        admin.close().await;
        let url = |port: u16| {
            let own = self
                .cluster
                .url()
                .replace(&self.cluster.port().to_string(), &port.to_string());
            own.replace("/postgres", &format!("/{name}"))
        };
        let pool = PgPoolOptions::new().max_connections(2);
        let pool = pool.connect_lazy(&url(self.cluster.port()))?;
        tower_audit::migrate(&pool).await?;
        let folder = self.folder.path().join(&name);
        std::fs::create_dir(&folder)?;
        let plan = Plan {
            program: victim_program()?,
            database: url(self.proxy.address().port()),
            mode: scene.mode,
            spool: scene.has_spool.then(|| folder.join("spool")),
            started: folder.join("started"),
            before: None,
        };
        Ok((pool, plan))
    }

    /// Inflicts the blow and heals it; returns how many answered requests were counted as unconfirmed.
    async fn strike(
        &mut self,
        scene: Scene,
        plan: &Plan,
        victim: &mut Victim,
        load: &mut Load,
    ) -> anyhow::Result<u64> {
        match scene.blow {
            Blow::ProcessKilled => {
                restart(plan, victim, load).await?;
                Ok(0)
            }
            Blow::DatabaseKilled => {
                self.cluster.kill()?;
                felt(victim, load).await?;
                self.cluster.start_again()?;
                Ok(0)
            }
            Blow::Network(fault) => {
                let before = self.proxy.struck();
                self.proxy.set(fault);
                wait(|| self.proxy.struck() > before).await?;
                felt(victim, load).await?;
                self.proxy.set(Fault::None);
                Ok(0)
            }
            Blow::OutageAndKilled => {
                self.proxy.set(Fault::Cut);
                felt(victim, load).await?;
                let unconfirmed = victim.stats().await?.unconfirmed;
                victim.kill().await?;
                load.lost().await;
                self.proxy.set(Fault::None);
                *victim = plan.start().await?;
                load.clients(victim.address(), 8);
                Ok(unconfirmed)
            }
        }
    }
}

async fn restart(plan: &Plan, victim: &mut Victim, load: &mut Load) -> anyhow::Result<()> {
    for _ in 0..5 {
        victim.kill().await?;
        load.lost().await;
        *victim = plan.start().await?;
        let enough = load.answered() + random(100);
        load.clients(victim.address(), 8);
        wait(|| load.answered() >= enough).await?;
    }
    Ok(())
}

/// Waits until the service has felt the blow: requests were answered or refused in spite of it, or it
/// has noticed and nobody is answered any more.
async fn felt(victim: &Victim, load: &Load) -> anyhow::Result<()> {
    let (answered, refused) = (load.answered(), load.refused());
    let started = Instant::now();
    while load.answered() < answered + 100 && load.refused() < refused + 20 {
        // A durable request that nobody can confirm takes a while.
        if started.elapsed() > Duration::from_secs(6) && victim.stats().await.is_ok() {
            break;
        }
        pause().await;
    }
    Ok(())
}

/// Waits until everything that was kept is in the table.
async fn settle(
    scene: Scene,
    pool: &PgPool,
    victim: &Victim,
    answered: &BTreeSet<u64>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let VictimStats {
            queued, spooled, ..
        } = victim.stats().await?;
        let found: BTreeSet<u64> = rows(pool).await?.into_iter().collect();
        let is_whole = !scene.is_promised() || answered.is_subset(&found);
        if queued + spooled == 0 && (is_whole || started.elapsed() > Duration::from_secs(10)) {
            return Ok(());
        }
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "{queued} queued and {spooled} spooled events do not arrive"
        );
        pause().await;
    }
}

async fn rows(pool: &PgPool) -> anyhow::Result<Vec<u64>> {
    let rows = "SELECT target_id FROM control_plane.audit_logs WHERE target_type = 'thing'
                AND status IS DISTINCT FROM 503";
    let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(pool).await?;
    rows.into_iter().map(|id| Ok(id.parse()?)).collect()
}

async fn wait(condition: impl Fn() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > Duration::from_secs(60) {
            bail!("the service stands still");
        }
        pause().await;
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is no test: it may take its time"
)]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn random(below: u64) -> usize {
    usize::try_from(RandomState::new().hash_one(0_u8) % below).unwrap_or(0)
}

/// The victim is built beside this program.
fn victim_program() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let program = here.parent().unwrap_or(Path::new(".")).join("victim");
    ensure!(
        program.exists(),
        "{} is not built: use `cargo xtask chaos`",
        program.display()
    );
    Ok(program)
}

const HEAD: &str = "\
mode                fault                 rounds answered  refused     rows  dupl.   lost  counted  promised
------------------  --------------------  ------ --------  -------  -------  -----  -----  -------  --------";

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scene,
            rounds,
            answered,
            refused,
            rows,
            duplicates,
            lost,
            counted,
        } = self;
        let promised = match (scene.is_promised(), self.is_broken()) {
            (_, true) => "BROKEN",
            (true, false) => "kept",
            (false, false) => "none",
        };
        write!(
            f,
            "{scene}  {rounds:>6} {answered:>8}  {refused:>7}  {rows:>7}  {duplicates:>5}  {lost:>5}  \
             {counted:>7}  {promised}"
        )
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spool = if self.has_spool { " + spool" } else { "" };
        let mode = format!("{:?}{spool}", self.mode);
        let blow = match self.blow {
            Blow::ProcessKilled => "process killed, 5x",
            Blow::DatabaseKilled => "database killed",
            Blow::Network(Fault::Cut) => "connections cut",
            Blow::Network(Fault::BlackHole) => "network swallows",
            Blow::Network(_) => "answers lost",
            Blow::OutageAndKilled => "outage, then killed",
        };
        write!(f, "{mode:<18}  {blow:<20}")
    }
}
