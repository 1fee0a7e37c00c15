//! The files of a spool, on a real disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use uuid::Uuid;

use super::*;

fn encoded(payloads: &[&str]) -> Vec<u8> {
    let mut buffer = Vec::new();
    for payload in payloads {
        assert!(push_record(&mut buffer, |buffer| buffer
            .extend_from_slice(payload.as_bytes())));
    }
    buffer
}

fn append(files: &mut Files, payloads: &[&str]) {
    let records = u64::try_from(payloads.len()).unwrap();
    files.append(&encoded(payloads), records).unwrap();
}

fn read(segment: &Sealed) -> Vec<String> {
    let content = segment.read().unwrap();
    let records = read_segment(&content).unwrap().records;
    let text = |range: std::ops::Range<usize>| String::from_utf8(content[range].to_vec()).unwrap();
    records.into_iter().map(text).collect()
}

/// Takes every segment, oldest first, and deletes it.
fn drain(files: &mut Files) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(segment) = files.take_oldest() {
        all.extend(read(&segment));
        files.finish(&segment, false).unwrap();
    }
    all
}

fn spool(root: &Path) -> Files {
    Spool::open(root).unwrap().files
}

fn own_folder(root: &Path) -> PathBuf {
    let is_folder = |path: &PathBuf| path.join("lock").exists();
    fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(is_folder)
        .unwrap()
}

/// Leaves a folder behind as a process does that was killed while it wrote this.
fn crashed(root: &Path, extension: &str, content: &[u8]) -> PathBuf {
    let folder = root.join(Uuid::now_v7().to_string());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("lock"), "").unwrap();
    let segment = folder
        .join(Uuid::now_v7().to_string())
        .with_extension(extension);
    fs::write(&segment, content).unwrap();
    folder
}

fn segment(payloads: &[&str]) -> Vec<u8> {
    [segment::header().as_slice(), &encoded(payloads)].concat()
}

#[test]
fn what_is_appended_is_read_back_in_order_and_then_gone() {
    let root = TempDir::new().unwrap();
    let mut files = spool(root.path());
    append(&mut files, &["a", "b"]);
    append(&mut files, &["c"]);
    assert_eq!(drain(&mut files), ["a", "b", "c"]);
    assert_eq!(files.bytes(), 0);
}

#[test]
fn a_segment_that_is_large_enough_is_followed_by_another() {
    let root = TempDir::new().unwrap();
    let mut files = Spool::builder(root.path())
        .segment_bytes(100)
        .open()
        .unwrap()
        .files;
    for payload in ["one".repeat(20), "two".repeat(20), "three".repeat(100)] {
        append(&mut files, &[&payload]);
    }
    let sizes: Vec<u64> = std::iter::from_fn(|| files.take_oldest())
        .map(|segment| segment.records)
        .collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn what_is_appended_while_a_segment_is_read_goes_to_another() {
    let root = TempDir::new().unwrap();
    let mut files = spool(root.path());
    append(&mut files, &["a"]);
    let first = files.take_oldest().unwrap();
    append(&mut files, &["b"]);
    assert_eq!(read(&first), ["a"]);
    files.finish(&first, false).unwrap();
    assert_eq!(drain(&mut files), ["b"]);
}

#[test]
fn a_spool_takes_no_more_than_its_limit_and_has_room_again_once_it_was_read() {
    let root = TempDir::new().unwrap();
    let mut files = Spool::builder(root.path())
        .max_bytes(100)
        .open()
        .unwrap()
        .files;
    append(&mut files, &["a".repeat(60).as_str()]);
    let refused = files
        .append(&encoded(&["b".repeat(60).as_str()]), 1)
        .unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::QuotaExceeded);
    assert_eq!(drain(&mut files).len(), 1);
    append(&mut files, &["c".repeat(60).as_str()]);
}

#[test]
fn what_a_killed_process_left_is_taken_over_and_its_folder_removed() {
    let root = TempDir::new().unwrap();
    let left = crashed(root.path(), "open", &segment(&["a", "b"]));
    let mut files = spool(root.path());
    let (adopted, result) = files.adopt();
    result.unwrap();
    assert_eq!(
        adopted,
        Adopted {
            records: 2,
            damaged: 0
        }
    );
    assert!(!left.exists());
    assert_eq!(drain(&mut files), ["a", "b"]);
}

#[test]
fn older_segments_are_read_first_whoever_wrote_them() {
    let root = TempDir::new().unwrap();
    crashed(root.path(), "seg", &segment(&["first"]));
    crashed(root.path(), "open", &segment(&["second"]));
    let mut files = spool(root.path());
    append(&mut files, &["third"]);
    files.adopt().1.unwrap();
    let last = files.take_oldest().unwrap();
    assert_eq!(read(&last), ["first"]);
    assert_eq!(drain(&mut files), ["second", "third"]);
}

#[test]
fn of_a_segment_cut_at_any_byte_every_whole_record_is_taken_over_and_none_counts_as_damaged() {
    let whole = segment(&["first", "second", "third"]);
    let ends: Vec<usize> = read_segment(&whole)
        .unwrap()
        .records
        .iter()
        .map(|record| record.end)
        .collect();
    for length in 0..=whole.len() {
        let root = TempDir::new().unwrap();
        crashed(root.path(), "open", &whole[..length]);
        let mut files = spool(root.path());
        let (adopted, result) = files.adopt();
        result.unwrap();
        let records = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(
            (adopted.records, adopted.damaged),
            (records as u64, 0),
            "cut at {length}"
        );
        assert_eq!(drain(&mut files), ["first", "second", "third"][..records]);
    }
}

#[test]
fn the_torn_tail_of_a_segment_is_cut_off_the_file() {
    let (root, whole) = (TempDir::new().unwrap(), segment(&["first", "second"]));
    crashed(root.path(), "open", &whole[..whole.len() - 1]);
    let mut files = spool(root.path());
    files.adopt().1.unwrap();
    let taken = files.take_oldest().unwrap();
    assert_eq!(fs::read(taken.path()).unwrap(), segment(&["first"]));
}

#[test]
fn a_damaged_segment_gives_its_good_records_and_is_kept_in_quarantine() {
    let mut content = segment(&["first", "second", "third"]);
    let at = content.len() - 7;
    content[at - 20] ^= 1;
    let root = TempDir::new().unwrap();
    crashed(root.path(), "seg", &content);
    let mut files = spool(root.path());
    assert_eq!(
        files.adopt().0,
        Adopted {
            records: 2,
            damaged: 1
        }
    );
    let damaged = files.take_oldest().unwrap();
    assert_eq!(read(&damaged), ["first", "third"]);
    files.finish(&damaged, true).unwrap();
    let kept: Vec<_> = fs::read_dir(root.path().join("quarantine"))
        .unwrap()
        .collect();
    assert_eq!((kept.len(), files.bytes()), (1, 0));
}

#[test]
fn a_segment_of_a_later_version_is_left_where_it_is() {
    let mut content = segment(&["first"]);
    content[8] = 9;
    let check = crc32fast::hash(&content[..12]).to_le_bytes();
    content[12..16].copy_from_slice(&check);
    let root = TempDir::new().unwrap();
    let left = crashed(root.path(), "seg", &content);
    let mut files = spool(root.path());
    assert_eq!(files.adopt().0, Adopted::default());
    assert_eq!(fs::read_dir(left).unwrap().count(), 2);
}

#[test]
fn a_folder_whose_process_lives_is_left_alone() {
    let root = TempDir::new().unwrap();
    let mut living = spool(root.path());
    append(&mut living, &["a"]);
    let mut other = spool(root.path());
    assert_eq!(other.adopt().0, Adopted::default());
    append(&mut other, &["b"]);
    assert_eq!(
        (drain(&mut living), drain(&mut other)),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
}

#[test]
fn what_two_processes_left_is_taken_over_once_when_both_are_asked() {
    let root = TempDir::new().unwrap();
    for n in 0..20 {
        crashed(root.path(), "open", &segment(&[&n.to_string()]));
    }
    let take = || {
        let mut files = spool(root.path());
        files.adopt().1.map(|()| drain(&mut files))
    };
    let (first, second) = std::thread::scope(|scope| {
        let (first, second) = (scope.spawn(take), scope.spawn(take));
        (first.join().unwrap(), second.join().unwrap())
    });
    let mut all = [first.unwrap_or_default(), second.unwrap_or_default()].concat();
    let mut late = spool(root.path());
    late.adopt().1.unwrap();
    all.extend(drain(&mut late));
    all.sort_by_key(|payload| payload.parse::<u32>().unwrap());
    assert_eq!(all, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn foreign_files_in_the_folder_are_left_alone() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("README"), "mine").unwrap();
    fs::create_dir(root.path().join("lost+found")).unwrap();
    let mut files = spool(root.path());
    files.adopt().1.unwrap();
    assert!(root.path().join("README").exists() && root.path().join("lost+found").exists());
}

#[test]
fn a_spool_that_is_empty_leaves_nothing_behind_and_one_that_is_not_keeps_its_records() {
    let root = TempDir::new().unwrap();
    drop(spool(root.path()));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    let mut files = spool(root.path());
    append(&mut files, &["a"]);
    drop(files);
    let mut next = spool(root.path());
    assert_eq!(next.adopt().0.records, 1);
}

#[test]
fn a_file_that_cannot_be_made_is_an_error_and_the_next_append_works_once_it_can() {
    let root = TempDir::new().unwrap();
    let mut files = spool(root.path());
    let own = own_folder(root.path());
    fs::rename(&own, root.path().join("away")).unwrap();
    fs::write(root.path().join(own.file_name().unwrap()), "in the way").unwrap();
    assert!(files.append(&encoded(&["a"]), 1).is_err());
    fs::remove_file(&own).unwrap();
    fs::rename(root.path().join("away"), &own).unwrap();
    append(&mut files, &["b"]);
    assert_eq!(drain(&mut files), ["b"]);
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_by_name() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Spool::open(&file).unwrap_err().to_string();
    assert!(error.contains("file cannot be used as a spool"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_look_into_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = TempDir::new().unwrap();
    let folder = root.path().join("spool");
    let mut files = spool(&folder);
    append(&mut files, &["a"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let own = own_folder(&folder);
    assert_eq!((mode(&folder), mode(&own)), (0o700, 0o700));
    for file in fs::read_dir(own).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn what_is_spooled_survives_a_machine_that_loses_all_that_was_not_synced() {
    let root = TempDir::new().unwrap();
    let mut files = spool(root.path());
    let synced = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let on_disk = std::sync::Arc::clone(&synced);
    files.sync = Box::new(move |file| {
        on_disk.store(file.metadata()?.len(), std::sync::atomic::Ordering::SeqCst);
        Ok(())
    });
    append(&mut files, &["a", "b"]);
    append(&mut files, &["c"]);
    let is_segment = |path: &PathBuf| path.extension().is_some();
    let mut written = fs::read_dir(own_folder(root.path()))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut content = fs::read(written.find(is_segment).unwrap()).unwrap();
    content.truncate(usize::try_from(synced.load(std::sync::atomic::Ordering::SeqCst)).unwrap());
    assert_eq!(read_segment(&content).unwrap().records.len(), 3);
}

#[test]
fn what_stands_behind_the_last_confirmed_byte_is_never_read() {
    let root = TempDir::new().unwrap();
    let mut files = spool(root.path());
    append(&mut files, &["a"]);
    let taken = files.take_oldest().unwrap();
    // As of a write that failed, and could not be taken back.
    let content = [fs::read(taken.path()).unwrap(), encoded(&["b"])].concat();
    fs::write(taken.path(), content).unwrap();
    assert_eq!(read(&taken), ["a"]);
}

#[test]
fn what_the_disk_did_not_sync_is_not_spooled_and_never_read() {
    let root = TempDir::new().unwrap();
    let mut files = spool(root.path());
    append(&mut files, &["a"]);
    files.sync = Box::new(|_| Err(std::io::ErrorKind::StorageFull.into()));
    assert!(files.append(&encoded(&["b"]), 1).is_err());
    files.sync = Box::new(fs::File::sync_data);
    append(&mut files, &["c"]);
    assert_eq!(drain(&mut files), ["a", "c"]);
}

#[test]
fn one_entry_that_cannot_be_taken_over_leaves_the_others_to_be() {
    let root = TempDir::new().unwrap();
    let left = crashed(root.path(), "open", &segment(&["a"]));
    fs::create_dir(left.join("0.seg")).unwrap();
    fs::create_dir(left.join("z.seg")).unwrap();
    let mut files = spool(root.path());
    let (adopted, result) = files.adopt();
    assert!(result.is_err());
    assert_eq!(
        adopted,
        Adopted {
            records: 1,
            damaged: 0
        }
    );
    assert_eq!(drain(&mut files), ["a"]);
}

#[test]
fn a_folder_that_somebody_deleted_is_made_again() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("spool");
    let mut files = spool(&folder);
    append(&mut files, &["lost"]);
    fs::remove_dir_all(&folder).unwrap();
    append(&mut files, &["kept"]);
    let lost = files.take_oldest().unwrap();
    assert_eq!(
        lost.read().unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
    files.finish(&lost, true).unwrap();
    let mut other = spool(&folder);
    assert_eq!(
        other.adopt().0,
        Adopted::default(),
        "the new folder is locked"
    );
    assert_eq!(drain(&mut files), ["kept"]);
}

fn states(root: &Path) -> Vec<(ProcessState, usize)> {
    let processes = inspect(root).unwrap().processes;
    let state = |process: &ProcessFolder| (process.state, process.segments.len());
    processes.iter().map(state).collect()
}

#[test]
fn a_look_tells_the_living_from_the_ended_and_lists_what_waits() {
    let root = TempDir::new().unwrap();
    let left = crashed(root.path(), "open", &segment(&["a"]));
    fs::write(left.join("0.seg"), segment(&["b"])).unwrap();
    fs::write(left.join("README"), "mine").unwrap();
    let living = Spool::open(root.path()).unwrap();
    let unlocked = crashed(root.path(), "seg", &segment(&["c"]));
    fs::remove_file(unlocked.join("lock")).unwrap();
    let seen = inspect(root.path()).unwrap().processes;
    let paths: Vec<&Path> = seen.iter().map(|process| &*process.path).collect();
    assert_eq!(paths, [&*left, living.process_folder(), &*unlocked]);
    assert_eq!(
        states(root.path()),
        [
            (ProcessState::Ended, 2),
            (ProcessState::Living, 0),
            (ProcessState::NoLock, 1)
        ]
    );
    assert_eq!(seen[0].segments, segments(&left).unwrap());
}

#[test]
fn a_look_takes_nothing_and_keeps_nobody_from_taking_over() {
    let root = TempDir::new().unwrap();
    crashed(root.path(), "open", &segment(&["a"]));
    assert_eq!(states(root.path()), [(ProcessState::Ended, 1)]);
    assert_eq!(states(root.path()), [(ProcessState::Ended, 1)]);
    let mut files = spool(root.path());
    files.adopt().1.unwrap();
    assert_eq!(states(root.path()), [(ProcessState::Living, 1)]);
    assert_eq!(drain(&mut files), ["a"]);
}

#[test]
fn a_look_lists_the_quarantine_and_the_dead_letters_and_no_foreign_files() {
    let root = TempDir::new().unwrap();
    assert_eq!(inspect(root.path()).unwrap(), Inspection::default());
    fs::create_dir(root.path().join("quarantine")).unwrap();
    fs::create_dir(root.path().join(".new-folder")).unwrap();
    // As of a process that is about to be done with its folder.
    fs::create_dir(root.path().join(Uuid::now_v7().to_string())).unwrap();
    let damaged = root.path().join("quarantine/0.seg");
    fs::write(&damaged, "").unwrap();
    let letters = root.path().join("dead-letters.jsonl");
    fs::write(&letters, "").unwrap();
    let expected = Inspection {
        processes: Vec::new(),
        quarantine: vec![damaged],
        dead_letters: Some(letters),
    };
    assert_eq!(inspect(root.path()).unwrap(), expected);
}

#[test]
fn a_spool_that_is_not_there_cannot_be_looked_at() {
    let root = TempDir::new().unwrap();
    let error = inspect(root.path().join("nowhere")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
