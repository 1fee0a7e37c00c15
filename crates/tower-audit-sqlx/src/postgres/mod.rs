//! Postgres.

mod append;
mod error;
mod read;
mod store;

pub use store::{PgStore, PgStoreBuilder};
