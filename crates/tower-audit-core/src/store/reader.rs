//! The trait of whoever answers questions about events.

use super::{Cursor, Filter, Page, PageSize, StoreError};
use crate::event::{AuditEvent, EventId};

/// Answers questions about the events of a store.
pub trait EventReader: Send + Sync + 'static {
    /// Returns the event with this id.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn get(
        &self,
        id: EventId,
    ) -> impl Future<Output = Result<Option<AuditEvent>, StoreError>> + Send;

    /// Returns the newest events that pass the filter, newest first; after a cursor, the ones older
    /// than it.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        size: PageSize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;
}
