//! Appends to the file.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use chrono::{SecondsFormat, Utc};

use crate::private;

/// The file that takes the events which the store refused. See the [module page](crate::dead_letters).
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    max_bytes: u64,
}

impl DeadLetters {
    /// Returns the file of this path, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened for writing.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let letters = Self {
            path: path.into(),
            max_bytes: MAX_BYTES,
        };
        letters.file()?;
        Ok(letters)
    }

    /// Returns the file of this path, which is made when the first letter comes.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: MAX_BYTES,
        }
    }

    /// Sets how many bytes the file may take. Defaults to 64 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record that is JSON on one line, and syncs it. Blocks.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is full or cannot be written to.
    pub fn append(&self, reason: &str, json: &[u8]) -> io::Result<()> {
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let reason = serde_json::to_string(reason)?;
        let mut line = format!(r#"{{"at":"{at}","reason":{reason},"event":"#).into_bytes();
        line.extend_from_slice(json);
        line.extend_from_slice(b"}\n");
        let mut file = self.locked()?;
        let length = file.seek(SeekFrom::End(0))?;
        if length.saturating_add(line.len() as u64) > self.max_bytes {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        if length > 0 && last_byte(&mut file)? != b'\n' {
            // Somebody was cut off in the middle of a line.
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_data()
    }

    /// Opens the file and locks it, until it is dropped.
    pub(super) fn locked(&self) -> io::Result<File> {
        loop {
            let file = self.file()?;
            file.lock()?;
            // Whoever held the lock before may have put another file in its place: what is written to this one is
            // nowhere.
            if is_at(&file, &self.path)? {
                return Ok(file);
            }
        }
    }

    fn file(&self) -> io::Result<File> {
        private::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&self.path)
    }
}

/// Returns whether this is still the file of that path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let there = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let ours = file.metadata()?;
    Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
}

/// Elsewhere nobody puts another file in its place: see [`remove`](fn@super::remove).
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

const MAX_BYTES: u64 = 64 << 20;

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_owner_may_read_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path().join("dead.jsonl")).unwrap();
        let permissions = std::fs::metadata(letters.path()).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
    }
}
