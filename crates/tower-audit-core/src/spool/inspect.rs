//! Looks at a spool from outside, without taking anything.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{
    files::{QUARANTINE, is_segment},
    folder::{LOCK, has_name_of_process},
};

/// What lies in the folder of a spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The folders of processes, the oldest first.
    pub processes: Vec<ProcessFolder>,
    /// The segments in quarantine, the oldest first.
    pub quarantine: Vec<PathBuf>,
    /// The file of [dead letters](crate::dead_letters), if there is one.
    pub dead_letters: Option<PathBuf>,
}

/// The folder of a process in a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Whether its process lives.
    pub state: ProcessState,
    /// Its segments, the oldest first. [`read_segment`](super::read_segment) reads one.
    pub segments: Vec<PathBuf>,
}

/// Whether the process of a folder lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessState {
    /// It lives, or another one is taking the folder over.
    Living,
    /// It has ended. The next process that looks takes the folder over.
    Ended,
    /// The folder has no lock, so nobody takes it over: somebody deleted the file `lock`.
    NoLock,
}

impl ProcessState {
    /// Returns the state as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Living => "living",
            Self::Ended => "ended",
            Self::NoLock => "no_lock",
        }
    }
}

/// Lists what lies in the folder of a spool. Reads no segment, changes nothing and makes nobody wait.
///
/// What processes do meanwhile may be seen or not. Whoever takes over what an ended process left, and comes at the
/// very moment of this look, may have to come again, which it does within a minute.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tower_audit_core::spool::{self, ProcessState, Spool};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let spool = Spool::open(folder)?;
/// let processes = spool::inspect(folder)?.processes;
/// assert_eq!(processes[0].path, spool.process_folder());
/// assert_eq!(processes[0].state, ProcessState::Living);
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// Returns an error if the folder is not there, or if what is in it cannot be looked at: it is for its owner alone.
pub fn inspect(folder: impl AsRef<Path>) -> io::Result<Inspection> {
    let root = folder.as_ref();
    let mut processes = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if has_name_of_process(&path) && path.is_dir() {
            processes.extend(process(path)?);
        }
    }
    processes.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
    let letters = root.join(DEAD_LETTERS);
    Ok(Inspection {
        processes,
        quarantine: segments(root.join(QUARANTINE))?,
        dead_letters: letters.try_exists()?.then_some(letters),
    })
}

/// Lists the segments in the folder of a process, or in the quarantine, the oldest first. A folder that is not there
/// has none.
///
/// # Errors
///
/// Returns an error if the folder cannot be read.
pub fn segments(folder: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if is_segment(&path) {
            segments.push(path);
        }
    }
    segments.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(segments)
}

/// Looks at the folder of a process; `None` if it is just being removed.
fn process(path: PathBuf) -> io::Result<Option<ProcessFolder>> {
    let state = state(&path)?;
    let segments = segments(&path)?;
    let is_going = state == ProcessState::NoLock && segments.is_empty();
    Ok((!is_going).then_some(ProcessFolder {
        path,
        state,
        segments,
    }))
}

fn state(folder: &Path) -> io::Result<ProcessState> {
    let lock = match File::open(folder.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ProcessState::NoLock),
        Err(error) => return Err(error),
    };
    // Shared, so that two who look do not take each other for a living process. It is let go with the file, here.
    match lock.try_lock_shared() {
        Ok(()) => Ok(ProcessState::Ended),
        Err(TryLockError::WouldBlock) => Ok(ProcessState::Living),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// As the auditor names it.
const DEAD_LETTERS: &str = "dead-letters.jsonl";
