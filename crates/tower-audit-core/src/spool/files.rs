//! The files of one process: everything here blocks.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{
    folder::{LOCK, lock_orphan, make_own},
    segment::{header, read_segment},
};
use crate::private::{self, sync_folder};

/// The files of one process.
pub(crate) struct Files {
    root: PathBuf,
    own: PathBuf,
    /// Unlocked when this is dropped, or when the process ends.
    lock: File,
    max_bytes: u64,
    segment_bytes: u64,
    open: Option<Open>,
    /// Oldest first.
    sealed: VecDeque<Sealed>,
    /// What all files of this process take, those that are being read included.
    bytes: u64,
    /// Brings to the disk what was written: a test stands in for the disk.
    pub(crate) sync: SyncFile,
    /// How long the thread that wrote takes until it says so.
    #[cfg(test)]
    pub(crate) lag: std::time::Duration,
}

/// Brings to the disk what was written to a file.
pub(crate) type SyncFile = Box<dyn Fn(&File) -> io::Result<()> + Send>;

/// The segment that is being written.
struct Open {
    file: File,
    path: PathBuf,
    /// What was confirmed by a sync.
    records: u64,
    bytes: u64,
}

/// A segment that nobody writes to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    path: PathBuf,
    /// How many records were counted into it.
    pub(crate) records: u64,
    bytes: u64,
}

/// What was taken over from processes that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Adopted {
    pub(crate) records: u64,
    pub(crate) damaged: u64,
}

/// The spool has no room: by its own limit, or on its disk.
#[derive(Debug, thiserror::Error)]
#[error("the spool is full: it holds {bytes} bytes of {max_bytes}")]
struct SpoolFull {
    bytes: u64,
    max_bytes: u64,
}

impl Files {
    pub(super) fn new(
        root: &Path,
        own: PathBuf,
        lock: File,
        max_bytes: u64,
        segment_bytes: u64,
    ) -> Self {
        Self {
            root: root.to_owned(),
            own,
            lock,
            max_bytes,
            segment_bytes,
            open: None,
            sealed: VecDeque::new(),
            bytes: 0,
            sync: Box::new(File::sync_data),
            #[cfg(test)]
            lag: std::time::Duration::ZERO,
        }
    }

    /// Writes these encoded records and syncs them. After an error none of them is in the spool.
    pub(crate) fn append(&mut self, encoded: &[u8], records: u64) -> io::Result<()> {
        let more = count(encoded.len());
        if self.bytes.saturating_add(more) > self.max_bytes {
            let full = SpoolFull {
                bytes: self.bytes,
                max_bytes: self.max_bytes,
            };
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, full));
        }
        let is_due =
            |open: &Open| open.bytes > 0 && open.bytes.saturating_add(more) > self.segment_bytes;
        // What is written to a file that somebody has deleted is nowhere.
        let is_gone = |open: &Open| !open.path.exists();
        if self
            .open
            .as_ref()
            .is_some_and(|open| is_due(open) || is_gone(open))
        {
            self.seal();
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        let before = open.bytes;
        let result = open.append(encoded, records, &self.sync);
        self.bytes += open.bytes - before;
        self.open = Some(open);
        if result.is_err() {
            // What became of the bytes nobody knows: nothing more is written behind them.
            self.seal();
        }
        result
    }

    /// Begins a segment; makes the folder again if somebody has deleted it.
    fn create(&mut self) -> io::Result<Open> {
        match Open::create(&self.own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (self.own, self.lock) = make_own(&self.root)?;
                Open::create(&self.own)
            }
            result => result,
        }
    }

    /// Ends the segment that is being written, so that it can be read.
    fn seal(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.records == 0 {
            self.bytes -= open.bytes;
            let _ = fs::remove_file(&open.path);
            return;
        }
        let sealed = open.path.with_extension(SEALED);
        // If it keeps its name it is read all the same: the name only matters after a crash.
        let path = match fs::rename(&open.path, &sealed) {
            Ok(()) => sealed,
            Err(_) => open.path,
        };
        self.sealed.push_back(Sealed {
            path,
            records: open.records,
            bytes: open.bytes,
        });
    }

    /// Returns the oldest segment and forgets it: whoever takes it calls [`finish`](Self::finish).
    pub(crate) fn take_oldest(&mut self) -> Option<Sealed> {
        if self.sealed.is_empty() {
            self.seal();
        }
        self.sealed.pop_front()
    }

    /// Deletes a segment that was read, or keeps it in quarantine if it was damaged.
    pub(crate) fn finish(&mut self, segment: &Sealed, is_damaged: bool) -> io::Result<()> {
        if is_damaged {
            self.quarantine(&segment.path)?;
        } else {
            ignore_missing(fs::remove_file(&segment.path))?;
        }
        self.bytes = self.bytes.saturating_sub(segment.bytes);
        Ok(())
    }

    fn quarantine(&self, path: &Path) -> io::Result<()> {
        let folder = self.root.join(QUARANTINE);
        if !folder.exists() {
            ignore_existing(private::create_folder(&folder))?;
        }
        let name = path.with_extension(SEALED);
        ignore_missing(fs::rename(
            path,
            folder.join(name.file_name().unwrap_or_default()),
        ))
    }

    /// Takes over the segments of processes that have ended. What cannot be taken over is left for
    /// the next time; the last error says why.
    pub(crate) fn adopt(&mut self) -> (Adopted, io::Result<()>) {
        let mut adopted = Adopted::default();
        let mut result = self.try_adopt(&mut adopted);
        if adopted != Adopted::default() {
            result = result.and(sync_folder(&self.own));
            let by_age = |a: &Sealed, b: &Sealed| a.path.file_name().cmp(&b.path.file_name());
            self.sealed.make_contiguous().sort_by(by_age);
        }
        (adopted, result)
    }

    fn try_adopt(&mut self, adopted: &mut Adopted) -> io::Result<()> {
        let mut result = Ok(());
        for entry in fs::read_dir(&self.root)? {
            let folder = entry?.path();
            if folder == self.own {
                continue;
            }
            match lock_orphan(&folder) {
                // The lock is held until the folder is empty.
                Ok(Some(_lock)) => result = result.and(self.adopt_folder(&folder, adopted)),
                Ok(None) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    fn adopt_folder(&mut self, folder: &Path, adopted: &mut Adopted) -> io::Result<()> {
        let (mut is_empty, mut result) = (true, Ok(()));
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !is_segment(&path) {
                continue;
            }
            match self.adopt_segment(&path, adopted) {
                Ok(is_gone) => is_empty &= is_gone,
                // The others are good all the same.
                Err(error) => (is_empty, result) = (false, Err(error)),
            }
        }
        if is_empty {
            // Best effort: an empty folder that stays behind is looked at again.
            let _ = fs::remove_file(folder.join(LOCK)).and_then(|()| fs::remove_dir(folder));
        }
        result
    }

    /// Takes over one segment; returns `false` if it must be left where it is.
    fn adopt_segment(&mut self, path: &Path, adopted: &mut Adopted) -> io::Result<bool> {
        let content = fs::read(path)?;
        let Ok(read) = read_segment(&content) else {
            return Ok(false);
        };
        let records = count(read.records.len());
        if records == 0 {
            if read.damaged > 0 {
                self.quarantine(path)?;
            } else {
                ignore_missing(fs::remove_file(path))?;
            }
            adopted.damaged += read.damaged;
            return Ok(true);
        }
        if read.end < content.len() {
            let file = File::options().write(true).open(path)?;
            file.set_len(count(read.end))?;
            file.sync_all()?;
        }
        let name = path.with_extension(SEALED);
        let new = self.own.join(name.file_name().unwrap_or_default());
        fs::rename(path, &new)?;
        adopted.records += records;
        adopted.damaged += read.damaged;
        let bytes = count(read.end);
        self.bytes += bytes;
        self.sealed.push_back(Sealed {
            path: new,
            records,
            bytes,
        });
        Ok(true)
    }

    /// Returns how many bytes the files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the folder of this process.
    pub(super) fn own(&self) -> &Path {
        &self.own
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.seal();
        if self.bytes == 0 {
            // Nothing is left behind. Best effort: an empty folder is harmless.
            let _ = fs::remove_file(self.own.join(LOCK)).and_then(|()| fs::remove_dir(&self.own));
        }
    }
}

impl Open {
    fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(Uuid::now_v7().to_string()).with_extension(OPEN);
        let file = private::options()
            .append(true)
            .create_new(true)
            .open(&path)?;
        let open = Self {
            file,
            path,
            records: 0,
            bytes: 0,
        };
        match sync_folder(folder) {
            Ok(()) => Ok(open),
            Err(error) => {
                let _ = fs::remove_file(&open.path);
                Err(error)
            }
        }
    }

    fn append(&mut self, encoded: &[u8], records: u64, sync: &SyncFile) -> io::Result<()> {
        let before = self.bytes;
        let with_header = if before == 0 {
            [&header(), encoded].concat()
        } else {
            Vec::new()
        };
        let bytes = if before == 0 { &with_header } else { encoded };
        let written = self.file.write_all(bytes).and_then(|()| sync(&self.file));
        if let Err(error) = written {
            // Best effort: what stays behind the last confirmed byte is never read.
            let _ = self
                .file
                .set_len(before)
                .and_then(|()| self.file.sync_data());
            return Err(error);
        }
        self.bytes += count(bytes.len());
        self.records += records;
        Ok(())
    }
}

impl Sealed {
    /// Reads what was confirmed.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut content = fs::read(&self.path)?;
        content.truncate(usize::try_from(self.bytes).unwrap_or(usize::MAX));
        Ok(content)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Returns whether the name is that of a segment, sealed or not.
pub(super) fn is_segment(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some(SEALED | OPEN))
}

/// Whoever deleted the file did what we were about to do.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whoever made the folder did what we were about to do.
fn ignore_existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

const OPEN: &str = "open";
const SEALED: &str = "seg";
pub(super) const QUARANTINE: &str = "quarantine";
