//! What becomes visible from now on, as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::{RawQuery, State},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use chrono::Utc;
use futures_util::stream;
use http::{HeaderMap, header};
use tokio::time::{Instant, sleep};
use tower_audit_core::store::TailPosition;

use crate::{
    api::openapi::Problems,
    params::Params,
    places::Place,
    problem::Problem,
    view::{Allowed, ShownTail, View},
    web::AuditWeb,
};

/// What becomes visible from now on.
///
/// Server-sent events of the type `audit`, each with an event as JSON and an id. Who comes again with that id as
/// `Last-Event-ID`, as browsers do by themselves, gets what became visible since, and misses none. An event comes
/// again when it is completed.
#[utoipa::path(
    get, path = "/events/stream", tag = "events",
    params(
        ("q" = Option<String>, Query, description = "The search"),
        ("after" = Option<String>, Query, description = "The id of the last event that was seen, for whoever cannot send a header"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen"),
    ),
    responses((status = 200, content_type = "text/event-stream", body = String, description = "The events, as they become visible"), Problems),
)]
pub(crate) async fn stream(
    State(web): State<AuditWeb>,
    Extension(view): Extension<View>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["q", "after"])?;
    let filter = view.allow(params.filter(Utc::now())?)?;
    let position = match headers.get("last-event-id").filter(|id| !id.is_empty()) {
        Some(id) => Some(parse(id.to_str().unwrap_or_default(), "Last-Event-ID")?),
        None => params
            .get("after")
            .filter(|id| !id.is_empty())
            .map(|id| parse(id, "after"))
            .transpose()?,
    };
    let place = web.tails.take(&view.access().actor, Duration::MAX);
    let place = place.ok_or_else(|| Problem::too_many("live tails"))?;
    // Now, so that whoever cannot read is told why.
    let new = view.tail(&filter, position.as_ref()).await?;
    let position = position.unwrap_or_else(|| new.position.clone());
    let mut tail = LiveTail {
        // At once, so that whoever is cut off before the first event misses none.
        ready: [sse::Event::default()
            .id(position.to_string())
            .event("ready")
            .data("{}")]
        .into(),
        ends_at: Instant::now().checked_add(web.settings.longest_tail),
        web,
        view,
        filter,
        position,
        is_waiting: false,
        _place: place,
    };
    tail.take(new);
    let events = Sse::new(stream::unfold(tail, LiveTail::next)).keep_alive(KeepAlive::default());
    Ok(([(header::CACHE_CONTROL, "no-store")], events).into_response())
}

fn parse(text: &str, name: &str) -> Result<TailPosition, Problem> {
    let parsed = text.parse::<TailPosition>();
    parsed.map_err(|error| {
        Problem::bad_parameter(
            name,
            error.to_string(),
            "take it from the last event, or leave it out",
        )
    })
}

/// A live tail, while somebody listens.
struct LiveTail {
    web: AuditWeb,
    view: View,
    filter: Allowed,
    position: TailPosition,
    ready: VecDeque<sse::Event>,
    /// `None` if that is further away than a clock can tell.
    ends_at: Option<Instant>,
    /// Nothing was new when it looked last.
    is_waiting: bool,
    _place: Place,
}

impl LiveTail {
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.ends_at.is_some_and(|end| Instant::now() >= end) {
                return None;
            }
            if self.is_waiting {
                sleep(self.web.settings.poll).await;
            }
            // Who cannot read any more ends: the client comes again, and is told why if that does not help.
            let tail = self
                .view
                .tail(&self.filter, Some(&self.position))
                .await
                .ok()?;
            self.take(tail);
        }
    }

    fn take(&mut self, new: ShownTail) {
        self.is_waiting = !new.has_more;
        let has_moved = self.position != new.position;
        self.position = new.position;
        for (event, after) in new.events {
            let json = serde_json::to_string(&event).unwrap_or_default();
            let event = sse::Event::default()
                .event("audit")
                .id(after.to_string())
                .data(json);
            self.ready.push_back(event);
        }
        // Amid a transaction a position names an event, which may be one that the caller may not know of.
        if has_moved && self.position.within().is_none() {
            // What does not pass was seen, too.
            self.ready
                .push_back(sse::Event::default().id(self.position.to_string()));
        }
    }
}
