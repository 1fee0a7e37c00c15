//! Events from a file.

use std::{io::BufRead, time::Instant};

use anyhow::Context as _;
use serde_json::json;
use tower_audit_core::{AuditEvent, Metadata, StoreError};
use tower_audit_sqlx::{AnyStore, Restored};

use super::record::Record;
use crate::{
    Done,
    output::{Output, causes},
    parquet,
    place::{Place, Source},
    progress::Progress,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// Where from: a file, an object as s3://bucket/path, gs:// or az://, or - for standard input; gzip and zstd are seen
    #[arg(value_name = "PLACE")]
    from: String,

    /// It is a Parquet file, whatever its name
    #[arg(long)]
    parquet: bool,

    /// Only read it, and say how many events there are
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Go on after a line that is no event, and count it; without this the first one is the end
    #[arg(long)]
    skip_bad: bool,
}

/// What an import did.
#[derive(Default)]
struct Report {
    read: u64,
    new: u64,
    completed: u64,
    bad: u64,
}

impl Report {
    fn add(&mut self, restored: Restored) {
        self.new += restored.new;
        self.completed += restored.completed;
    }
}

/// Writes the events of a file; those that are there stay as they are.
pub(super) async fn run(
    store: Option<&AnyStore>,
    args: &Import,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let place = Place::of(&args.from);
    let begun = Instant::now();
    let source = Source::open(&place).await?;
    let is_parquet = args.parquet || place.name().ends_with(".parquet");
    let progress = progress(&source, is_parquet);
    let about = Metadata::from_iter([
        ("by", "tower-audit import".to_owned()),
        ("from", place.name()),
    ]);
    let record = match store {
        Some(store) => Record::begin(store, IMPORT, (about, None), output).await?,
        None => None,
    };
    let mut work = Work {
        store,
        skips_bad: args.skip_bad,
        batch: Vec::with_capacity(BATCH),
        report: Report::default(),
        output,
    };
    let done = work.all(source, is_parquet, &progress).await;
    let report = work.report;
    drop(progress);
    let counts = [
        ("read", report.read),
        ("new", report.new),
        ("bad", report.bad),
    ];
    match (record, store) {
        (Some(record), Some(store)) => record.end(store, done, &counts).await?,
        _ => done?,
    }
    said(&report, begun, args.dry_run, output)?;
    Ok(if report.bad > 0 {
        Done::FoundSomething
    } else {
        Done::Well
    })
}

fn said(report: &Report, begun: Instant, is_dry: bool, output: &mut Output) -> anyhow::Result<()> {
    let Report {
        read,
        new,
        completed,
        bad,
    } = *report;
    let seconds = begun.elapsed().as_secs_f64();
    if output.is_json {
        return output.json(&json!({
            "read": read, "new": new, "completed": completed, "bad": bad, "dry_run": is_dry, "seconds": seconds,
        }));
    }
    let bad = match bad {
        0 => String::new(),
        bad => format!(", {bad} lines were no events"),
    };
    if is_dry {
        output.line(format!(
            "{read} events could be read{bad}; nothing was written"
        ))
    } else {
        let there = read - new - completed;
        let completed = match completed {
            0 => String::new(),
            some => format!(", {some} were pending and have their end now"),
        };
        output.line(format!(
            "{read} events read{bad}: {new} are new{completed}, {there} were there already, in {seconds:.1} s"
        ))
    }
}

fn progress(source: &Source, is_parquet: bool) -> Progress {
    match source.bytes() {
        Some(bytes) if !is_parquet => Progress::of_bytes("importing", bytes),
        _ => Progress::of_rows("importing"),
    }
}

/// An import that runs.
struct Work<'a> {
    store: Option<&'a AnyStore>,
    skips_bad: bool,
    /// What was read and not yet written, each with where it stood.
    batch: Vec<(String, AuditEvent)>,
    report: Report,
    output: &'a mut Output,
}

impl Work<'_> {
    async fn all(
        &mut self,
        source: Source,
        is_parquet: bool,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        if is_parquet {
            for (n, event) in parquet::Rows::of(source.into_file()?)?.enumerate() {
                self.take(&format!("row {}", n + 1), event).await?;
                progress.add(1);
            }
        } else {
            self.lines(source.into_text()?, progress).await?;
        }
        self.write().await
    }

    async fn lines(
        &mut self,
        mut text: Box<dyn BufRead>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let (mut line, mut number) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            number += 1;
            let read = std::io::Read::take(&mut text, MAX_LINE).read_until(b'\n', &mut line);
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    let error = anyhow::Error::from(error)
                        .context("it cannot be read further: it may be cut off");
                    return self.stop(&format!("line {number}"), &error).await;
                }
            };
            if read == 0 {
                return Ok(());
            }
            progress.add(read as u64);
            if line.len() as u64 >= MAX_LINE {
                anyhow::bail!(
                    "line {number} is longer than {MAX_LINE} bytes: this is no file of events"
                );
            }
            let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let event = match text.starts_with(b"{") {
                true => serde_json::from_slice(text).map_err(anyhow::Error::from),
                false => Err(anyhow::anyhow!("a line is a JSON object")),
            };
            self.take(&format!("line {number}"), event).await?;
        }
    }

    /// Takes an event, or why there is none.
    async fn take(&mut self, at: &str, event: anyhow::Result<AuditEvent>) -> anyhow::Result<()> {
        match event {
            Ok(event) => {
                self.report.read += 1;
                self.batch.push((at.to_owned(), event));
                if self.batch.len() == BATCH {
                    self.write().await?;
                }
                Ok(())
            }
            Err(error) => self.bad(at, &error).await,
        }
    }

    async fn bad(&mut self, at: &str, error: &anyhow::Error) -> anyhow::Result<()> {
        if self.skips_bad {
            self.report.bad += 1;
            return self
                .output
                .aside(format!("{at} is no event: {}", causes(error)));
        }
        self.stop(at, error).await
    }

    /// Writes what was read, and fails: to import the mended file again adds the rest.
    async fn stop(&mut self, at: &str, error: &anyhow::Error) -> anyhow::Result<()> {
        self.write().await?;
        anyhow::bail!(
            "{at} is no event: {}\n  {} events before it were read and {} of them written; mend it and import it again, \
             or give --skip-bad",
            causes(error),
            self.report.read,
            self.report.new
        )
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let Some(store) = self.store else {
            return Ok(());
        };
        if batch.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = batch.iter().map(|(_, event)| event.clone()).collect();
        match store.restore(&events).await {
            Ok(restored) => self.report.add(restored),
            Err(StoreError::Rejected(_)) => self.one_by_one(store, batch).await?,
            Err(error) => {
                return Err(error).context(
                    "the database did not take them; import it again, what is there stays",
                );
            }
        }
        Ok(())
    }

    /// Finds the event that the database refuses.
    async fn one_by_one(
        &mut self,
        store: &AnyStore,
        batch: Vec<(String, AuditEvent)>,
    ) -> anyhow::Result<()> {
        for (at, event) in batch {
            match store.restore(&[event]).await {
                Ok(restored) => self.report.add(restored),
                Err(error) if self.skips_bad => {
                    self.report.read -= 1;
                    self.report.bad += 1;
                    let error = anyhow::Error::from(error);
                    self.output
                        .aside(format!("{at} is refused: {}", causes(&error)))?;
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("{at} is refused by the database"));
                }
            }
        }
        Ok(())
    }
}

/// Rows that came this way were not seen by a service, so the trail says that there was an import.
const IMPORT: &str = "audit.log.import";

/// How many events are written at once.
const BATCH: usize = 500;

/// How long a line may be, in bytes: far more than an event can be.
const MAX_LINE: u64 = 8 << 20;
