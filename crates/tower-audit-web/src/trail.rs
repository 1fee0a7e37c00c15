//! Who looked at the trail, for the trail.

use std::{net::SocketAddr, time::Instant};

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header, request::Parts};
use tower_audit_core::{
    Actor, AuditEvent, AuditEventBuilder as Builder, Auditor, Metadata, Outcome, Target, Text,
};

use crate::{access::Access, problem::Problem};

/// What was asked for, and by whom as far as the request itself tells.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    created_at: DateTime<Utc>,
    begun: Instant,
    method: Text,
    path: Text,
    route: Option<Text>,
    search: Option<String>,
    request_id: Option<Text>,
    user_agent: Option<Text>,
    peer: Option<SocketAddr>,
    is_view: bool,
}

impl Asked {
    pub(crate) fn of(head: &Parts) -> Self {
        let original = head.extensions.get::<OriginalUri>().map(|uri| uri.0.path());
        let route = head
            .extensions
            .get::<MatchedPath>()
            .map(MatchedPath::as_str);
        let query = head.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let search = pairs
            .find(|(key, _)| key == "q")
            .map(|(_, value)| value.into_owned());
        Self {
            created_at: Utc::now(),
            begun: Instant::now(),
            method: Text::capped(head.method.as_str(), 32),
            path: Text::capped(original.unwrap_or(head.uri.path()), 2_048),
            route: route.map(|route| Text::capped(route, 512)),
            search: search.filter(|search| !search.is_empty()),
            request_id: text(&head.headers, "x-request-id"),
            user_agent: text(&head.headers, header::USER_AGENT.as_str()),
            peer: head
                .extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|peer| peer.0),
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
        let mut event = AuditEvent::builder(actor, action, Target::new("audit_log", ""))
            .created_at(self.created_at)
            .outcome(Outcome::of_status(status.as_u16()))
            .status(status.as_u16())
            .method(self.method.clone())
            .path(self.path.clone())
            .duration(self.begun.elapsed())
            .maybe(self.route.clone(), Builder::route)
            .maybe(self.request_id.clone(), Builder::request_id)
            .maybe(self.user_agent.clone(), Builder::user_agent)
            .maybe(
                self.peer.map(|peer| peer.ip().to_canonical()),
                Builder::peer_address,
            );
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

/// Returns whether the path leads to what says nothing about events.
fn is_about_itself(path: &str) -> bool {
    path == "/openapi.json" || path.starts_with("/assets/")
}

const VIEW: &str = "audit.log.view";
const EXPORT: &str = "audit.export.create";
