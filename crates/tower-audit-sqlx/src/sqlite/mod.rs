//! SQLite.

mod append;
mod error;
mod read;
mod store;

pub use store::{SqliteStore, SqliteStoreBuilder};
