//! All events that pass a filter, a page at a time.

use std::{collections::VecDeque, fmt};

use super::{EventReader, PageSize, Seek, StoreError};
use crate::{event::AuditEvent, search::Filter};

/// All events that pass a filter, made by [`EventReader::stream`].
///
/// It holds one page in memory. Dropping it, or a future of it, costs nothing: what was read of the page at
/// hand is still there for the next call.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tower_audit_core::{EventReader, Filter, MemoryStore, Seek};
///
/// let store = MemoryStore::new();
/// let mut events = store.stream("actor:alice".parse().unwrap(), Seek::Oldest);
/// while let Some(event) = events.next().await? {
///     println!("{}", event.action());
/// }
/// # Ok::<_, tower_audit_core::StoreError>(()) }).unwrap();
/// ```
pub struct EventStream<'a, R> {
    reader: &'a R,
    filter: Filter,
    /// Where the next page begins, or `None` after the last one.
    seek: Option<Seek>,
    page: VecDeque<AuditEvent>,
    size: PageSize,
}

impl<'a, R: EventReader> EventStream<'a, R> {
    pub(super) fn new(reader: &'a R, filter: Filter, seek: Seek) -> Self {
        Self {
            reader,
            filter,
            seek: Some(seek),
            page: VecDeque::new(),
            size: PageSize::MAX,
        }
    }

    /// Sets how many events it reads at once. Defaults to 1,000.
    #[must_use]
    pub fn page_size(mut self, size: PageSize) -> Self {
        self.size = size;
        self
    }

    /// Returns the next event, or `None` after the last one.
    ///
    /// # Errors
    ///
    /// Returns the error of the store. The next call asks for the same page again.
    pub async fn next(&mut self) -> Result<Option<AuditEvent>, StoreError> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(event));
            }
            let Some(seek) = self.seek else {
                return Ok(None);
            };
            let page = self.reader.page(&self.filter, seek, self.size).await?;
            let after = seek.after(&page);
            // Rows of a time that cannot be shown are shown as of another one: nobody would get past many of them.
            let goes_on = after.and_then(Seek::cursor);
            if goes_on.is_some_and(|position| !seek.reaches(position)) {
                return Err(StoreError::Unreadable(Box::new(NoWayOn)));
            }
            self.seek = after;
            self.page = page.events.into();
            if seek.is_forward() {
                self.page.make_contiguous().reverse();
            }
        }
    }

    /// Returns the rest of the page at hand or, if there is none, the next one; empty after the last.
    ///
    /// # Errors
    ///
    /// Returns the error of the store. The next call asks for the same page again.
    pub async fn next_page(&mut self) -> Result<Vec<AuditEvent>, StoreError> {
        match self.next().await? {
            None => Ok(Vec::new()),
            Some(first) => {
                let rest = std::mem::take(&mut self.page);
                Ok(std::iter::once(first).chain(rest).collect())
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "there are too many rows of times that cannot be shown, before the year 1 or beyond the year 9999, to read on"
)]
struct NoWayOn;

impl<R> fmt::Debug for EventStream<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("filter", &self.filter)
            .field("seek", &self.seek)
            .finish_non_exhaustive()
    }
}
