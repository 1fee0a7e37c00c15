//! What was done to a row.

use crate::event::words;

words! {
    /// What was done to a row.
    Operation, ParseOperationError, "an operation is `insert`, `update`, `delete`, `truncate` or `baseline`" {
        /// The row was inserted.
        Insert = "insert",
        /// Some columns of the row got other values.
        Update = "update",
        /// The row was deleted.
        Delete = "delete",
        /// All rows of the table, or of one of its partitions, were deleted at once. Which they were is not known.
        Truncate = "truncate",
        /// The row was there when its history began: nobody changed it.
        Baseline = "baseline",
    }
}
