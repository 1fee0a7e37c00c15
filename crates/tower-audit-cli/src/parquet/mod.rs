//! Parquet files of events: a column for each column of the table.

mod columns;
mod read;
mod write;

pub(crate) use self::{read::Rows, write::Writer};
