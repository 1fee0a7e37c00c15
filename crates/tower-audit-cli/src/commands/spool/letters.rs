//! The events that the database refused.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    slice,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use tower_audit_core::{
    EventId, EventWriter as _, StoreError,
    dead_letters::{self, DeadLetter, Letters},
};
use tower_audit_sqlx::AnyStore;

use super::look;
use crate::{Done, commands::find::time, connect, output::Output, settings::Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct DeadLetters {
    /// The folder of a spool, or a file of dead letters
    #[arg(value_name = "FOLDER_OR_FILE")]
    path: PathBuf,

    /// Write the events to the database again, one by one; exits with 3 if one of them is not written
    #[arg(long)]
    retry: bool,

    /// Take the letters out of the file whose events are written now
    #[arg(long, requires = "retry")]
    remove: bool,
}

/// Lists the letters, or tries their events again.
pub(super) async fn run(
    settings: anyhow::Result<Settings>,
    args: &DeadLetters,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let file = match args.path.is_dir() {
        true => look(&args.path)?.dead_letters,
        false => Some(args.path.clone()),
    };
    let Some(file) = file else {
        none(output)?;
        return Ok(Done::Well);
    };
    if !args.retry {
        return list(&file, output);
    }
    // Before the database is asked for: a wrong path is said at once.
    let letters = read(&file)?;
    let store = connect::store(&settings?).await?;
    store
        .check()
        .await
        .context("the database cannot take events, so none was tried")?;
    let tried = retry(&store, letters, output).await?;
    let removed = match args.remove {
        true => remove(&file, &tried.written)?,
        false => 0,
    };
    tried.print(removed, output)?;
    Ok(tried.done())
}

fn list(file: &Path, output: &mut Output) -> anyhow::Result<Done> {
    let mut is_empty = true;
    for letter in read(file)? {
        is_empty = false;
        match letter {
            Ok(letter) if output.is_json => output.json(&json!({
                "at": letter.at,
                "reason": letter.reason,
                "event": letter.event,
            }))?,
            Ok(letter) => output.line(line(&letter))?,
            Err(damaged) if output.is_json => {
                output.json(&json!({"damaged": damaged.to_string()}))?;
            }
            Err(damaged) => output.line(damaged.to_string())?,
        }
    }
    if is_empty {
        none(output)?;
        return Ok(Done::Well);
    }
    Ok(Done::FoundSomething)
}

fn none(output: &mut Output) -> anyhow::Result<()> {
    if output.is_json {
        return Ok(());
    }
    output.line("there are no dead letters")
}

fn line(letter: &DeadLetter) -> String {
    let event = &letter.event;
    format!(
        "{}  {}  {}  {} {}  {}",
        time(letter.at),
        event.id(),
        event.action(),
        event.actor().kind(),
        event.actor().id(),
        one_line(&letter.reason)
    )
}

/// What became of the letters that were tried again.
#[derive(Debug, Default)]
struct Tried {
    /// By id and by when it was refused: the begin and the end of a request have one id.
    written: HashSet<Key>,
    refused: u64,
    damaged: u64,
    /// Those that were not tried because the database had gone away.
    untried: u64,
    gone: Option<StoreError>,
}

type Key = (EventId, DateTime<Utc>);

fn key(letter: &DeadLetter) -> Key {
    (letter.event.id(), letter.at)
}

/// Writes the events one by one: each is refused for itself.
async fn retry(store: &AnyStore, letters: Letters, output: &mut Output) -> anyhow::Result<Tried> {
    let mut tried = Tried::default();
    for letter in letters {
        let Ok(letter) = letter else {
            tried.damaged += 1;
            continue;
        };
        if tried.gone.is_some() {
            tried.untried += 1;
            continue;
        }
        match store.append(slice::from_ref(&letter.event)).await {
            Ok(()) => {
                tried.written.insert(key(&letter));
            }
            Err(error) if error.is_transient() => {
                tried.untried += 1;
                tried.gone = Some(error);
            }
            Err(error) => {
                tried.refused += 1;
                refused(&letter, error, output)?;
            }
        }
    }
    Ok(tried)
}

fn refused(letter: &DeadLetter, error: StoreError, output: &mut Output) -> anyhow::Result<()> {
    let (id, reason) = (
        letter.event.id(),
        format!("{:#}", anyhow::Error::from(error)),
    );
    if output.is_json {
        return output.json(&json!({"id": id, "refused": reason}));
    }
    output.line(format!("{id} was refused again: {}", one_line(&reason)))
}

fn remove(file: &Path, written: &HashSet<Key>) -> anyhow::Result<u64> {
    dead_letters::remove(file, |letter| written.contains(&key(letter))).with_context(|| {
        format!(
            "{} events are written, but their letters are still in {}: it does no harm to try them again",
            written.len(),
            file.display()
        )
    })
}

impl Tried {
    fn print(&self, removed: u64, output: &mut Output) -> anyhow::Result<()> {
        let Self {
            written,
            refused,
            damaged,
            untried,
            gone,
        } = self;
        let written = written.len();
        if output.is_json {
            return output.json(&json!({
                "written": written,
                "refused": refused,
                "damaged": damaged,
                "untried": untried,
                "removed": removed,
            }));
        }
        output.line(format!(
            "{written} events written, {refused} refused again, {damaged} lines damaged, {removed} letters removed"
        ))?;
        if let Some(gone) = gone {
            output.line(format!(
                "{untried} were not tried, because {gone}: run it again when it is back"
            ))?;
        }
        if written > 0 && removed == 0 {
            output
                .line("their letters are still in the file: --remove takes out what is written")?;
        }
        Ok(())
    }

    fn done(&self) -> Done {
        if self.refused + self.damaged + self.untried == 0 {
            Done::Well
        } else {
            Done::FoundSomething
        }
    }
}

/// How many letters there are, and the most frequent reasons.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) letters: u64,
    pub(super) damaged: u64,
    /// The most frequent first.
    pub(super) reasons: Vec<Reason>,
}

/// How many letters have this reason.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub(super) reason: String,
    pub(super) letters: u64,
}

impl Summary {
    pub(super) fn of(file: &Path) -> anyhow::Result<Self> {
        let (mut summary, mut reasons) = (Self::default(), HashMap::<String, u64>::new());
        for letter in read(file)? {
            let Ok(letter) = letter else {
                summary.damaged += 1;
                continue;
            };
            summary.letters += 1;
            // A reason that names the row is another one each time: of those a few will do.
            if reasons.len() < MOST_REASONS || reasons.contains_key(&letter.reason) {
                *reasons.entry(letter.reason).or_default() += 1;
            }
        }
        let reasons = reasons.into_iter();
        summary.reasons = reasons
            .map(|(reason, letters)| Reason { reason, letters })
            .collect();
        summary.reasons.sort_by(|a, b| {
            b.letters
                .cmp(&a.letters)
                .then_with(|| a.reason.cmp(&b.reason))
        });
        summary.reasons.truncate(SHOWN_REASONS);
        Ok(summary)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters == 0 && self.damaged == 0
    }
}

fn read(file: &Path) -> anyhow::Result<Letters> {
    dead_letters::read(file).with_context(|| {
        format!(
            "the dead letters {} cannot be read: give the folder of a spool, or a file, as a user who may read it",
            file.display()
        )
    })
}

/// Returns what a database said, of which a part may be on a line of its own.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const MOST_REASONS: usize = 1_000;
const SHOWN_REASONS: usize = 5;
