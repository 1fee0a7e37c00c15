//! What waits in a spool, written to the database.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tower_audit_core::{
    Auditor, EventWriter as _, Stats,
    spool::{self, ProcessFolder, ProcessState, read_segment},
};

use super::{look, pile::Pile};
use crate::{Done, connect, output::Output, settings::Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The folder that the service was given as its spool. Run this as the user of the service: what is made there
    /// belongs to whoever runs it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// For how long at most
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

/// What became of what waited.
#[derive(Default)]
struct Brought {
    stats: Stats,
    /// Why it did not all come to an end in time.
    trouble: Option<String>,
    /// Where the rest of it is.
    own: Option<PathBuf>,
}

/// Writes what ended processes left, as a service with this spool would.
pub(super) async fn run(
    settings: anyhow::Result<Settings>,
    args: &Replay,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let wanted = wanted(&args.folder)?;
    let brought = if wanted.is_empty() {
        Brought::default()
    } else {
        bring(&settings?, args, &wanted).await?
    };
    let (left, living) = left(&args.folder, brought.own.as_deref())?;
    if output.is_json {
        output.json(&json!({
            "written": brought.stats.written,
            "dead_lettered": brought.stats.dead_lettered,
            "dropped": brought.stats.dropped.total(),
            "left": left.events,
            "left_of_later_version": left.unknown,
            "of_living_processes": living.events,
            "trouble": brought.trouble,
        }))?;
    } else {
        print(&args.folder, &brought, &left, &living, output)?;
    }
    Ok(if left.is_empty() {
        Done::Well
    } else {
        Done::FoundSomething
    })
}

/// Returns the segments that wait and can be taken over.
fn wanted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let processes = look(folder)?.processes.into_iter();
    let ended = processes.filter(|process| process.state == ProcessState::Ended);
    let segments = ended.flat_map(|process| process.segments);
    // A segment of a later version stays where it is.
    let can_be_read =
        |path: &PathBuf| fs::read(path).is_ok_and(|content| read_segment(&content).is_ok());
    Ok(segments.filter(can_be_read).collect())
}

/// Brings these segments to the database, and others that are left meanwhile.
async fn bring(settings: &Settings, args: &Replay, wanted: &[PathBuf]) -> anyhow::Result<Brought> {
    let store = connect::store(settings).await?;
    store
        .check()
        .await
        .context("the database cannot take events, so the spool was left alone")?;
    let spool = spool::Spool::open(&args.folder)?;
    let own = spool.process_folder().to_owned();
    let auditor = Auditor::builder().spool(spool).start(store);
    let limit = Duration::from_secs(args.timeout);
    let trouble = match timeout(limit, drained(wanted, &own)).await {
        Ok(()) => None,
        Err(_) => Some(auditor.health().await.to_string()),
    };
    let report = auditor.shutdown(SHUTDOWN).await;
    Ok(Brought {
        stats: report.stats,
        trouble,
        own: Some(own),
    })
}

/// Waits until all that was wanted has left the spool. It moves to the folder of this process first, so that is looked
/// at last: nothing is missed on its way.
async fn drained(wanted: &[PathBuf], own: &Path) {
    let is_empty = |folder: &Path| spool::segments(folder).is_ok_and(|left| left.is_empty());
    while wanted.iter().any(|path| path.exists()) || !is_empty(own) {
        sleep(POLL).await;
    }
}

/// Returns what is left, and what living processes have there, which they write themselves.
fn left(folder: &Path, own: Option<&Path>) -> anyhow::Result<(Pile, Pile)> {
    let processes = look(folder)?.processes;
    // This process may not have let go of its folder yet.
    let is_of_others = |process: &&ProcessFolder| {
        process.state == ProcessState::Living && own != Some(process.path.as_path())
    };
    let (living, left): (Vec<_>, Vec<_>) = processes.iter().partition(is_of_others);
    let pile = |folders: Vec<&ProcessFolder>| {
        Pile::of(folders.into_iter().flat_map(|folder| &folder.segments))
    };
    Ok((pile(left)?, pile(living)?))
}

fn print(
    folder: &Path,
    brought: &Brought,
    left: &Pile,
    living: &Pile,
    output: &mut Output,
) -> anyhow::Result<()> {
    let (stats, folder) = (brought.stats, folder.display());
    output.line(format!(
        "{} events written, {} dead-lettered, {} left",
        stats.written, stats.dead_lettered, left.events
    ))?;
    if living.events > 0 {
        output.line(format!(
            "{} more are of processes that live and write them themselves",
            living.events
        ))?;
    }
    if stats.dead_lettered > 0 {
        output.line(format!(
            "`tower-audit spool dead-letters {folder}` says why they were refused"
        ))?;
    }
    if !left.is_empty() {
        output.line(format!(
            "`tower-audit spool inspect {folder}` says what is left"
        ))?;
    }
    print_trouble(brought, output)
}

fn print_trouble(brought: &Brought, output: &mut Output) -> anyhow::Result<()> {
    let dropped = brought.stats.dropped;
    if dropped.total() > 0 {
        output.line(format!(
            "lost: {dropped}; the files of what was damaged are in quarantine"
        ))?;
    }
    if let Some(trouble) = &brought.trouble {
        output.line(format!(
            "the time was over before the end ({trouble}): run it again, it goes on from there"
        ))?;
    }
    Ok(())
}

/// How often somebody looks whether it is done.
const POLL: Duration = Duration::from_millis(50);

/// Nothing is in memory by then.
const SHUTDOWN: Duration = Duration::from_secs(10);
