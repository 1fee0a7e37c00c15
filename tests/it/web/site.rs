//! A trail that is served, and callers with this and that access.

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode, request::Parts};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_audit::{Actor, AuditEvent, Auditor, EventReader, EventWriter, MemoryStore};
use tower_audit_web::{Access, AuditWeb, Refusal};

use crate::support::{events::event, soon};

/// A trail that is served below `/admin/audit`, and one beside it that keeps who looked.
pub(super) struct Site {
    pub(super) app: Router,
    pub(super) trail: MemoryStore,
    /// Who looked.
    pub(super) looks: MemoryStore,
    pub(super) auditor: Auditor,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Lets in by a header, which no real service may do.
fn authorize(head: &Parts) -> Result<Access, Refusal> {
    let who = head
        .headers
        .get("x-who")
        .map_or("", |who| who.to_str().unwrap());
    let actor = Actor::user(who);
    match who {
        "root" => Ok(Access::all_tenants(actor)
            .with_personal_data()
            .with_export()),
        "acme" => Ok(Access::tenant(actor, "acme")
            .with_personal_data()
            .with_export()),
        "other" => Ok(Access::tenant(actor, "other")
            .with_personal_data()
            .with_export()),
        "clerk" => Ok(Access::tenant(actor, "acme").with_projects(["of acme/x"])),
        "outsider" => Err(Refusal::forbidden().actor(actor)),
        _ => Err(Refusal::unauthenticated()
            .challenge(http::HeaderValue::from_static("Basic realm=\"audit\""))),
    }
}

impl Site {
    pub(super) async fn with(events: &[AuditEvent]) -> Self {
        Self::set(events, |web| web).await
    }

    pub(super) async fn set(events: &[AuditEvent], set: impl FnOnce(AuditWeb) -> AuditWeb) -> Self {
        let trail = MemoryStore::new();
        trail.append(events).await.unwrap();
        Self::reading(trail.clone(), trail, set)
    }

    /// Returns the site of a reader, which reads this trail.
    pub(super) fn reading(
        reader: impl EventReader,
        trail: MemoryStore,
        set: impl FnOnce(AuditWeb) -> AuditWeb,
    ) -> Self {
        let looks = MemoryStore::new();
        let auditor = Auditor::new(looks.clone());
        let web = set(AuditWeb::new(reader, authorize, &auditor));
        let app = Router::new().nest("/admin/audit", web.router());
        Self {
            app,
            trail,
            looks,
            auditor,
        }
    }

    /// Returns the site of one event, put where the caller says.
    pub(super) async fn nested(nest: impl FnOnce(Router, Router) -> Router) -> Self {
        let mut site = Self::with(&[event(1)]).await;
        let web = AuditWeb::new(site.trail.clone(), authorize, &site.auditor);
        site.app = nest(Router::new(), web.router());
        site
    }

    /// Returns the answer to a GET of this path below `/admin/audit`.
    pub(super) async fn get(&self, who: &str, path: &str) -> Answer {
        self.call(
            Request::get(below(path))
                .header("x-who", who)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(super) async fn call(&self, req: Request<Body>) -> Answer {
        let response = soon(self.app.clone().oneshot(req)).await.unwrap();
        let (head, body) = response.into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes().to_vec();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    /// Returns the body of the answer, to be read bit by bit.
    pub(super) async fn open(&self, who: &str, path: &str, headers: &[(&str, &str)]) -> Body {
        let mut req = Request::get(below(path)).header("x-who", who);
        for (name, value) in headers {
            req = req.header(*name, *value);
        }
        let response = soon(self.app.clone().oneshot(req.body(Body::empty()).unwrap()))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    }

    /// Returns who looked, once all of it is written.
    pub(super) async fn looks(&self) -> Vec<AuditEvent> {
        self.auditor.flush().await;
        self.looks.events()
    }
}

/// Returns the path as it is outside of the router, where its root has no slash at its end.
fn below(path: &str) -> String {
    match path.strip_prefix('/') {
        Some(rest) if rest.is_empty() || rest.starts_with('?') => format!("/admin/audit{rest}"),
        _ => format!("/admin/audit{path}"),
    }
}
