//! Reads the history: what happened to a row, in a request, by an actor; and what a row was.

mod as_of;
mod exact;
mod live;
mod query;
mod row;
mod stream;
mod walk;

pub(crate) use live::{Live, record};
pub use walk::AsOf;
