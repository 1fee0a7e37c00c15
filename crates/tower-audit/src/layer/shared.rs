//! What all clones of a layer share.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Extensions, HeaderMap, Method, Request, Uri};
use tower_audit_core::{Actor, Auditor, Overflow};

use crate::{
    annotation::{Annotation, Routes},
    client::Client,
    draft::{Facts, Spares},
    mode::Mode,
    peer::peer,
    policy::{Plan, PolicyCell},
    privacy::Redaction,
};

/// What all clones of a layer share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) auditor: Auditor,
    pub(crate) policy: Arc<PolicyCell>,
    pub(crate) body_limit: usize,
    pub(crate) routes: Routes,
    pub(crate) spares: Arc<Spares>,
    pub(super) actor: Option<Arc<FindActor>>,
    pub(crate) mode: Mode,
    pub(crate) client: Client,
    is_reaping: Arc<AtomicBool>,
}

pub(super) type FindActor = dyn Fn(&RequestInfo<'_>) -> Option<Actor> + Send + Sync;

impl Shared {
    pub(super) fn new(auditor: Auditor) -> Self {
        let spares = Spares::new(Redaction::default(), auditor.service().cloned());
        Self {
            auditor,
            policy: Arc::default(),
            body_limit: DEFAULT_BODY_LIMIT,
            routes: Routes::default(),
            spares,
            actor: None,
            mode: Mode::default(),
            client: Client::default(),
            is_reaping: Arc::default(),
        }
    }

    /// Returns the mode that is known of a request before its handler is.
    pub(super) fn mode(&self, table: Option<&Annotation>, plan: &Plan) -> Mode {
        let own = match table {
            Some(annotation) if annotation.is_skip() => return Mode::Background,
            Some(annotation) => annotation.mode.max(plan.mode),
            None => plan.mode,
        };
        if records_for_certain(table, plan) {
            own.max(self.mode)
        } else {
            own
        }
    }

    /// Returns whether room is reserved before a handler runs, whatever the mode.
    pub(crate) fn reserves(&self) -> bool {
        let overflow = self.auditor.overflow();
        matches!(overflow, Overflow::Wait(_) | Overflow::Reject)
    }

    /// Returns what the table says of a request.
    pub(crate) fn annotation(&self, facts: &Facts) -> Option<&Arc<Annotation>> {
        if self.routes.is_empty() {
            return None;
        }
        let template = facts.template()?;
        self.routes.annotation(facts.method(), template)
    }

    /// Makes sure that pending rows are looked after.
    pub(crate) fn reap_pending(&self) {
        if !self.is_reaping.swap(true, Ordering::Relaxed) {
            self.auditor.reap_pending();
        }
    }

    pub(crate) fn redaction(&self) -> &Redaction {
        &self.spares.teller.redaction
    }

    pub(super) fn set_redaction(&mut self, redaction: Redaction) {
        self.spares = Spares::new(redaction, self.auditor.service().cloned());
    }
}

/// Returns whether a request, of which the table says this, will be recorded however it ends.
pub(super) fn records_for_certain(table: Option<&Annotation>, plan: &Plan) -> bool {
    match table {
        Some(annotation) => !annotation.is_skip(),
        None => plan.is_certain,
    }
}

/// How much of a body is kept.
const DEFAULT_BODY_LIMIT: usize = 16 * 1024;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("auditor", &self.auditor)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The head of a request, as [`AuditLayer::actor`](super::AuditLayer::actor) sees it: everything
/// but the body.
#[derive(Clone, Copy, Debug)]
pub struct RequestInfo<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    client: Option<IpAddr>,
}

impl<'a> RequestInfo<'a> {
    pub(super) fn of<B>(req: &'a Request<B>, client: Option<IpAddr>) -> Self {
        Self {
            method: req.method(),
            uri: req.uri(),
            headers: req.headers(),
            extensions: req.extensions(),
            client,
        }
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the URI as this layer sees it.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the extensions, where an auth layer around this one left what it knows.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// Returns the address at the other end of the socket.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        peer(self.extensions)
    }

    /// Returns the address of the client: see [`TrustedProxies`](crate::client::TrustedProxies).
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }
}
