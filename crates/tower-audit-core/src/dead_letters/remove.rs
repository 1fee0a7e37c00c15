//! Takes letters out of the file that are done with.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use super::{DeadLetter, DeadLetters, read::MAX_LINE};
use crate::private;

/// Takes those letters out of the file of which `is_done` says so, and returns how many. What is no letter stays.
///
/// The file is written anew beside the old one, synced, and put in its place, so that a crash leaves one of both
/// whole. Others may append meanwhile: they wait for the end of it. Blocks.
///
/// ```
/// use tower_audit_core::dead_letters::{self, DeadLetters};
///
/// # use tower_audit_core::{Actor, AuditEvent, Target};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("dead-letters.jsonl");
/// # let event = AuditEvent::builder(Actor::system(), "report.send", Target::none()).build();
/// # DeadLetters::open(&path)?.append("a check failed", serde_json::to_string(&event)?.as_bytes())?;
/// // Those that are in the store by now.
/// let written = vec![event.id()];
/// let removed = dead_letters::remove(&path, |letter| written.contains(&letter.event.id()))?;
/// assert_eq!(removed, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error, and leaves the file as it was, if it is not there, if no file can be written beside it, or if
/// that cannot belong to the same owner. Only on Unix can a file be told from the one that took its place: elsewhere
/// it is [`Unsupported`](io::ErrorKind::Unsupported).
pub fn remove(
    path: impl AsRef<Path>,
    mut is_done: impl FnMut(&DeadLetter) -> bool,
) -> io::Result<u64> {
    if !cfg!(unix) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // A link stays one.
    let path = fs::canonicalize(path)?;
    // Whoever waits for the lock finds, when this is dropped, that another file has taken its place.
    let old = DeadLetters::at(path.clone()).locked()?;
    let new = beside(&path);
    let removed = copy_without(&old, &new, &mut is_done).and_then(|removed| {
        if removed > 0 {
            fs::rename(&new, &path)?;
        }
        Ok(removed)
    });
    if !matches!(removed, Ok(1..)) {
        // Best effort: the next one to come here writes over it.
        let _ = fs::remove_file(&new);
        return removed;
    }
    if let Some(folder) = path.parent() {
        private::sync_folder(folder)?;
    }
    removed
}

/// Copies what is not done with to a new file, line by line as it is, and syncs that.
fn copy_without(
    old: &File,
    new: &Path,
    is_done: &mut impl FnMut(&DeadLetter) -> bool,
) -> io::Result<u64> {
    let new = private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(new)?;
    belong_to_the_same(old, &new)?;
    let (mut lines, mut kept) = (BufReader::new(old), BufWriter::new(&new));
    let (mut line, mut is_begin, mut removed) = (Vec::new(), true, 0);
    while (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line)? > 0 {
        // A line that is too long for a letter comes in parts.
        let letter = serde_json::from_slice(&line)
            .ok()
            .filter(|_: &DeadLetter| is_begin);
        if letter.is_some_and(|letter| is_done(&letter)) {
            removed += 1;
        } else {
            kept.write_all(&line)?;
        }
        is_begin = line.ends_with(b"\n");
        line.clear();
    }
    kept.flush()?;
    new.sync_all()?;
    Ok(removed)
}

/// Lets whoever may use the old file use the new one: an operator must not lock the service out.
#[cfg(unix)]
fn belong_to_the_same(old: &File, new: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (was, is) = (old.metadata()?, new.metadata()?);
    if (was.uid(), was.gid()) != (is.uid(), is.gid()) {
        fchown(new, Some(was.uid()), Some(was.gid()))?;
    }
    new.set_permissions(was.permissions())
}

#[cfg(not(unix))]
fn belong_to_the_same(_old: &File, _new: &File) -> io::Result<()> {
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;
    use crate::{
        dead_letters::read,
        event::{Actor, AuditEvent, Target},
    };

    fn append(letters: &DeadLetters, reason: &str) {
        let target = Target::new("project", 7);
        let event = AuditEvent::builder(Actor::user("alice"), "project.delete", target).build();
        let json = serde_json::to_vec(&event).unwrap();
        letters.append(reason, &json).unwrap();
    }

    fn letters(folder: &TempDir, reasons: &[&str]) -> DeadLetters {
        let letters = DeadLetters::open(folder.path().join("dead.jsonl")).unwrap();
        for reason in reasons {
            append(&letters, reason);
        }
        letters
    }

    fn reasons(letters: &DeadLetters) -> Vec<String> {
        let letters = read(letters.path()).unwrap();
        let reason = |letter: Result<DeadLetter, _>| {
            letter.map_or_else(|_| "damaged".to_owned(), |letter| letter.reason)
        };
        letters.map(reason).collect()
    }

    #[test]
    fn what_is_done_is_gone_and_the_rest_stays_as_it_was() {
        let folder = TempDir::new().unwrap();
        let letters = letters(&folder, &["first", "second", "third"]);
        let before = fs::read_to_string(letters.path()).unwrap();
        let removed = remove(letters.path(), |letter| letter.reason == "second").unwrap();
        let expected: String = before.split_inclusive('\n').step_by(2).collect();
        assert_eq!(
            (removed, fs::read_to_string(letters.path()).unwrap()),
            (1, expected)
        );
        append(&letters, "fourth");
        assert_eq!(reasons(&letters), ["first", "third", "fourth"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_letter_stays_however_long_it_is() {
        let folder = TempDir::new().unwrap();
        let letters = letters(&folder, &["first"]);
        let long = "x".repeat(usize::try_from(MAX_LINE).unwrap());
        let line = fs::read_to_string(letters.path()).unwrap();
        // The end of a line that is too long looks like a letter.
        fs::write(letters.path(), format!("{line}\n{long}{line}{{\"at\"")).unwrap();
        assert_eq!(remove(letters.path(), |_| true).unwrap(), 1);
        let left = fs::read_to_string(letters.path()).unwrap();
        assert!(left == format!("\n{long}{line}{{\"at\""));
    }

    #[test]
    fn where_nothing_is_done_the_file_is_not_touched() {
        let folder = TempDir::new().unwrap();
        let letters = letters(&folder, &["first"]);
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let before = inode(letters.path());
        assert_eq!(remove(letters.path(), |_| false).unwrap(), 0);
        assert_eq!(inode(letters.path()), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_letter_that_comes_while_others_are_removed_is_kept() {
        for _ in 0..20 {
            let folder = TempDir::new().unwrap();
            let letters = &letters(&folder, &["first", "second"]);
            std::thread::scope(|scope| {
                let mut is_first = true;
                let done = |_: &DeadLetter| {
                    if std::mem::take(&mut is_first) {
                        scope.spawn(move || append(letters, "late"));
                    }
                    true
                };
                assert_eq!(remove(letters.path(), done).unwrap(), 2);
            });
            assert_eq!(reasons(letters), ["late"]);
        }
    }

    #[test]
    fn whoever_may_use_the_file_may_use_it_afterwards() {
        let folder = TempDir::new().unwrap();
        let letters = letters(&folder, &["first"]);
        let permissions = fs::Permissions::from_mode(0o640);
        fs::set_permissions(letters.path(), permissions).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(letters.path(), &link).unwrap();
        remove(&link, |_| true).unwrap();
        let mode = letters.path().metadata().unwrap().permissions().mode();
        assert_eq!((mode & 0o777, link.is_symlink()), (0o640, true));
        assert_eq!(reasons(&letters), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_and_is_not_made() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("dead.jsonl");
        let error = remove(&path, |_| true).unwrap_err();
        assert_eq!(
            (error.kind(), path.exists()),
            (io::ErrorKind::NotFound, false)
        );
    }
}
