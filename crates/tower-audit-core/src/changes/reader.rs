//! Whoever reads changes back.

use super::{ChangeCursor, ChangeFilter, ChangePage};
use crate::store::{PageSize, StoreError};

/// Reads changes of rows back.
pub trait ChangeReader: Send + Sync + 'static {
    /// Returns the newest changes that pass the filter, or those that are older than a position.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn changes(
        &self,
        filter: &ChangeFilter,
        older_than: Option<ChangeCursor>,
        size: PageSize,
    ) -> impl Future<Output = Result<ChangePage, StoreError>> + Send;
}
