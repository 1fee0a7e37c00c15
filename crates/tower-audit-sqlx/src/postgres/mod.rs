//! Postgres.

mod append;
mod error;
mod json;
mod read;
mod reading;
mod snapshot;
mod source;
mod store;

pub use store::{PgStore, PgStoreBuilder};
