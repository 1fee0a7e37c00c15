//! The columns, named like those of the table.

use std::{borrow::Cow, sync::Arc};

use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    errors::Result,
    schema::types::{Type, TypePtr},
};
use tower_audit_core::AuditEvent;

/// What a column has in a row.
pub(super) enum Cell<'a> {
    Nothing,
    Id([u8; 16]),
    Number(i64),
    Text(Cow<'a, str>),
}

/// What a column has in every row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    /// Microseconds, in UTC.
    Time,
    Number,
    Text,
    Json,
}

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_optional: bool,
    pub(super) cell: fn(&AuditEvent) -> Cell<'_>,
}

impl Column {
    fn schema(&self) -> Result<TypePtr> {
        let (physical, logical) = match self.kind {
            Kind::Id => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)),
            Kind::Time => {
                let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
                (Physical::INT64, Some(micros))
            }
            Kind::Number => (Physical::INT64, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        };
        let repetition = if self.is_optional {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        };
        let column = Type::primitive_type_builder(self.name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .with_length(if self.kind == Kind::Id { 16 } else { -1 });
        Ok(Arc::new(column.build()?))
    }
}

/// Returns the schema of a file.
pub(super) fn schema() -> Result<TypePtr> {
    let columns: Result<Vec<TypePtr>> = COLUMNS.iter().map(Column::schema).collect();
    let group = Type::group_type_builder("audit_event").with_fields(columns?);
    Ok(Arc::new(group.build()?))
}

fn maybe(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Nothing, |text| Cell::Text(text.into()))
}

fn number(number: Option<i64>) -> Cell<'static> {
    number.map_or(Cell::Nothing, Cell::Number)
}

const fn required(name: &'static str, kind: Kind, cell: fn(&AuditEvent) -> Cell<'_>) -> Column {
    Column {
        name,
        kind,
        is_optional: false,
        cell,
    }
}

const fn optional(name: &'static str, kind: Kind, cell: fn(&AuditEvent) -> Cell<'_>) -> Column {
    Column {
        name,
        kind,
        is_optional: true,
        cell,
    }
}

/// All of them, in the order of the table.
pub(super) const COLUMNS: &[Column] = &[
    required("id", Kind::Id, |event| {
        Cell::Id(event.id().as_uuid().into_bytes())
    }),
    required("created_at", Kind::Time, |event| {
        Cell::Number(event.created_at().timestamp_micros())
    }),
    required("actor_type", Kind::Text, |event| {
        Cell::Text(event.actor().kind().as_str().into())
    }),
    required("actor_id", Kind::Text, |event| {
        Cell::Text(event.actor().id().into())
    }),
    required("action", Kind::Text, |event| {
        Cell::Text(event.action().into())
    }),
    required("target_type", Kind::Text, |event| {
        Cell::Text(event.target().kind().into())
    }),
    required("target_id", Kind::Text, |event| {
        Cell::Text(event.target().id().into())
    }),
    required("outcome", Kind::Text, |event| {
        Cell::Text(event.outcome().as_str().into())
    }),
    optional("reason", Kind::Text, |event| maybe(event.reason())),
    required("metadata", Kind::Json, |event| {
        let json = serde_json::to_string(event.metadata());
        Cell::Text(json.unwrap_or_else(|_| "{}".to_owned()).into())
    }),
    optional("ip_address", Kind::Text, |event| {
        let address = event.ip_address().map(|address| address.to_string());
        address.map_or(Cell::Nothing, |address| Cell::Text(address.into()))
    }),
    optional("user_agent", Kind::Text, |event| maybe(event.user_agent())),
    optional("status", Kind::Number, |event| {
        number(event.status().map(i64::from))
    }),
    optional("method", Kind::Text, |event| maybe(event.method())),
    optional("route", Kind::Text, |event| maybe(event.route())),
    optional("path", Kind::Text, |event| maybe(event.path())),
    optional("duration_us", Kind::Number, |event| {
        let micros = event.duration().map(|duration| duration.as_micros());
        number(micros.and_then(|micros| i64::try_from(micros).ok()))
    }),
    optional("request_id", Kind::Text, |event| maybe(event.request_id())),
    optional("trace_id", Kind::Text, |event| maybe(event.trace_id())),
    optional("tenant_id", Kind::Text, |event| maybe(event.tenant_id())),
    optional("actor_name", Kind::Text, |event| {
        maybe(event.actor().display_name())
    }),
    optional("auth_method", Kind::Text, |event| {
        maybe(event.actor().method())
    }),
    optional("credential_id", Kind::Text, |event| {
        maybe(event.actor().credential())
    }),
    optional("on_behalf_of", Kind::Text, |event| {
        maybe(event.actor().principal())
    }),
    optional("peer_address", Kind::Text, |event| {
        let address = event.peer_address().map(|address| address.to_string());
        address.map_or(Cell::Nothing, |address| Cell::Text(address.into()))
    }),
    optional("service", Kind::Text, |event| maybe(event.service())),
    optional("captured", Kind::Json, |event| {
        maybe(event.captured().map(|captured| captured.as_json()))
    }),
    optional("recorded_at", Kind::Time, |event| {
        number(event.recorded_at().map(|at| at.timestamp_micros()))
    }),
];
