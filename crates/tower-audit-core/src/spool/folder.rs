//! The folder: opened once, shared by processes.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::files::Files;
use crate::private;

/// A folder for records whose store is away; see the [module page](crate::spool).
pub struct Spool {
    pub(crate) files: Files,
    root: PathBuf,
}

impl Spool {
    /// Opens a spool in this folder, which is made if it is missing. See [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be made, written to or locked.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, SpoolError> {
        Self::builder(folder).open()
    }

    /// Returns a builder.
    pub fn builder(folder: impl Into<PathBuf>) -> SpoolBuilder {
        SpoolBuilder {
            folder: folder.into(),
            max_bytes: MAX_BYTES,
            segment_bytes: SEGMENT_BYTES,
        }
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of this process in it, which [`inspect`](fn@super::inspect) lists with the others.
    #[must_use]
    pub fn process_folder(&self) -> &Path {
        self.files.own()
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("folder", &self.root)
            .finish_non_exhaustive()
    }
}

/// Configures a [`Spool`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct SpoolBuilder {
    folder: PathBuf,
    max_bytes: u64,
    segment_bytes: u64,
}

impl SpoolBuilder {
    /// Sets how many bytes the spool of this process may take on disk. Defaults to 1 GiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets after how many bytes a segment is sealed and another one begun. Defaults to 8 MiB. A
    /// segment is read into memory as a whole.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Opens the spool: makes the folder, and a folder of this process in it, which it locks. What
    /// other processes left behind is read later, by the auditor.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be made, written to or locked.
    pub fn open(self) -> Result<Spool, SpoolError> {
        let failed = |source| SpoolError {
            folder: self.folder.clone(),
            source,
        };
        let (own, lock) = make_own(&self.folder).map_err(failed)?;
        let files = Files::new(&self.folder, own, lock, self.max_bytes, self.segment_bytes);
        Ok(Spool {
            files,
            root: self.folder,
        })
    }
}

/// The folder cannot be used as a spool.
#[derive(Debug, thiserror::Error)]
#[error(
    "the folder {} cannot be used as a spool: it must be on a local disk, and this user must be able to \
     write to it", folder.display()
)]
pub struct SpoolError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

/// Makes and locks the folder of this process. It gets its name only once it is locked, so that nobody
/// takes it for one that was left behind.
pub(super) fn make_own(root: &Path) -> io::Result<(PathBuf, File)> {
    if !root.exists() {
        private::create_folders(root)?;
    }
    let name = Uuid::now_v7().to_string();
    let (new, own) = (root.join(format!(".new-{name}")), root.join(name));
    private::create_folder(&new)?;
    let lock = private::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(new.join(LOCK))?;
    lock.try_lock().map_err(io::Error::from)?;
    fs::rename(&new, &own)?;
    private::sync_folder(root)?;
    Ok((own, lock))
}

/// Returns whether the name is that of the folder of a process.
pub(super) fn has_name_of_process(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| Uuid::parse_str(name).is_ok())
}

/// Locks the folder of a process that has ended; `None` if it lives, or if the folder is none.
pub(super) fn lock_orphan(folder: &Path) -> io::Result<Option<File>> {
    if !has_name_of_process(folder) {
        return Ok(None);
    }
    // Not created: what has no lock file is being removed by somebody else.
    let lock = match File::options().write(true).open(folder.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

pub(super) const LOCK: &str = "lock";
const MAX_BYTES: u64 = 1 << 30;
const SEGMENT_BYTES: u64 = 8 << 20;
