//! Which rows of the app's own tables each request changed, from what to what.
//!
//! An event says that alice updated a job; a [`RowChange`] says that its schedule went from A to B, by the same request. Changes are
//! recorded by triggers in the database (see [tower-audit-history](https://docs.rs/tower-audit-history)), so that they also know
//! of what never passed the app. Here are the words, and the trait of whoever reads them back: [`ChangeReader`].
//!
//! ```
//! use serde_json::json;
//! use tower_audit_core::changes::{ChangeFilter, TableName};
//!
//! // What happened to one row, ever.
//! let table: TableName = "public.jobs".parse()?;
//! let filter = ChangeFilter::new().row(table, json!({"id": 7}));
//! # Ok::<_, tower_audit_core::changes::ParseTableNameError>(())
//! ```
//!
//! # What it does not do
//!
//! A [`ChangeContext`] is what the app says of itself: the database believes it. Who was connected is beside it
//! ([`RowChange::database_user`]), and nobody can claim that.

mod context;
mod filter;
mod page;
mod reader;
mod row_change;
mod table_name;
mod words;

pub use context::ChangeContext;
pub use filter::ChangeFilter;
pub use page::{ChangeCursor, ChangePage, ParseChangeCursorError};
pub use reader::ChangeReader;
pub use row_change::{Columns, FieldChange, Hidden, RowChange};
pub use table_name::{ParseTableNameError, TableName};
pub use words::{Operation, ParseOperationError};
