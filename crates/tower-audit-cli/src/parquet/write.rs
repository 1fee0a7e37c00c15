//! Writes them, a group of rows at a time.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type},
    errors::Result,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
};
use tower_audit_core::AuditEvent;

use super::columns::{COLUMNS, Cell, Column, Kind, schema};

/// Turns events into the bytes of a file.
pub(crate) struct Writer {
    file: SerializedFileWriter<Written>,
    written: Written,
    rows: Vec<AuditEvent>,
}

impl Writer {
    pub(crate) fn new() -> Result<Self> {
        let written = Written::default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("tower-audit ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = SerializedFileWriter::new(written.clone(), schema()?, Arc::new(properties))?;
        Ok(Self {
            file,
            written,
            rows: Vec::with_capacity(ROWS),
        })
    }

    /// Takes an event, and returns what there is to write.
    pub(crate) fn push(&mut self, event: AuditEvent) -> Result<Vec<u8>> {
        self.rows.push(event);
        if self.rows.len() == ROWS {
            self.group()?;
        }
        Ok(self.written.take())
    }

    /// Returns the rest.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        let Self { file, written, .. } = self;
        file.close()?;
        Ok(written.take())
    }

    fn group(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for column in COLUMNS {
            if let Some(mut writer) = group.next_column()? {
                one(column, &self.rows, &mut writer)?;
                writer.close()?;
            }
        }
        group.close()?;
        self.file.flush()?;
        self.rows.clear();
        Ok(())
    }
}

/// Writes a column of these rows.
fn one(
    column: &Column,
    rows: &[AuditEvent],
    writer: &mut SerializedColumnWriter<'_>,
) -> Result<()> {
    let (mut ids, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut levels = Vec::with_capacity(rows.len());
    for row in rows {
        levels.push(1);
        match (column.cell)(row) {
            Cell::Nothing => {
                levels.pop();
                levels.push(0);
            }
            Cell::Id(id) => ids.push(FixedLenByteArray::from(id.to_vec())),
            Cell::Number(number) => numbers.push(number),
            Cell::Text(text) => texts.push(ByteArray::from(text.into_owned().into_bytes())),
        }
    }
    let levels = column.is_optional.then_some(&levels[..]);
    match column.kind {
        Kind::Id => {
            let writer = writer.typed::<FixedLenByteArrayType>();
            writer.write_batch(&ids, levels, None)
        }
        Kind::Time | Kind::Number => {
            let writer = writer.typed::<Int64Type>();
            writer.write_batch(&numbers, levels, None)
        }
        Kind::Text | Kind::Json => {
            let writer = writer.typed::<ByteArrayType>();
            writer.write_batch(&texts, levels, None)
        }
    }?;
    Ok(())
}

/// What was written and not yet taken.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many rows a group has: all of them are in memory.
const ROWS: usize = 20_000;
