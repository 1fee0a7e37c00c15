//! SQLite.

mod append;
mod error;
mod json;
mod read;
mod source;
mod store;

pub use store::{SqliteStore, SqliteStoreBuilder};
