//! placeholder

mod baseline;
mod error;
mod history;
mod mask_key;
mod migrate;
mod names;
mod partitions;
mod read;
mod revert;
mod track;
mod transaction;

pub use error::HistoryError;
pub use history::{History, HistoryBuilder};
pub use mask_key::{MaskKey, MaskKeyError};
pub use names::IdentifierError;
pub use partitions::{Dropped, HistoryPartition};
pub use read::AsOf;
pub use revert::Revert;
pub use track::{Finding, Track, TrackedTable, Triggers, WithoutContext};
pub use transaction::{AuditedTransaction, Begin};
