//! What both dialects read and write: the same columns in the same order, and one mapping.

use std::{net::IpAddr, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{ColumnIndex, Decode, Row, Type};
use tower_audit_core::{
    Actor, ActorKind, AuditEvent, AuditEventBuilder as Builder, BoxError, Captured, Cursor,
    EventId, Metadata, Outcome, StoreError, Target,
};
use uuid::Uuid;

use crate::query::{Edge, Group};

/// The columns that a writer fills, in the order of every INSERT.
pub(crate) const WRITTEN: &str = "id, actor_id, actor_type, action, target_type, target_id, metadata, ip_address, \
     user_agent, created_at, outcome, reason, status, method, route, path, duration_us, request_id, trace_id, \
     tenant_id, actor_name, auth_method, credential_id, on_behalf_of, peer_address, service, captured";

/// Reads an event from a row. Both dialects select times as microseconds, whole numbers as 64 bits
/// and everything else but the id as text.
pub(crate) fn event<'r, R: Row>(row: &'r R) -> Result<AuditEvent, StoreError>
where
    &'static str: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    let row = Fields(row);
    let actor = Actor::new(
        row.parsed::<ActorKind>("actor_type")?,
        row.text("actor_id")?,
    )
    .maybe(row.maybe_text("actor_name")?, Actor::name)
    .maybe(row.maybe_text("auth_method")?, Actor::auth_method)
    .maybe(row.maybe_text("credential_id")?, Actor::credential_id)
    .maybe(row.maybe_text("on_behalf_of")?, Actor::on_behalf_of);
    let target = Target::new(row.text("target_type")?, row.text("target_id")?);
    let event = AuditEvent::builder(actor, row.text("action")?, target)
        .id(EventId::from_uuid(row.get::<Uuid>("id")?))
        .created_at(row.time("created_at")?)
        .recorded_at(row.time("recorded_at")?)
        .outcome(row.parsed::<Outcome>("outcome")?)
        .all_metadata(row.metadata()?)
        .maybe(row.captured()?, Builder::captured)
        .maybe(
            row.maybe_parsed::<IpAddr>("ip_address")?,
            Builder::ip_address,
        )
        .maybe(
            row.maybe_parsed::<IpAddr>("peer_address")?,
            Builder::peer_address,
        )
        .maybe(row.maybe_number::<u16>("status")?, Builder::status)
        .maybe(
            row.maybe_number("duration_us")?.map(Duration::from_micros),
            Builder::duration,
        )
        .maybe(row.maybe_text("reason")?, Builder::reason)
        .maybe(row.maybe_text("user_agent")?, Builder::user_agent)
        .maybe(row.maybe_text("method")?, Builder::method)
        .maybe(row.maybe_text("route")?, Builder::route)
        .maybe(row.maybe_text("path")?, Builder::path)
        .maybe(row.maybe_text("request_id")?, Builder::request_id)
        .maybe(row.maybe_text("trace_id")?, Builder::trace_id)
        .maybe(row.maybe_text("tenant_id")?, Builder::tenant_id)
        .maybe(row.maybe_text("service")?, Builder::service);
    Ok(event.build())
}

/// A row whose columns are asked for by name.
struct Fields<'r, R>(&'r R);

impl<'r, R: Row> Fields<'r, R>
where
    &'static str: ColumnIndex<R>,
{
    fn get<T: Decode<'r, R::Database> + Type<R::Database>>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        self.0.try_get(column).map_err(unreadable)
    }

    fn text(&self, column: &'static str) -> Result<String, StoreError>
    where
        String: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.get(column)
    }

    fn maybe_text(&self, column: &'static str) -> Result<Option<String>, StoreError>
    where
        Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.get(column)
    }

    fn parsed<T: FromStr<Err: Into<BoxError>>>(&self, column: &'static str) -> Result<T, StoreError>
    where
        String: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.text(column)?
            .parse()
            .map_err(|error: T::Err| StoreError::Unreadable(error.into()))
    }

    /// Reads an optional value. One that cannot be read counts as not there: somebody else wrote
    /// it, and it must not hide the rest of the row, or of the page.
    fn maybe_parsed<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    {
        Ok(self.maybe_text(column)?.and_then(|text| text.parse().ok()))
    }

    /// Reads an optional number, as [`maybe_parsed`](Self::maybe_parsed) does.
    fn maybe_number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    {
        let number: Option<i64> = self.get(column)?;
        Ok(number.and_then(|number| T::try_from(number).ok()))
    }

    /// Reads the metadata. What cannot be read counts as cut.
    fn metadata(&self) -> Result<Metadata, StoreError>
    where
        String: Decode<'r, R::Database> + Type<R::Database>,
    {
        Ok(object(&self.text("metadata")?))
    }

    /// Reads what was captured, as [`metadata`](Self::metadata) is read.
    fn captured(&self) -> Result<Option<Metadata>, StoreError>
    where
        Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    {
        Ok(self.maybe_text("captured")?.as_deref().map(object))
    }

    fn time(&self, column: &'static str) -> Result<DateTime<Utc>, StoreError>
    where
        i64: Decode<'r, R::Database> + Type<R::Database>,
    {
        let micros: i64 = self.get(column)?;
        // Somebody else may have written a time that nobody can show. It is shown as the nearest one: a row must not hide the
        // others.
        let shown = micros.clamp(FIRST_MICROS, LAST_MICROS);
        DateTime::from_timestamp_micros(shown)
            .ok_or_else(|| StoreError::Unreadable(Box::new(TimeOutOfRange(micros))))
    }
}

/// Returns an object that was stored. What cannot be read counts as cut.
fn object(text: &str) -> Metadata {
    serde_json::from_str(text).unwrap_or_else(|_| Metadata::from_iter([(Metadata::CUT, 1)]))
}

fn unreadable(error: impl Into<BoxError>) -> StoreError {
    StoreError::Unreadable(error.into())
}

/// The first and the last moment that RFC 3339 can write: of the years 1 to 9999.
const FIRST_MICROS: i64 = -62_135_596_800_000_000;
const LAST_MICROS: i64 = 253_402_300_799_999_999;

#[derive(Debug, thiserror::Error)]
#[error("{0} microseconds is no time that can be shown")]
struct TimeOutOfRange(i64);

/// Reads a group of a count.
pub(crate) fn group<'r, R: Row>(row: &'r R) -> Result<Group, StoreError>
where
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    let row = Fields(row);
    Ok(Group {
        label: row.maybe_text("label")?,
        number: row.get("number")?,
        amount: row.get("amount")?,
    })
}

/// A hold as it is stored: its search may be one of a newer version.
#[derive(Clone, Debug)]
pub(crate) struct StoredHold {
    pub(crate) name: String,
    pub(crate) search: String,
    pub(crate) reason: String,
    pub(crate) placed_at: DateTime<Utc>,
    pub(crate) placed_by: Option<String>,
}

/// Reads a hold.
pub(crate) fn hold<'r, R: Row>(row: &'r R) -> Result<StoredHold, StoreError>
where
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    let row = Fields(row);
    Ok(StoredHold {
        name: row.text("name")?,
        search: row.text("search")?,
        reason: row.text("reason")?,
        placed_at: row.time("placed_at")?,
        placed_by: row.maybe_text("placed_by")?,
    })
}

/// Reads where a window ends.
pub(crate) fn edge<'r, R: Row>(row: &'r R) -> Result<Edge, StoreError>
where
    &'static str: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let row = Fields(row);
    let id = EventId::from_uuid(row.get::<Uuid>("id")?);
    Ok(Edge {
        rows: row.get("amount")?,
        last: Cursor::new(row.time("created_us")?, id),
    })
}

/// Returns the metadata as JSON text.
pub(crate) fn metadata_text(event: &AuditEvent) -> String {
    if event.metadata().is_empty() {
        return "{}".to_owned();
    }
    // A map of JSON values always serializes.
    serde_json::to_string(event.metadata()).unwrap_or_else(|_| "{}".to_owned())
}

/// Returns what was captured as JSON text.
pub(crate) fn captured_text(event: &AuditEvent) -> Option<&str> {
    event.captured().map(Captured::as_json)
}

/// Returns the duration as the column keeps it.
pub(crate) fn duration_us(event: &AuditEvent) -> Option<i64> {
    event
        .duration()
        .and_then(|duration| i64::try_from(duration.as_micros()).ok())
}
