//! The race: starts everybody, inflicts faults on them, and gathers what was seen.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use xtask::postgres::{Cluster, Commits};

use super::{
    ALLOWANCE, LEASE,
    contender::{Contender, Kind, Outcomes, Plan},
    pause,
    random::Random,
    report::Report,
    seen::{Fault, FaultKind, Seen, Span},
    trail::Trail,
    watcher::watch_lease,
};

/// Lets them race for so long, on a database of their own. The seed says whom to kill when.
///
/// # Errors
///
/// Returns an error if the race could not be held. What it showed is in the report.
pub async fn race(time: Duration, seed: u64) -> anyhow::Result<Report> {
    let cluster = Cluster::start(Commits::Survive)?;
    let folder = tempfile::tempdir().context("could not make a folder")?;
    let plan = Plan::new(cluster.url(), folder.path())?;
    let trail = Trail::make(&cluster.url()).await?;
    let fed = trail.fill().await?;
    let (stop, stopped) = watch::channel(false);
    let from = Utc::now();
    let feeder = tokio::spawn(trail.clone().feed(fed, stopped.clone()));
    let watcher = tokio::spawn(watch_lease(trail.pool().clone(), stopped));
    let mut race = Race::new(trail.clone(), plan, Random::new(seed));
    race.run(time).await?;
    // What is seen after this is not counted: nobody can take over any more.
    let until = Utc::now();
    stop.send_replace(true);
    let (samples, fed) = (watcher.await??, feeder.await??);
    let (outcomes, faults) = race.end().await?;
    trail.until_alone().await?;
    let seen = Seen {
        race: Span { from, until },
        takes: trail.takes().await?,
        deletions: trail.deletions().await?,
        samples,
        faults,
    };
    let left = trail.counts().await?;
    Ok(Report::new(seed, outcomes, &seen, fed, left))
}

/// Who races, and what was done to them.
struct Race {
    trail: Trail,
    plan: Plan,
    random: Random,
    contenders: [Contender; 3],
    faults: Vec<Fault>,
    asleep: Option<Asleep>,
}

/// One that is stopped: never more than one, so that there are always some who could take over.
struct Asleep {
    contender: usize,
    at: DateTime<Utc>,
    until: Instant,
}

impl Race {
    fn new(trail: Trail, plan: Plan, random: Random) -> Self {
        Self {
            trail,
            plan,
            random,
            contenders: [
                Contender::new("replica-1", Kind::Replica),
                Contender::new("replica-2", Kind::Replica),
                Contender::new("command", Kind::Command),
            ],
            faults: Vec::new(),
            asleep: None,
        }
    }

    /// Races for so long, and a little longer if somebody has not had a turn.
    async fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        let mut strike_at = Instant::now() + self.random.millis(300, 1_500);
        while Instant::now() < end || (Instant::now() < end + PATIENCE && self.is_missing().await?)
        {
            for contender in &mut self.contenders {
                contender.tend(&self.plan)?;
            }
            let asleep = self.asleep.as_ref();
            if asleep.is_some_and(|asleep| Instant::now() >= asleep.until) {
                self.wake().await?;
            }
            if Instant::now() >= strike_at {
                self.strike().await?;
                strike_at = Instant::now() + self.random.millis(300, 1_500);
            }
            pause(Duration::from_millis(10)).await;
        }
        self.wake().await
    }

    /// Returns whether somebody has never had the lease.
    async fn is_missing(&self) -> anyhow::Result<bool> {
        let had_it = usize::try_from(self.trail.contenders().await?)?;
        Ok(had_it < self.contenders.len())
    }

    /// Kills or stops somebody. Those who have the lease are struck more often: it is about them.
    async fn strike(&mut self) -> anyhow::Result<()> {
        let stops = self.random.quarters(2) && self.asleep.is_none();
        let wants_holder = self.random.quarters(if stops { 4 } else { 2 });
        let Some(chosen) = self.choose(wants_holder).await? else {
            return Ok(());
        };
        let contender = &mut self.contenders[chosen];
        if stops {
            contender.stop()?;
            self.asleep = Some(Asleep {
                contender: chosen,
                at: Utc::now(),
                until: Instant::now() + LEASE + ALLOWANCE + self.random.millis(100, 1_500),
            });
            return Ok(());
        }
        contender.kill(self.random.millis(50, 300)).await?;
        self.faults.push(Fault {
            at: Utc::now(),
            child: contender.child_name(),
            kind: FaultKind::Killed,
        });
        Ok(())
    }

    /// Chooses one whose process is there: who has the lease, if that is wanted and there is one.
    async fn choose(&mut self, wants_holder: bool) -> anyhow::Result<Option<usize>> {
        let holder = self.trail.last_to_take().await?;
        let running: Vec<usize> = (0..self.contenders.len())
            .filter(|&index| self.contenders[index].is_running())
            .collect();
        let mut holders = running
            .iter()
            .filter(|&&index| holder == Some(self.contenders[index].child_name()));
        if let Some(&index) = holders.next().filter(|_| wants_holder) {
            return Ok(Some(index));
        }
        Ok(self.random.one_of(&running))
    }

    /// Lets the one go on that is stopped.
    async fn wake(&mut self) -> anyhow::Result<()> {
        let Some(asleep) = self.asleep.take() else {
            return Ok(());
        };
        let held_others_up = self.trail.is_held_up().await?;
        let contender = &mut self.contenders[asleep.contender];
        contender.wake()?;
        let until = Utc::now();
        self.faults.push(Fault {
            at: asleep.at,
            child: contender.child_name(),
            kind: FaultKind::Stopped {
                until,
                held_others_up,
            },
        });
        Ok(())
    }

    /// Kills everybody; returns what they have said, and what was done to them.
    async fn end(self) -> anyhow::Result<(Vec<Outcomes>, Vec<Fault>)> {
        let mut outcomes = Vec::new();
        for contender in self.contenders {
            outcomes.push(contender.end().await?);
        }
        Ok((outcomes, self.faults))
    }
}

/// For how much longer somebody may wait for a turn.
const PATIENCE: Duration = Duration::from_secs(30);
