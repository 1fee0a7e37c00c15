//! Events as files have them: JSON Lines, CSV, and the words of OCSF, ECS and CloudEvents.
//!
//! The route `/export` writes them as fast as its client takes them; [`Format`] and [`Compressor`] are for whoever writes files of
//! their own.
//!
//! # Example
//!
//! ```
//! use tower_audit_core::{Actor, AuditEvent, Target};
//! use tower_audit_web::export::Format;
//!
//! let event = AuditEvent::builder(Actor::user("alice"), "project.delete", Target::new("project", 7));
//! let mut file = Vec::new();
//! Format::Csv.head(&mut file);
//! Format::Csv.push(&event.build(), &mut file);
//! assert!(String::from_utf8_lossy(&file).contains("project.delete"));
//! ```
//!
//! # What it does not do
//!
//! It reads none of them. Text that a spreadsheet would take for a formula has an apostrophe before it in CSV, and whole numbers that a script would
//! round are text in JSON: for copies that have to be exact, an event serializes itself.

mod compress;
mod csv;
mod mapped;

use axum::{
    Extension,
    body::Body,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::Utc;
use futures_util::stream;
use http::{Method, header};
use serde::Serialize;
use tower_audit_core::{AuditEvent, Outcome, PageSize, Seek};
use utoipa::ToSchema;

pub use self::compress::{Compression, Compressor};
use crate::{
    api::Problems,
    event::Event,
    guard::IsRecorded,
    params::Params,
    places::Place,
    problem::Problem,
    trail::{self, Asked},
    view::{Allowed, View},
    web::AuditWeb,
};

/// What an exported event looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// An event a line, as the API shows it.
    Jsonl,
    /// A row an event; text that a spreadsheet would run begins with an apostrophe.
    Csv,
    /// API Activity (6003) of the Open Cybersecurity Schema Framework.
    Ocsf,
    /// The Elastic Common Schema.
    Ecs,
    /// CloudEvents 1.0.
    CloudEvents,
}

const FORMATS: [(&str, Format); 5] = [
    ("jsonl", Format::Jsonl),
    ("csv", Format::Csv),
    ("ocsf", Format::Ocsf),
    ("ecs", Format::Ecs),
    ("cloudevents", Format::CloudEvents),
];

impl Format {
    /// Returns the name, as the route takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        FORMATS
            .iter()
            .find(|(_, format)| *format == self)
            .map_or("", |(name, _)| name)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            _ => "application/jsonl; charset=utf-8",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            _ => "jsonl",
        }
    }

    /// Appends what comes before the events.
    pub fn head(self, to: &mut Vec<u8>) {
        if self == Self::Csv {
            csv::head(to);
        }
    }

    /// Appends an event, with all that is known of it, and the end of its line.
    pub fn push(self, event: &AuditEvent, to: &mut Vec<u8>) {
        self.row(&Event::of(event, true), to);
    }

    fn row(self, event: &Event, to: &mut Vec<u8>) {
        match self {
            Self::Csv => csv::row(event, to),
            Self::Jsonl => line(event, to),
            Self::Ocsf => line(&mapped::ocsf(event), to),
            Self::Ecs => line(&mapped::ecs(event), to),
            Self::CloudEvents => line(&mapped::cloud_event(event), to),
        }
    }
}

/// Appends a line of JSON.
fn line(value: &impl Serialize, to: &mut Vec<u8>) {
    let begin = to.len();
    if serde_json::to_writer(&mut *to, value).is_err() {
        // There is nothing in it that JSON has no form for.
        to.truncate(begin);
        to.extend_from_slice(b"null");
    }
    to.push(b'\n');
}

/// All events of a search.
///
/// One event a line, newest first. The rows are read as fast as the client takes them. If reading fails on the way the
/// connection is cut, so that half an export does not look like a whole one.
#[utoipa::path(
    get, path = "/export", tag = "export",
    params(
        ("q" = Option<String>, Query, description = "The search"),
        ("format" = Option<Format>, Query, description = "`jsonl` (the default), `csv`, `ocsf` (API Activity, 6003), `ecs` or `cloudevents`"),
        ("compression" = Option<Compression>, Query, description = "`none` (the default), `gzip` or `zstd`: the file itself is compressed"),
    ),
    responses(
        (status = 200, description = "The events, a line each", content(
            (String = "application/jsonl"), (String = "text/csv"), (String = "application/gzip"), (String = "application/zstd"),
        )),
        Problems,
    ),
)]
pub(crate) async fn export(
    State(web): State<AuditWeb>,
    Extension(view): Extension<View>,
    Extension(asked): Extension<Asked>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["q", "format", "compression"])?;
    let format = params.one_of("format", &FORMATS, Format::Jsonl)?;
    let compression = params.one_of("compression", &compress::ALL, Compression::None)?;
    let filter = view.allow(params.filter(Utc::now())?)?;
    if !view.access().may_export {
        return Err(Problem::no_export());
    }
    if method == Method::HEAD {
        return Ok(download(format, compression, Body::empty()));
    }
    let place = web
        .exports
        .take(&view.access().actor, web.settings.stalled_after);
    let place = place.ok_or_else(|| Problem::too_many("exports"))?;
    let compressor = Compressor::new(compression).map_err(|_| Problem::too_many("exports"))?;
    let record = asked
        .record_export(&web.auditor, view.access(), format.name())
        .await?;
    let running = Running {
        view,
        filter,
        format,
        compressor: Some(compressor),
        seek: Some(Seek::Newest),
        rows: 0,
        record,
        is_begun: false,
        place,
    };
    let body = Body::from_stream(stream::unfold(running, Running::next));
    Ok(download(format, compression, body))
}

/// Returns the body as a file to keep.
fn download(format: Format, compression: Compression, body: Body) -> Response {
    let extensions = format!("{}{}", format.extension(), compression.extension());
    let name = format!("audit-{}.{extensions}", Utc::now().format("%Y%m%dT%H%M%SZ"));
    let headers = [
        (
            header::CONTENT_TYPE,
            compression.content_type().unwrap_or(format.content_type()),
        ),
        (
            header::CONTENT_DISPOSITION,
            &format!("attachment; filename=\"{name}\""),
        ),
    ];
    (headers, Extension(IsRecorded), body).into_response()
}

/// An export, while its client takes it.
struct Running {
    view: View,
    filter: Allowed,
    format: Format,
    /// `None` once all is said.
    compressor: Option<Compressor>,
    seek: Option<Seek>,
    rows: u64,
    record: trail::Export,
    is_begun: bool,
    place: Place,
}

impl Running {
    /// Returns the next part; is asked for it only when the client took the one before.
    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        loop {
            self.compressor.as_ref()?;
            let part = if self.place.keep() {
                self.part().await
            } else {
                Err(std::io::Error::other("another export has taken its place"))
            };
            match part {
                // A compressor keeps what is not worth sending yet.
                Ok(part) if part.is_empty() && self.compressor.is_some() => {}
                Ok(part) => {
                    self.place.keep();
                    return Some((Ok(part), self));
                }
                Err(error) => {
                    self.compressor = None;
                    self.record.end(Outcome::Failure, self.rows);
                    return Some((Err(error), self));
                }
            }
        }
    }

    async fn part(&mut self) -> std::io::Result<Bytes> {
        let mut text = Vec::new();
        if !self.is_begun {
            self.is_begun = true;
            self.format.head(&mut text);
        }
        if let Some(seek) = self.seek {
            let page = self.view.page(&self.filter, seek, PART).await;
            let page = page.map_err(|problem| std::io::Error::other(problem.detail.clone()))?;
            self.seek = seek.after(&page.page);
            // The row about the export was written meanwhile.
            let events = page
                .events
                .iter()
                .filter(|event| event.id != self.record.id);
            for event in events {
                self.format.row(event, &mut text);
                self.rows += 1;
            }
        }
        let Some(compressor) = &mut self.compressor else {
            return Ok(Bytes::new());
        };
        let mut part = compressor.add(&text)?;
        if self.seek.is_none()
            && let Some(compressor) = self.compressor.take()
        {
            part.extend(compressor.finish()?);
            self.record.end(Outcome::Success, self.rows);
        }
        Ok(part.into())
    }
}

impl Drop for Running {
    /// The client left.
    fn drop(&mut self) {
        self.record.end(Outcome::Aborted, self.rows);
    }
}

/// How many events are read at once.
const PART: PageSize = match PageSize::new(250) {
    Ok(size) => size,
    Err(_) => PageSize::MAX,
};
