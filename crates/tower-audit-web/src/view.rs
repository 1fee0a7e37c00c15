//! The trail as one caller may see it: the one place that keeps tenants apart and hides what is personal.

use std::{sync::Arc, time::Instant};

use tower_audit_core::{
    AuditEvent, EventId, Filter, Page, PageSize, Seek,
    changes::{ChangeCursor, ChangeFilter},
    search::Field,
    store::{Buckets, Count, Histogram, TailPosition, Top},
};

use crate::{
    access::Access,
    change::Change,
    event::Event,
    problem::Problem,
    reader::{DynChanges, DynReader},
    web::{AuditWeb, Settings},
};

/// The trail as one caller may see it. Nothing else holds a reader.
///
/// **Invariant:** whatever leaves it belongs to the tenant of the [`Access`], and says nothing that the access hides.
#[derive(Clone)]
pub(crate) struct View {
    reader: Arc<dyn DynReader>,
    changes: Option<Arc<dyn DynChanges>>,
    #[cfg(feature = "ai")]
    ai: Option<Arc<dyn crate::ai::DynTrails>>,
    access: Access,
    settings: Arc<Settings>,
}

/// A filter that was looked at: it asks for nothing that is hidden.
#[derive(Clone, Debug)]
pub(crate) struct Allowed(Filter);

/// A page as one caller may see it.
#[derive(Debug)]
pub(crate) struct ShownPage {
    pub(crate) events: Vec<Event>,
    pub(crate) page: Page,
}

/// What happened around an event, as one caller may see it.
#[derive(Debug)]
pub(crate) struct ShownRelated {
    pub(crate) same_request: Vec<Event>,
    pub(crate) before: Vec<Event>,
    pub(crate) after: Vec<Event>,
}

/// Some changes of rows, newest first, as one caller may see them.
#[derive(Debug, Default)]
pub(crate) struct ShownChanges {
    pub(crate) changes: Vec<Change>,
    pub(crate) older: Option<ChangeCursor>,
}

/// What became visible, as one caller may see it.
#[derive(Debug)]
pub(crate) struct ShownTail {
    pub(crate) events: Vec<(Event, TailPosition)>,
    pub(crate) position: TailPosition,
    pub(crate) has_more: bool,
}

impl View {
    pub(crate) fn new(web: &AuditWeb, access: Access) -> Self {
        Self {
            reader: web.reader.clone(),
            changes: web.changes.clone(),
            #[cfg(feature = "ai")]
            ai: web.ai.clone(),
            access,
            settings: web.settings.clone(),
        }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Returns whether there is a page of calls of models.
    pub(crate) fn has_ai(&self) -> bool {
        #[cfg(feature = "ai")]
        return self.ai.is_some();
        #[cfg(not(feature = "ai"))]
        false
    }

    /// Returns where trails are read. Who gets it has to see to what the caller may see.
    #[cfg(feature = "ai")]
    pub(crate) fn trails_reader(&self) -> Result<&dyn crate::ai::DynTrails, Problem> {
        self.ai.as_deref().ok_or_else(Problem::no_such_page)
    }

    /// Refuses a search for what is hidden: its answer would tell what it hides.
    pub(crate) fn allow(&self, filter: Filter) -> Result<Allowed, Problem> {
        let hidden = Field::ALL
            .iter()
            .find(|field| !self.sees(**field) && filter.asks_about(**field));
        match hidden {
            Some(field) => Err(Problem::hidden(*field)),
            None => Ok(Allowed(filter)),
        }
    }

    /// Returns whether the caller may see the field.
    pub(crate) fn sees(&self, field: Field) -> bool {
        self.access.sees_personal_data || !field.is_personal()
    }

    pub(crate) async fn get(&self, id: EventId) -> Result<Event, Problem> {
        Ok(self.shown(&self.raw(id).await?))
    }

    async fn raw(&self, id: EventId) -> Result<AuditEvent, Problem> {
        let event = self.reader.get(id).await?;
        // That of another tenant is not there: a caller cannot tell the two apart.
        event
            .filter(|event| self.scope(Filter::new()).matches(event))
            .ok_or_else(Problem::no_such_event)
    }

    /// Returns a page. Where few of many rows pass it goes on looking for a while.
    pub(crate) async fn page(
        &self,
        filter: &Allowed,
        seek: Seek,
        size: PageSize,
    ) -> Result<ShownPage, Problem> {
        let filter = self.scope(filter.0.clone());
        let begun = Instant::now();
        let mut page = self.reader.page(&filter, seek, size).await?;
        while page.stopped_at.is_some()
            && page.events.len() < usize::from(size.events())
            && begun.elapsed() < self.settings.patience
        {
            let (Some(next), Ok(room)) = (seek.after(&page), room(size, &page)) else {
                break;
            };
            let more = self.reader.page(&filter, next, room).await?;
            page = joined(page, more, seek);
        }
        let events = page.events.iter().map(|event| self.shown(event)).collect();
        Ok(ShownPage { events, page })
    }

    pub(crate) async fn histogram(
        &self,
        filter: &Allowed,
        buckets: Buckets,
    ) -> Result<Histogram, Problem> {
        let filter = self.scope(filter.0.clone());
        Ok(self.reader.histogram(&filter, buckets).await?)
    }

    pub(crate) async fn top(
        &self,
        filter: &Allowed,
        field: Field,
        size: PageSize,
    ) -> Result<Top, Problem> {
        if !self.sees(field) {
            return Err(Problem::hidden(field));
        }
        let filter = self.scope(filter.0.clone());
        Ok(self.reader.top(&filter, field, size).await?)
    }

    pub(crate) async fn estimate(&self, filter: &Allowed) -> Result<Count, Problem> {
        Ok(self.reader.estimate(&self.scope(filter.0.clone())).await?)
    }

    pub(crate) async fn related(
        &self,
        id: EventId,
        size: PageSize,
    ) -> Result<ShownRelated, Problem> {
        let event = self.raw(id).await?;
        let within = self.scope(Filter::new());
        let related = self.reader.related(&event, &within, size).await?;
        let shown =
            |events: Vec<AuditEvent>| events.iter().map(|event| self.shown(event)).collect();
        Ok(ShownRelated {
            same_request: shown(related.same_request),
            before: shown(related.before),
            after: shown(related.after),
        })
    }

    /// Returns the changes of rows that belong to an event: none if nobody says where they are read from.
    pub(crate) async fn changes(
        &self,
        id: EventId,
        older_than: Option<ChangeCursor>,
        size: PageSize,
    ) -> Result<ShownChanges, Problem> {
        // Who may not see the event may not see what it changed.
        let event = self.raw(id).await?;
        let Some(reader) = &self.changes else {
            return Ok(ShownChanges::default());
        };
        let filter = ChangeFilter::new().event(event.id());
        let filter = match &self.access.tenant {
            Some(tenant) => filter.tenant(tenant),
            None => filter,
        };
        let page = reader.changes(&filter, older_than, size).await?;
        let changes = page.changes.iter();
        Ok(ShownChanges {
            changes: changes
                .map(|change| Change::of(change, self.access.sees_personal_data))
                .collect(),
            older: page.older,
        })
    }

    /// Returns what became visible since a position, or that of now.
    pub(crate) async fn tail(
        &self,
        filter: &Allowed,
        position: Option<&TailPosition>,
    ) -> Result<ShownTail, Problem> {
        let filter = self.scope(filter.0.clone());
        let tail = self.reader.tail(position, TAIL).await?;
        let passing = tail
            .events
            .into_iter()
            .filter(|(event, _)| filter.matches(event));
        Ok(ShownTail {
            events: passing
                .map(|(event, after)| (self.shown(&event), after))
                .collect(),
            position: tail.position,
            has_more: tail.has_more,
        })
    }

    /// Returns the filter within what the caller may see.
    fn scope(&self, filter: Filter) -> Filter {
        match &self.access.tenant {
            Some(tenant) => filter.and(Filter::new().tenant_id(tenant)),
            None => filter,
        }
    }

    fn shown(&self, event: &AuditEvent) -> Event {
        Event::of(event, self.access.sees_personal_data)
    }
}

/// Returns how many more events fit on the page.
fn room(size: PageSize, page: &Page) -> Result<PageSize, ()> {
    let taken = u16::try_from(page.events.len()).map_err(drop)?;
    PageSize::new(size.events().saturating_sub(taken)).map_err(drop)
}

/// Joins a page with the one that follows it.
fn joined(mut page: Page, more: Page, seek: Seek) -> Page {
    page.stopped_at = more.stopped_at;
    if seek.is_forward() {
        page.newer = more.newer;
        page.events.splice(0..0, more.events);
    } else {
        page.older = more.older;
        page.events.extend(more.events);
    }
    page
}

/// How many new rows are looked at together.
const TAIL: PageSize = match PageSize::new(200) {
    Ok(size) => size,
    Err(_) => PageSize::MAX,
};
