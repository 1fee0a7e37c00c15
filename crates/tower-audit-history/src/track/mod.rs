//! Tracking tables: what is made for each, and whether it is still as it was made.
//!
//! - `settings`: what somebody wants. `catalog`: what there is. `table`: both together.
//! - `generate`: the function of the triggers, as text.
//! - `apply`: makes it. `books`: notes it. `verify`: compares it with what it should be, and its `columns` with those that it had.

mod apply;
mod books;
pub(crate) mod catalog;
mod columns;
pub(crate) mod generate;
mod settings;
pub(crate) mod table;
mod triggers;
mod verify;

pub(crate) use books::{Entry, Former, FormerColumn, entries, entry};
pub(crate) use columns::{is_as_noted, with_their_columns};
pub use settings::{Track, Triggers, WithoutContext};
pub(crate) use table::Table;
pub(crate) use triggers::are_there;
pub(crate) use verify::is_not_another;
pub use verify::{Finding, TrackedTable};
