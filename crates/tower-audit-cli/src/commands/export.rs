//! Events into a file.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use chrono::{DateTime, Datelike as _, SecondsFormat, Utc};
use clap::ValueEnum;
use serde_json::json;
use tower_audit_core::{AuditEvent, EventId, EventReader as _, Filter, Metadata, PageSize, Seek};
use tower_audit_sqlx::AnyStore;
use tower_audit_web::export::{Compression, Compressor, Format as Text};

use super::{
    record::{Interrupted, Record},
    stop::stop_signal,
};
use crate::{
    Done,
    args::Query,
    connect,
    output::Output,
    parquet,
    place::{Place, Sink},
    progress::Progress,
    settings::Settings,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Where to: a file, an object as s3://bucket/path, gs:// or az://, or - for standard output
    #[arg(long, short = 'o', default_value = "-", value_name = "PLACE")]
    to: String,

    /// What it looks like [default: as the name of the place ends, or else jsonl]
    #[arg(long, short, value_enum)]
    format: Option<Format>,

    /// How it is compressed [default: as the name of the place ends: .gz, .zst]
    #[arg(long, value_enum)]
    compress: Option<Compress>,

    /// The newest first
    #[arg(long)]
    newest: bool,

    #[command(flatten)]
    query: Query,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON Lines with all that is known: what `import` reads
    Jsonl,
    /// CSV that no spreadsheet takes for formulas
    Csv,
    /// Parquet: what `import`, DuckDB, pandas and Spark read
    Parquet,
    /// API Activity (6003) of the Open Cybersecurity Schema Framework
    Ocsf,
    /// The Elastic Common Schema
    Ecs,
    /// CloudEvents 1.0
    Cloudevents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compress {
    None,
    Gzip,
    Zstd,
}

/// Writes the events of a search.
pub(super) async fn run(
    settings: &Settings,
    args: Export,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let place = Place::of(&args.to);
    refuse_the_trail_itself(&place, &settings.database)?;
    let store = &connect::store(settings).await?;
    let (format, compress) = chosen(&args, &place.name())?;
    let begun = (Utc::now(), Instant::now());
    let filter = args.query.filter(begun.0)?;
    let filter = filter.and(until_now(store, begun.0).await?);
    let seek = if args.newest {
        Seek::Newest
    } else {
        Seek::Oldest
    };
    // Before there is a file that somebody would have to delete.
    let stop = stop_signal()?;
    let mut sink = Sink::open(&place).await?;
    let record = Record::begin(store, EXPORT, said(&args, format), output).await?;
    let events = store.stream(filter, seek);
    let own = record.as_ref().map(Record::id);
    // What has left is counted, however it ends.
    let rows = AtomicU64::new(0);
    let written = tokio::select! {
        biased;
        () = stop => Err(Interrupted.into()),
        written = written(events, (own, &rows), (format, compress), &mut sink) => written,
    };
    let done = match written {
        Ok(()) => sink.finish().await,
        Err(error) => {
            sink.give_up().await;
            Err(error)
        }
    };
    let rows = rows.into_inner();
    match record {
        Some(record) => record.end(store, done, &[("rows", rows)]).await?,
        None => done?,
    }
    told(&place, rows, begun.1, output)?;
    Ok(Done::Well)
}

/// Says how many there were, where that is not among them.
fn told(place: &Place, rows: u64, begun: Instant, output: &mut Output) -> anyhow::Result<()> {
    let seconds = begun.elapsed().as_secs_f64();
    if *place != Place::Pipe {
        match output.is_json {
            true => output.json(&json!({"rows": rows, "seconds": seconds}))?,
            false => output.line(format!("{rows} rows in {seconds:.1} s"))?,
        }
    }
    Ok(())
}

/// Returns what is there up to the newest event, whose time may lie ahead: what is written meanwhile is not of this export, which would
/// have no end.
async fn until_now(store: &AnyStore, now: DateTime<Utc>) -> anyhow::Result<Filter> {
    let newest = store
        .page(&Filter::new(), Seek::Newest, PageSize::new(1)?)
        .await?;
    let newest = newest.events.first().map_or(now, AuditEvent::created_at);
    if newest.year() >= 9_999 {
        // That is as far as times are shown, and what somebody else wrote may be later.
        return Ok(Filter::new());
    }
    let newest = newest.to_rfc3339_opts(SecondsFormat::Micros, true);
    Ok(Filter::parse(&format!("created:..{newest}"), now)?)
}

/// Returns what was asked for, or what the name says.
fn chosen(args: &Export, name: &str) -> anyhow::Result<(Format, Compression)> {
    let (base, by_name) = if let Some(base) = name.strip_suffix(".gz") {
        (base, Compress::Gzip)
    } else if let Some(base) = name.strip_suffix(".zst") {
        (base, Compress::Zstd)
    } else {
        (name, Compress::None)
    };
    let format = args.format.unwrap_or(match base.rsplit_once('.') {
        Some((_, "parquet")) => Format::Parquet,
        Some((_, "csv")) => Format::Csv,
        _ => Format::Jsonl,
    });
    let compress = args.compress.unwrap_or(by_name);
    if format == Format::Parquet && compress != Compress::None {
        anyhow::bail!("Parquet is compressed in itself: leave --compress and the ending away");
    }
    Ok((
        format,
        match compress {
            Compress::None => Compression::None,
            Compress::Gzip => Compression::Gzip,
            Compress::Zstd => Compression::Zstd,
        },
    ))
}

/// Writes them, and returns how many there were.
async fn written(
    mut events: tower_audit_core::store::EventStream<'_, AnyStore>,
    (own, rows): (Option<EventId>, &AtomicU64),
    (format, compression): (Format, Compression),
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let progress = Progress::of_rows("exporting");
    let mut encoder = Encoder::new(format, compression)?;
    sink.write(&encoder.head()?).await?;
    let mut ready = Vec::new();
    while let Some(event) = events.next().await? {
        if Some(event.id()) == own {
            continue;
        }
        ready.extend(encoder.push(event)?);
        rows.fetch_add(1, Ordering::Relaxed);
        progress.add(1);
        if ready.len() >= PART {
            sink.write(&ready).await?;
            ready.clear();
        }
    }
    ready.extend(encoder.finish()?);
    sink.write(&ready).await
}

/// Refuses to write over the trail that is read.
fn refuse_the_trail_itself(place: &Place, database: &str) -> anyhow::Result<()> {
    let (Place::File(to), Some(_)) = (place, database.strip_prefix("sqlite:")) else {
        return Ok(());
    };
    let trail = connect::path_of(database);
    for ending in ["", "-wal", "-shm", "-journal"] {
        let one = fs::canonicalize(format!("{trail}{ending}"));
        if one.is_ok_and(|one| fs::canonicalize(to).is_ok_and(|to| to == one)) {
            anyhow::bail!("{} is the trail itself: give another place", to.display());
        }
    }
    Ok(())
}

/// Turns events into bytes.
enum Encoder {
    Text(Format, Compressor, Vec<u8>),
    Parquet(Box<parquet::Writer>),
}

impl Encoder {
    fn new(format: Format, compression: Compression) -> anyhow::Result<Self> {
        Ok(match format {
            Format::Parquet => Self::Parquet(Box::new(parquet::Writer::new()?)),
            format => Self::Text(format, Compressor::new(compression)?, Vec::new()),
        })
    }

    fn head(&mut self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Text(Format::Csv, compressor, text) => {
                Text::Csv.head(text);
                Ok(compressor.add(&std::mem::take(text))?)
            }
            Self::Text(..) | Self::Parquet(_) => Ok(Vec::new()),
        }
    }

    fn push(&mut self, event: AuditEvent) -> anyhow::Result<Vec<u8>> {
        let (format, compressor, text) = match self {
            Self::Parquet(writer) => return Ok(writer.push(event)?),
            Self::Text(format, compressor, text) => (*format, compressor, text),
        };
        match format {
            Format::Csv => Text::Csv.push(&event, text),
            Format::Ocsf => Text::Ocsf.push(&event, text),
            Format::Ecs => Text::Ecs.push(&event, text),
            Format::Cloudevents => Text::CloudEvents.push(&event, text),
            // Exactly what it is: the API writes whole numbers as text where a script would round them.
            Format::Jsonl | Format::Parquet => {
                serde_json::to_writer(&mut *text, &event)?;
                text.push(b'\n');
            }
        }
        let ready = compressor.add(text)?;
        text.clear();
        Ok(ready)
    }

    fn finish(self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Text(_, compressor, _) => Ok(compressor.finish()?),
            Self::Parquet(writer) => Ok(writer.finish()?),
        }
    }
}

/// Returns what the trail says of it.
fn said(args: &Export, format: Format) -> (Metadata, Option<Metadata>) {
    let name = format.to_possible_value();
    let name = name.as_ref().map_or("", |name| name.get_name());
    let about = [("by", "tower-audit export"), ("format", name)];
    // It may name people: what is captured is hidden from whoever may not see what is personal.
    let captured = Metadata::from_iter([("search", args.query.text())]);
    (Metadata::from_iter(about), Some(captured))
}

const EXPORT: &str = "audit.export.create";

/// How much is written at once, in bytes.
const PART: usize = 64 << 10;
