//! Who looked at the trail, for the trail.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header, request::Parts};
use tower_audit_core::{
    Actor, AuditEvent, AuditEventBuilder as Builder, Auditor, EventId, Metadata, Outcome, Target,
    Text,
};

use crate::{access::Access, problem::Problem, web::AuditWeb};

/// What was asked for, and by whom as far as the request itself tells.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    created_at: DateTime<Utc>,
    begun: Instant,
    method: Text,
    path: Text,
    route: Option<Text>,
    search: Option<Text>,
    request_id: Option<Text>,
    user_agent: Option<Text>,
    peer: Option<IpAddr>,
    ip: Option<IpAddr>,
    /// The event that was asked for by its id.
    event: Option<EventId>,
    is_view: bool,
}

impl Asked {
    pub(crate) fn of(head: &Parts, web: &AuditWeb) -> Self {
        let original = head.extensions.get::<OriginalUri>().map(|uri| uri.0.path());
        let route = head
            .extensions
            .get::<MatchedPath>()
            .map(MatchedPath::as_str);
        let query = head.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        // Whoever is not let in may have written anything.
        let search = pairs
            .find(|(key, value)| key == "q" && !value.is_empty())
            .map(|(_, value)| Text::capped(&value, MAX_SEARCH));
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|peer| peer.0.ip().to_canonical());
        Self {
            created_at: Utc::now(),
            begun: Instant::now(),
            method: Text::capped(head.method.as_str(), 32),
            path: Text::capped(original.unwrap_or(head.uri.path()), 2_048),
            route: route.map(|route| Text::capped(route, 512)),
            search,
            request_id: text(&head.headers, "x-request-id"),
            user_agent: text(&head.headers, header::USER_AGENT.as_str()),
            peer,
            ip: match &web.settings.client_address {
                Some(client_address) => client_address.0(head),
                None => peer,
            },
            event: event(head.uri.path()),
            is_view: !is_about_itself(head.uri.path()),
        }
    }

    /// Records that somebody looked.
    pub(crate) fn record(&self, auditor: &Auditor, access: &Access, status: StatusCode) {
        if self.is_view {
            let event = self.event(access.actor.clone(), VIEW, status);
            auditor.record(
                event
                    .maybe(access.tenant.clone(), Builder::tenant_id)
                    .build(),
            );
        }
    }

    /// Records that somebody was not let in.
    pub(crate) fn record_refused(
        &self,
        auditor: &Auditor,
        actor: Option<Actor>,
        problem: &Problem,
    ) {
        let event = self.event(
            actor.unwrap_or_else(Actor::anonymous),
            VIEW,
            problem.status(),
        );
        let kind = problem.r#type.rsplit(':').next().unwrap_or_default();
        auditor.record(event.reason(kind).build());
    }

    /// Records that an export begins; returns its end, which has to be recorded too.
    pub(crate) async fn record_export(
        &self,
        auditor: &Auditor,
        access: &Access,
        format: &'static str,
    ) -> Result<Export, Problem> {
        let event = self
            .event(access.actor.clone(), EXPORT, StatusCode::OK)
            .metadata("format", format)
            .maybe(access.tenant.clone(), Builder::tenant_id);
        let pending = event.clone().outcome(Outcome::Pending).build();
        // From now on it ends, whatever becomes of this future.
        let mut export = Export {
            id: pending.id().to_string(),
            auditor: auditor.clone(),
            event: Some(event.id(pending.id())),
            begun: self.begun,
        };
        if auditor.record_durable(pending).await.is_err() {
            export.end(Outcome::Failure, 0);
            return Err(Problem::not_recorded());
        }
        Ok(export)
    }

    fn event(&self, actor: Actor, action: &'static str, status: StatusCode) -> Builder {
        // The id as it is kept, however it was written.
        let id = self.event.map(|id| id.to_string()).unwrap_or_default();
        let mut event = AuditEvent::builder(actor, action, Target::new("audit_log", id))
            .created_at(self.created_at)
            .outcome(Outcome::of_status(status.as_u16()))
            .status(status.as_u16())
            .method(self.method.clone())
            .path(self.path.clone())
            .duration(self.begun.elapsed())
            .maybe(self.route.clone(), Builder::route)
            .maybe(self.request_id.clone(), Builder::request_id)
            .maybe(self.user_agent.clone(), Builder::user_agent)
            .maybe(self.ip, Builder::ip_address)
            .maybe(self.peer, Builder::peer_address);
        if let Some(search) = &self.search {
            // It may name people: what is captured is hidden from whoever may not see what is personal.
            let said = Metadata::from_iter([("search", search.as_str())]);
            event = event.captured(said);
        }
        event
    }
}

/// An export that runs. Dropping it records that it was aborted.
#[derive(Debug)]
pub(crate) struct Export {
    /// The id of the row about it, which is not a part of it.
    pub(crate) id: String,
    auditor: Auditor,
    event: Option<Builder>,
    begun: Instant,
}

impl Export {
    /// Records how the export ended.
    pub(crate) fn end(&mut self, outcome: Outcome, rows: u64) {
        if let Some(event) = self.event.take() {
            let event = event
                .outcome(outcome)
                .metadata("rows", rows)
                .duration(self.begun.elapsed());
            self.auditor.record(event.build().completing());
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.end(Outcome::Aborted, 0);
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<Text> {
    let value = headers.get(name)?;
    Some(Text::capped(
        &String::from_utf8_lossy(value.as_bytes()),
        512,
    ))
}

/// Returns the event that the path names.
fn event(path: &str) -> Option<EventId> {
    let mut parts = path.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some("events" | "view"), Some(id)) => id.parse().ok(),
        _ => None,
    }
}

/// Returns whether the path leads to what says nothing about events.
fn is_about_itself(path: &str) -> bool {
    path == "/openapi.json" || path.starts_with("/assets/")
}

/// How much of a search is kept, in bytes: as much as one may have.
const MAX_SEARCH: usize = 4_096;

const VIEW: &str = "audit.log.view";
const EXPORT: &str = "audit.export.create";
