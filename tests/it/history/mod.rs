//! The history of tables: what the triggers record, and what of it is found again.

mod semantics;
mod support;
