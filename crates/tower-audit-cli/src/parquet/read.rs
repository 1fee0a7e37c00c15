//! Reads them back, also from files that somebody else wrote with the same columns.

use std::fs::File;

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat};
use parquet::{
    file::serialized_reader::SerializedFileReader,
    record::{Field, Row, reader::RowIter},
};
use serde_json::{Map, Value};
use tower_audit_core::AuditEvent;

/// The events of a file, in its order.
pub(crate) struct Rows {
    rows: RowIter<'static>,
}

impl Rows {
    pub(crate) fn of(file: File) -> anyhow::Result<Self> {
        let file = SerializedFileReader::new(file).context("this is no Parquet file")?;
        Ok(Self {
            rows: file.into_iter(),
        })
    }
}

impl Iterator for Rows {
    type Item = anyhow::Result<AuditEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.map_err(anyhow::Error::from).and_then(|row| event(&row)))
    }
}

fn event(row: &Row) -> anyhow::Result<AuditEvent> {
    let mut object = Map::new();
    for (name, field) in row.get_column_iter() {
        if let Some(value) = value(name, field)? {
            object.insert(name.clone(), value);
        }
    }
    Ok(serde_json::from_value(Value::Object(object))?)
}

/// Returns the value as the JSON of an event has it.
fn value(name: &str, field: &Field) -> anyhow::Result<Option<Value>> {
    let time = |micros: i64| {
        let time = DateTime::from_timestamp_micros(micros);
        let time = time.with_context(|| format!("`{name}` is no time"))?;
        anyhow::Ok(Value::String(
            time.to_rfc3339_opts(SecondsFormat::Micros, true),
        ))
    };
    Ok(Some(match field {
        Field::Null => return Ok(None),
        Field::Str(text) if is_json(name) => {
            serde_json::from_str(text).with_context(|| format!("`{name}` is no JSON"))?
        }
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) if is_json(name) => {
            serde_json::from_slice(bytes.data()).with_context(|| format!("`{name}` is no JSON"))?
        }
        Field::Bytes(bytes) => match <[u8; 16]>::try_from(bytes.data()) {
            Ok(id) if name == "id" => Value::String(uuid::Uuid::from_bytes(id).to_string()),
            _ => Value::String(
                String::from_utf8(bytes.data().to_vec())
                    .ok()
                    .with_context(|| format!("`{name}` is no text"))?,
            ),
        },
        Field::TimestampMicros(micros) => time(*micros)?,
        Field::TimestampMillis(millis) => time(millis.saturating_mul(1_000))?,
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::Int(number) => (*number).into(),
        Field::Long(number) => (*number).into(),
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => (*number).into(),
        _ => anyhow::bail!("`{name}` has a type that no column of an event has"),
    }))
}

fn is_json(name: &str) -> bool {
    matches!(name, "metadata" | "captured")
}
