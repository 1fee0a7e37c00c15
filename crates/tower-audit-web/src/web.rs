//! What is nested into an app.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, middleware, routing::get};
use http::request::Parts;
#[cfg(feature = "ai")]
use tower_audit_ai::TrailStore;
use tower_audit_core::{Auditor, EventReader, changes::ChangeReader};

#[cfg(feature = "ai")]
use crate::ai::{self, DynTrails};
use crate::{
    access::{Authorizer, authorizer::DynAuthorizer},
    api, export, guard,
    places::Places,
    problem::Problem,
    reader::{DynChanges, DynReader},
    viewer,
};

/// The API and the viewer of a trail.
///
/// See the [crate page](crate) for an example.
#[must_use = "it is nothing until it is nested as `router`"]
#[derive(Clone)]
pub struct AuditWeb {
    pub(crate) reader: Arc<dyn DynReader>,
    pub(crate) changes: Option<Arc<dyn DynChanges>>,
    #[cfg(feature = "ai")]
    pub(crate) ai: Option<Arc<dyn DynTrails>>,
    pub(crate) authorizer: Arc<dyn DynAuthorizer>,
    pub(crate) auditor: Auditor,
    pub(crate) settings: Arc<Settings>,
    pub(crate) exports: Places,
    pub(crate) tails: Places,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) patience: Duration,
    pub(crate) poll: Duration,
    pub(crate) longest_tail: Duration,
    pub(crate) stalled_after: Duration,
    pub(crate) base: Option<String>,
    pub(crate) client_address: Option<ClientAddress>,
}

/// How the address of whoever looks is found.
#[derive(Clone)]
pub(crate) struct ClientAddress(pub(crate) Arc<FindAddress>);

type FindAddress = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAddress")
    }
}

impl AuditWeb {
    /// Returns the API and the viewer of what the reader reads, for those whom the authorizer lets in. The auditor
    /// records who looked.
    pub fn new(reader: impl EventReader, authorizer: impl Authorizer, auditor: &Auditor) -> Self {
        Self {
            reader: Arc::new(reader),
            changes: None,
            #[cfg(feature = "ai")]
            ai: None,
            authorizer: Arc::new(authorizer),
            auditor: auditor.clone(),
            settings: Arc::new(Settings {
                patience: Duration::from_secs(1),
                poll: Duration::from_secs(1),
                longest_tail: Duration::from_mins(15),
                stalled_after: Duration::from_mins(5),
                base: None,
                client_address: None,
            }),
            exports: Places::new(4),
            tails: Places::new(64),
        }
    }

    /// Sets where it is read which rows of the app's own tables an event changed: `tower_audit_history::History` is one.
    /// Defaults to nowhere, and then `/events/{id}/changes` is not there.
    ///
    /// Whoever sees one tenant alone sees the changes that name this tenant: those that name none are not shown. Without
    /// [personal data](crate::Access::with_personal_data) an answer says which columns were changed, and not what is in them.
    pub fn changes(mut self, reader: impl ChangeReader) -> Self {
        self.changes = Some(Arc::new(reader));
        self
    }

    /// Sets where the trails of calls of models are read: a `PgTrails` or a `SqliteTrails` of `tower-audit-ai`. Defaults to nowhere, and
    /// then `/ai` and `/view/ai` are not there.
    ///
    /// Trails belong to projects and name no tenant. Whoever sees all tenants sees all projects, and whoever sees one tenant alone sees those that
    /// the authorizer [names](crate::Access::with_projects). Without [personal data](crate::Access::with_personal_data) an answer says neither what
    /// a model thought nor why a call failed.
    #[cfg(feature = "ai")]
    pub fn ai(mut self, store: impl TrailStore) -> Self {
        self.ai = Some(Arc::new(store));
        self
    }

    /// Sets for how long a page is looked for where few of many rows pass. Defaults to one second, after which the
    /// page says how far it came.
    pub fn patience(mut self, time: Duration) -> Self {
        self.settings_mut().patience = time;
        self
    }

    /// Sets how often a live tail looks for what is new. Defaults to one second; less than 50 ms counts as that.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings_mut().poll = interval.max(Duration::from_millis(50));
        self
    }

    /// Sets for how long a live tail runs before its client has to come again, which it does by itself: then the
    /// authorizer is asked again. Defaults to 15 minutes.
    pub fn longest_tail(mut self, time: Duration) -> Self {
        self.settings_mut().longest_tail = time;
        self
    }

    /// Sets how many exports may run at once, half of them for one actor. Defaults to 4; the next one gets 503.
    pub fn max_exports(mut self, exports: usize) -> Self {
        self.exports = Places::new(exports);
        self
    }

    /// Sets after which time an export whose client takes nothing gives its place to one that begins; its connection is
    /// cut. Defaults to five minutes. As long as nobody waits for its place a client may take all the time it wants.
    pub fn stalled_after(mut self, time: Duration) -> Self {
        self.settings_mut().stalled_after = time;
        self
    }

    /// Sets how many live tails may run at once, half of them for one actor. Defaults to 64; the next one gets 503.
    pub fn max_tails(mut self, tails: usize) -> Self {
        self.tails = Places::new(tails);
        self
    }

    /// Sets under which path a browser finds the router, such as `/admin/audit`. Defaults to where it is nested; it has
    /// to be set where a proxy in front of the app serves it under another path.
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.settings_mut().base = Some(path.trim_end_matches('/').to_owned());
        self
    }

    /// Sets how the address of whoever looks is found, for the row about it. Defaults to the address at the other end of the
    /// socket; behind a proxy that is the proxy's, so give the rule that the rest of the app has, such as
    /// `TrustedProxies::client` of `tower-audit`.
    pub fn client_address(
        mut self,
        find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.settings_mut().client_address = Some(ClientAddress(Arc::new(find)));
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Returns the routes, to nest under any path of an app, whatever the app's own state is.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let mut router = Router::<Self>::new()
            .route("/", get(viewer::list))
            .route("/view/{id}", get(viewer::detail))
            .route("/assets/viewer.css", get(viewer::style))
            .route("/assets/viewer.js", get(viewer::script))
            .route("/assets/viewer.svg", get(viewer::icon))
            .route("/events", get(api::events))
            .route("/events/stream", get(api::stream))
            .route("/events/{id}", get(api::event))
            .route("/events/{id}/related", get(api::related))
            .route("/histogram", get(api::histogram))
            .route("/top", get(api::top))
            .route("/count", get(api::count))
            .route("/export", get(export::export))
            .route("/openapi.json", get(api::openapi));
        if self.changes.is_some() {
            router = router.route("/events/{id}/changes", get(api::changes));
        }
        #[cfg(feature = "ai")]
        if self.ai.is_some() {
            router = router
                .route("/ai/projects", get(ai::projects))
                .route("/ai/projects/{project}/analytics", get(ai::analytics))
                .route("/ai/projects/{project}/trails", get(ai::trails))
                .route("/ai/trails/{message_id}", get(ai::trail))
                .route("/ai/events/{id}/trails", get(ai::event_trails))
                .route("/view/ai", get(viewer::projects_page))
                .route("/view/ai/projects/{project}", get(viewer::project_page))
                .route("/view/ai/calls/{message_id}", get(viewer::call_page));
        }
        router
            .fallback(async || Problem::no_such_page())
            .method_not_allowed_fallback(async || Problem::bad_method())
            .layer(middleware::from_fn_with_state(self.clone(), guard::guard))
            .with_state(self)
    }
}

impl fmt::Debug for AuditWeb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditWeb")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
