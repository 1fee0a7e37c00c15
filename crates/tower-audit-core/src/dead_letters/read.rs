//! Reads the file back.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::event::AuditEvent;

/// An event that the store refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// When it was refused.
    pub at: DateTime<Utc>,
    /// What the store said.
    pub reason: String,
    /// The event.
    pub event: AuditEvent,
}

/// A line that is no letter.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no dead letter")]
pub struct BadLetter {
    line: u64,
    #[source]
    source: io::Error,
}

/// The letters of a file, in the order in which they came.
#[derive(Debug)]
pub struct Letters {
    lines: BufReader<File>,
    line: u64,
    has_failed: bool,
}

/// Reads the dead letters of a file, one at a time.
///
/// # Errors
///
/// Returns an error if the file cannot be opened. A line that cannot be read is an error of its own,
/// and the ones after it are read all the same.
pub fn read(path: impl AsRef<Path>) -> io::Result<Letters> {
    Ok(Letters {
        lines: BufReader::new(File::open(path)?),
        line: 0,
        has_failed: false,
    })
}

impl Letters {
    fn next_line(&mut self) -> io::Result<Option<DeadLetter>> {
        let mut line = Vec::new();
        self.line += 1;
        let mut limited = self.lines.by_ref().take(MAX_LINE);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
            self.skip_line()?;
        }
        Ok(Some(serde_json::from_slice(&line)?))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        self.lines.skip_until(b'\n').map(drop)
    }
}

impl Iterator for Letters {
    type Item = Result<DeadLetter, BadLetter>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        match self.next_line() {
            Ok(letter) => letter.map(Ok),
            Err(source) => {
                let is_of_line = matches!(
                    source.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                );
                self.has_failed = !is_of_line;
                let line = self.line;
                Some(Err(BadLetter { line, source }))
            }
        }
    }
}

/// No event is nearly as long.
pub(super) const MAX_LINE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        dead_letters::DeadLetters,
        event::{Actor, Target},
    };

    fn event(id: u32) -> AuditEvent {
        AuditEvent::builder(
            Actor::user("alice"),
            "project.delete",
            Target::new("project", id),
        )
        .build()
    }

    fn json(event: &AuditEvent) -> Vec<u8> {
        serde_json::to_vec(event).unwrap()
    }

    #[test]
    fn what_was_refused_is_read_back_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path().join("dead.jsonl")).unwrap();
        let events = [event(1), event(2)];
        for event in &events {
            letters.append("a \"check\"\nfailed", &json(event)).unwrap();
        }
        let read: Vec<DeadLetter> = read(letters.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(
            read.iter()
                .map(|letter| letter.event.clone())
                .collect::<Vec<_>>(),
            events
        );
        assert_eq!(read[0].reason, "a \"check\"\nfailed");
    }

    #[test]
    fn a_line_that_was_cut_off_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let letters = DeadLetters::open(&path).unwrap();
        letters.append("first", &json(&event(1))).unwrap();
        let mut content = fs::read(&path).unwrap();
        content.extend_from_slice(br#"{"at":"2026-11-21T10:"#);
        fs::write(&path, &content).unwrap();
        letters.append("last", &json(&event(2))).unwrap();
        let read: Vec<_> = read(&path).unwrap().collect();
        let error = read[1].as_ref().unwrap_err().to_string();
        assert_eq!(
            (read.len(), error.as_str()),
            (3, "line 2 is no dead letter")
        );
        assert_eq!(read[2].as_ref().unwrap().reason, "last");
    }

    #[test]
    fn a_file_that_is_full_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path().join("dead.jsonl"))
            .unwrap()
            .max_bytes(600);
        letters.append("first", &json(&event(1))).unwrap();
        let error = (0..2)
            .try_for_each(|_| letters.append("more", &json(&event(2))))
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        assert!(read(letters.path()).unwrap().all(|letter| letter.is_ok()));
    }
}
