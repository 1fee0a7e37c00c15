//! SQLite.

mod append;
mod error;
mod json;
mod read;
mod retention;
mod source;
mod store;

pub use store::{SqliteStore, SqliteStoreBuilder};
