//! Calls every route that may change something, and looks whether it left a row.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::CONTENT_TYPE,
};
use serde_json::Value;
use tower_audit_core::AuditEvent;
use tower_service::Service;

use super::{OpenApiError, Trail, openapi::mutations};
use crate::naming;

/// Calls every route that may change something, and looks whether it left a row. See the
/// [module page](super).
#[derive(Clone, Debug)]
#[must_use = "it does nothing until `check`"]
pub struct Coverage {
    routes: BTreeSet<Route>,
    allowed: BTreeMap<Route, String>,
    params: HashMap<String, String>,
    headers: HeaderMap,
    bodies: HashMap<Route, String>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self::new()
    }
}

/// A template and a method, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Route {
    template: String,
    method: String,
}

impl Route {
    fn of(method: &Method, template: impl Into<String>) -> Self {
        Self {
            template: template.into(),
            method: method.to_string(),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a method is written where it is passed"
)]
impl Coverage {
    /// Returns a check of no routes.
    pub fn new() -> Self {
        Self {
            routes: BTreeSet::new(),
            allowed: BTreeMap::new(),
            params: HashMap::new(),
            headers: HeaderMap::new(),
            bodies: HashMap::new(),
        }
    }

    /// Adds a route by its template, such as `/projects/{id}`.
    pub fn route(mut self, method: Method, template: impl Into<String>) -> Self {
        self.routes.insert(Route::of(&method, template));
        self
    }

    /// Adds each operation of an OpenAPI document that may change something: post, put, patch and delete. The paths
    /// are below the path of its first server.
    ///
    /// # Errors
    ///
    /// Returns an error if the document has no such operation.
    pub fn openapi(mut self, document: &Value) -> Result<Self, OpenApiError> {
        for (method, template) in mutations(document)? {
            self = self.route(method, template);
        }
        Ok(self)
    }

    /// Allows a route to leave no row, and says why. If it leaves one, or is no route any more, the check fails, so
    /// that the list stays true.
    pub fn allow(
        mut self,
        method: Method,
        template: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        self.allowed
            .insert(Route::of(&method, template), why.into());
        self
    }

    /// Sets the value of a path parameter. Defaults to `1`.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Adds a header to every request, such as the one that signs in. Defaults to `content-type:
    /// application/json` alone.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the body for a route. Defaults to `{}`.
    pub fn body(
        mut self,
        method: Method,
        template: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        self.bodies
            .insert(Route::of(&method, template), body.into());
        self
    }

    /// Calls the routes of an axum app, one after the other. It waits for each answer for as long as that takes.
    #[cfg(feature = "axum")]
    pub async fn check(self, trail: &Trail, app: axum::Router) -> CoverageReport {
        self.check_service::<_, axum::body::Body, _>(trail, app)
            .await
    }

    /// Calls the routes of any service, one after the other. `B` is the type of the body that it takes, such as
    /// `Full<Bytes>`.
    pub async fn check_service<S, B, ResBody>(self, trail: &Trail, mut app: S) -> CoverageReport
    where
        S: Service<Request<B>, Response = Response<ResBody>, Error: fmt::Debug>,
        B: From<Bytes>,
    {
        let mut report = CoverageReport::default();
        if self.routes.is_empty() {
            report.problem("no routes: nothing was checked");
        }
        for route in &self.routes {
            let before = trail.events().await.len();
            let status = match self.request(route) {
                Ok(request) => answer(&mut app, request.map(B::from)).await,
                Err(error) => Err(error.to_string()),
            };
            let events = trail.events().await;
            let row = events.get(before..).and_then(<[_]>::first);
            match status {
                Ok(status) => self.look(&mut report, route, status, row),
                Err(error) => report.problem(format!("{route}: it cannot be called: {error}")),
            }
        }
        for (route, why) in &self.allowed {
            if !self.routes.contains(route) {
                report.problem(format!(
                    "{route}: it is allowed to leave no row ({why}), and is no route any more"
                ));
            }
        }
        report
    }

    /// Looks at what a route did.
    fn look(
        &self,
        report: &mut CoverageReport,
        route: &Route,
        status: StatusCode,
        row: Option<&AuditEvent>,
    ) {
        report.checked += 1;
        let is_routed = row.is_none_or(|row| row.route().is_some());
        match (row, self.allowed.get(route)) {
            _ if status == StatusCode::METHOD_NOT_ALLOWED => {
                report.problem(format!("{route}: the app has no such method there (405)"));
            }
            _ if status == StatusCode::NOT_FOUND && !is_routed => {
                report.problem(format!("{route}: the app has no such route (404)"));
            }
            (Some(_), None) => {}
            (None, Some(_)) => report.allowed += 1,
            (None, None) => report.problem(format!("{route}: answered {status} and left no row")),
            (Some(_), Some(why)) => report.problem(format!(
                "{route}: it is allowed to leave no row ({why}), and leaves one: take it from the list"
            )),
        }
    }

    fn request(&self, route: &Route) -> Result<Request<Bytes>, http::Error> {
        let value = |name: &str| self.params.get(name).map_or("1", String::as_str).to_owned();
        let path = naming::filled(&route.template, value);
        let body = self.bodies.get(route).map_or("{}", String::as_str);
        let mut request = Request::builder()
            .method(route.method.as_str())
            .uri(path.parse::<Uri>()?)
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::copy_from_slice(body.as_bytes()))?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}

async fn answer<S, B, ResBody>(app: &mut S, request: Request<B>) -> Result<StatusCode, String>
where
    S: Service<Request<B>, Response = Response<ResBody>, Error: fmt::Debug>,
{
    let said = |error: S::Error| format!("{error:?}");
    std::future::poll_fn(|cx| app.poll_ready(cx))
        .await
        .map_err(said)?;
    // Its body is dropped: the request is recorded then.
    let answer = app.call(request).await.map_err(said)?;
    Ok(answer.status())
}

/// What a [`Coverage`] found. Shown as text it has a line for each problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a report that nobody looks at finds nothing: call `assert_complete`"]
pub struct CoverageReport {
    checked: usize,
    allowed: usize,
    problems: Vec<String>,
}

impl CoverageReport {
    fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    /// Asserts that every route left a row, or is rightly allowed not to.
    ///
    /// # Panics
    ///
    /// Panics with all problems if not.
    #[track_caller]
    pub fn assert_complete(&self) {
        assert!(self.problems.is_empty(), "{self}");
    }

    /// Returns how many routes were called.
    #[must_use]
    pub fn checked(&self) -> usize {
        self.checked
    }

    /// Returns what is wrong, a line each.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for CoverageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (problems, checked) = (self.problems.len(), self.checked);
        write!(
            f,
            "{checked} routes called, {} allowed to leave no row, {problems} problems",
            self.allowed
        )?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
