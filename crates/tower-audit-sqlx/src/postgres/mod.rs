//! Postgres.

mod append;
mod error;
mod json;
pub mod partitions;
mod privileges;
mod read;
mod reading;
mod retention;
mod roles;
mod snapshot;
mod source;
mod statements;
mod store;

pub use roles::Roles;
pub use store::{PgStore, PgStoreBuilder};
