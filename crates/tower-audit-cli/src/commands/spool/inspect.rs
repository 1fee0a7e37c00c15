//! What waits in a spool.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use tower_audit_core::spool::ProcessState;

use super::{
    letters::{Summary, one_line},
    look,
    pile::Pile,
};
use crate::{Done, commands::find::time, output::Output};

/// What waits in a folder.
#[derive(Debug, Serialize)]
struct Part {
    folder: String,
    state: &'static str,
    #[serde(flatten)]
    pile: Pile,
}

/// Says what waits in a spool. Changes nothing.
pub(super) fn run(folder: &Path, output: &mut Output) -> anyhow::Result<Done> {
    let there = look(folder)?;
    let mut parts = Vec::new();
    for process in &there.processes {
        parts.push(Part {
            folder: name(&process.path),
            state: process.state.as_str(),
            pile: Pile::of(&process.segments)?,
        });
    }
    if !there.quarantine.is_empty() {
        parts.push(Part {
            folder: QUARANTINE.to_owned(),
            state: QUARANTINE,
            pile: Pile::of(&there.quarantine)?,
        });
    }
    let letters = match &there.dead_letters {
        Some(file) => Summary::of(file)?,
        None => Summary::default(),
    };
    let is_empty = there.quarantine.is_empty()
        && parts.iter().all(|part| part.pile.is_empty())
        && letters.is_empty();
    if output.is_json {
        print_json(&parts, &letters, output)?;
    } else if is_empty {
        output.line("nothing waits there")?;
    } else {
        print(folder, &parts, &letters, output)?;
    }
    Ok(if is_empty {
        Done::Well
    } else {
        Done::FoundSomething
    })
}

fn print_json(parts: &[Part], letters: &Summary, output: &mut Output) -> anyhow::Result<()> {
    for part in parts {
        output.json(part)?;
    }
    if !letters.is_empty() {
        output.json(&json!({
            "state": "dead_letters",
            "letters": letters.letters,
            "damaged": letters.damaged,
            "reasons": letters.reasons,
        }))?;
    }
    Ok(())
}

fn print(
    folder: &Path,
    parts: &[Part],
    letters: &Summary,
    output: &mut Output,
) -> anyhow::Result<()> {
    let moment = |moment: Option<DateTime<Utc>>| moment.map(time).unwrap_or_default();
    let rows = parts.iter().map(|part| {
        [
            part.folder.clone(),
            part.state.to_owned(),
            part.pile.segments.to_string(),
            part.pile.events.to_string(),
            part.pile.bytes.to_string(),
            moment(part.pile.oldest),
            moment(part.pile.newest),
            part.pile.damaged.to_string(),
        ]
    });
    output.table(HEADER, rows)?;
    for hint in hints(folder, parts) {
        output.line(hint)?;
    }
    print_letters(folder, letters, output)
}

/// Says what to do about what waits.
fn hints(folder: &Path, parts: &[Part]) -> Vec<String> {
    let of = |state: ProcessState| {
        parts
            .iter()
            .filter(move |part| part.state == state.as_str())
    };
    let mut hints = Vec::new();
    let ended: u64 = of(ProcessState::Ended).map(|part| part.pile.events).sum();
    if ended > 0 {
        hints.push(format!(
            "{ended} events of ended processes wait: a running service with this spool writes them, and so does \
             `tower-audit spool replay {}`",
            folder.display()
        ));
    }
    for part in of(ProcessState::NoLock) {
        hints.push(format!(
            "nobody takes {} over, because its file `lock` is missing: make an empty one",
            part.folder
        ));
    }
    if parts.iter().any(|part| part.pile.unknown > 0) {
        hints.push("some segments are of a later version: replay them with that".to_owned());
    }
    if parts.iter().any(|part| part.state == QUARANTINE) {
        hints.push(
            "of what is in quarantine the good events were written; keep the files to find out what the others were"
                .to_owned(),
        );
    }
    hints
}

fn print_letters(folder: &Path, letters: &Summary, output: &mut Output) -> anyhow::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    output.line(format!(
        "{} dead letters and {} damaged lines; `tower-audit spool dead-letters {}` lists them, most frequently:",
        letters.letters,
        letters.damaged,
        folder.display()
    ))?;
    let rows = letters
        .reasons
        .iter()
        .map(|reason| [reason.letters.to_string(), one_line(&reason.reason)]);
    output.table(["letters", "refused because"], rows)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

const QUARANTINE: &str = "quarantine";

const HEADER: [&str; 8] = [
    "process", "state", "segments", "events", "bytes", "oldest", "newest", "damaged",
];
