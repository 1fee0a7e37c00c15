//! Events: one, a page, and what is around one.

use axum::{
    Extension, Json,
    extract::{Path, RawQuery},
};
use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use tower_audit_core::{Cursor, EventId};
use utoipa::ToSchema;

use crate::{
    api::openapi::Problems,
    event::Event,
    params::Params,
    problem::{Facts, Problem},
    view::{ShownPage, View},
};

/// Some events, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    events: Vec<Event>,
    /// What to give as `older_than` for the page after this one; null if there are no older events.
    older: Option<String>,
    /// What to give as `newer_than` for the page before this one; null if there are no newer events that somebody
    /// has seen.
    newer: Option<String>,
    /// The moment at which the search stopped, because few of very many events pass: the page is short, and goes on
    /// from `older` or `newer`. Null if it did not stop.
    #[schema(format = DateTime)]
    stopped_at: Option<String>,
}

impl From<ShownPage> for EventPage {
    fn from(ShownPage { events, page }: ShownPage) -> Self {
        let text = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.to_string());
        let stopped_at = page.stopped_at;
        Self {
            events,
            older: text(page.older),
            newer: text(page.newer),
            stopped_at: stopped_at.map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true)),
        }
    }
}

/// A page of events.
#[utoipa::path(
    get, path = "/events", tag = "events",
    params(
        ("q" = Option<String>, Query, description = "The search, such as `actor:alice action:project.* -outcome:success`", example = "outcome:denied"),
        ("limit" = Option<u16>, Query, description = "How many events at most", minimum = 1, maximum = 1000),
        ("older_than" = Option<String>, Query, description = "Events before this position, which `older` of a page is", pattern = "^1[0-9a-f]{48}$"),
        ("newer_than" = Option<String>, Query, description = "Events after this position, which `newer` of a page is; not beside `older_than`", pattern = "^1[0-9a-f]{48}$"),
    ),
    responses((status = 200, body = EventPage, description = "The events, newest first"), Problems),
)]
pub(crate) async fn events(
    Extension(view): Extension<View>,
    RawQuery(query): RawQuery,
) -> Result<Json<EventPage>, Problem> {
    let params = Params::parse(
        query.as_deref(),
        &["q", "limit", "older_than", "newer_than"],
    )?;
    let filter = view.allow(params.filter(Utc::now())?)?;
    let page = view
        .page(&filter, params.seek()?, params.limit(50)?)
        .await?;
    Ok(Json(page.into()))
}

/// One event.
#[utoipa::path(
    get, path = "/events/{id}", tag = "events",
    params(("id" = String, Path, description = "The id of the event", format = Uuid)),
    responses(
        (status = 200, body = Event, description = "The event"),
        (status = 404, body = Facts, content_type = "application/problem+json", description = "There is no such event, or not for you"),
        Problems,
    ),
)]
pub(crate) async fn event(
    Extension(view): Extension<View>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Event>, Problem> {
    Params::parse(query.as_deref(), &[])?;
    Ok(Json(view.get(event_id(&id)?).await?))
}

/// What happened around an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelatedEvents {
    /// Other events of the same request, newest first.
    same_request: Vec<Event>,
    /// What the same actor did before, newest first.
    before: Vec<Event>,
    /// What the same actor did afterwards, newest first.
    after: Vec<Event>,
}

/// What happened around an event.
#[utoipa::path(
    get, path = "/events/{id}/related", tag = "events",
    params(
        ("id" = String, Path, description = "The id of the event", format = Uuid),
        ("limit" = Option<u16>, Query, description = "How many events of each sort at most", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, body = RelatedEvents, description = "What happened in the same request, and by the same actor"),
        (status = 404, body = Facts, content_type = "application/problem+json", description = "There is no such event, or not for you"),
        Problems,
    ),
)]
pub(crate) async fn related(
    Extension(view): Extension<View>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<RelatedEvents>, Problem> {
    let params = Params::parse(query.as_deref(), &["limit"])?;
    let related = view.related(event_id(&id)?, params.limit(10)?).await?;
    Ok(Json(RelatedEvents {
        same_request: related.same_request,
        before: related.before,
        after: related.after,
    }))
}

/// Parses an id. What is none is not there either.
pub(crate) fn event_id(text: &str) -> Result<EventId, Problem> {
    text.parse().map_err(|_| Problem::no_such_event())
}
