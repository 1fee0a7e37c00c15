//! The trait of whoever answers questions about events.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Buckets, Count, Cursor, Histogram, Page, PageSize, Related, Seek, StoreError, Tail,
    TailPosition, Top, stream::EventStream,
};
use crate::{
    event::{AuditEvent, EventId},
    search::{Field, Filter},
};

/// Answers questions about the events of a store.
///
/// No answer takes longer because the trail is long: a store looks at a bounded number of rows for each,
/// and says so if that was not all.
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

    /// Returns some events that pass the filter: the newest, the oldest, or those next to a position.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn page(
        &self,
        filter: &Filter,
        seek: Seek,
        size: PageSize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Counts the events that pass the filter by time and outcome.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn histogram(
        &self,
        filter: &Filter,
        buckets: Buckets,
    ) -> impl Future<Output = Result<Histogram, StoreError>> + Send;

    /// Counts the events that pass the filter by the value of a field, the most frequent first, and returns
    /// at most `size` values. Fields that hold JSON have none.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn top(
        &self,
        filter: &Filter,
        field: Field,
        size: PageSize,
    ) -> impl Future<Output = Result<Top, StoreError>> + Send;

    /// Returns roughly how many events pass the filter.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn estimate(&self, filter: &Filter) -> impl Future<Output = Result<Count, StoreError>> + Send;

    /// Returns the events that were written or completed since `position`, in the order in which they became
    /// visible, whatever their time; without a position none, and that of now.
    ///
    /// None is missed, also not one whose transaction took long: the position knows which were still open.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn tail(
        &self,
        position: Option<&TailPosition>,
        size: PageSize,
    ) -> impl Future<Output = Result<Tail, StoreError>> + Send;

    /// Returns what happened around an event, within a filter: in the same request, and by the same actor.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Unavailable`] if asking again may help.
    fn related(
        &self,
        event: &AuditEvent,
        within: &Filter,
        size: PageSize,
    ) -> impl Future<Output = Result<Related, StoreError>> + Send {
        related(self, event, within, size)
    }

    /// Returns all events that pass the filter, from `seek` on, newest first or, from the oldest on, oldest
    /// first. It holds one page in memory, and no connection while nobody asks for the next.
    fn stream(&self, filter: Filter, seek: Seek) -> EventStream<'_, Self>
    where
        Self: Sized,
    {
        EventStream::new(self, filter, seek)
    }
}

/// Returns a page that goes on a few times where few of many rows pass.
async fn patient<R: EventReader + ?Sized>(
    reader: &R,
    filter: &Filter,
    seek: Seek,
    size: PageSize,
) -> Result<Vec<AuditEvent>, StoreError> {
    let (mut found, mut next) = (Vec::new(), Some(seek));
    for _ in 0..ROUNDS {
        let Some(from) = next else { break };
        let page = reader.page(filter, from, size).await?;
        next = page.stopped_at.and_then(|_| from.after(&page));
        if seek.is_forward() {
            found.splice(0..0, page.events);
        } else {
            found.extend(page.events);
        }
        if found.len() >= usize::from(size.events()) {
            break;
        }
    }
    let surplus = found.len().saturating_sub(size.events().into());
    if seek.is_forward() {
        // The nearest are the oldest.
        found.drain(..surplus);
    } else {
        found.truncate(size.events().into());
    }
    Ok(found)
}

/// How often a search for what is related goes on.
const ROUNDS: usize = 5;

async fn related<R: EventReader + ?Sized>(
    reader: &R,
    event: &AuditEvent,
    within: &Filter,
    size: PageSize,
) -> Result<Related, StoreError> {
    let at = Cursor::at(event);
    let mut same_request = Vec::new();
    if let Some(id) = event.request_id() {
        let near = within
            .clone()
            .and(around(event.created_at()).request_id(id));
        let older = patient(reader, &near, Seek::OlderThan(at), size).await?;
        let newer = patient(reader, &near, Seek::NewerThan(at), size).await?;
        same_request = newer;
        same_request.extend(older);
        same_request.truncate(usize::from(size.events()));
    }
    let actor = event.actor();
    let by_actor = within
        .clone()
        .and(Filter::new().actor_id(actor.id()).actor_kind(actor.kind()));
    Ok(Related {
        same_request,
        before: patient(reader, &by_actor, Seek::OlderThan(at), size).await?,
        after: patient(reader, &by_actor, Seek::NewerThan(at), size).await?,
    })
}

/// The rows of one request are no further apart than this.
fn around(time: DateTime<Utc>) -> Filter {
    let room = TimeDelta::minutes(15);
    let from = time.checked_sub_signed(room).unwrap_or(time);
    let until = time.checked_add_signed(room).unwrap_or(time);
    Filter::new().from(from).until(until)
}
