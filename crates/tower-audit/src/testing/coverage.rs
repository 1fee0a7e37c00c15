//! Calls every route that may change something, and looks whether it left a row.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    future::poll_fn,
    pin::pin,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::CONTENT_TYPE,
};
use http_body::Body;
use serde_json::Value;
use tower_audit_core::AuditEvent;
use tower_service::Service;

use super::{CoverageReport, OpenApiError, Trail, openapi::mutations};
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
    must_succeed: bool,
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
            must_succeed: false,
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

    /// Asks for answers of 2xx or 3xx: a route that refuses its call is a problem. Defaults to not, because that
    /// takes a body, parameters and often a sign-in that are good; without it, a route is covered that leaves a row
    /// for a refusal alone.
    pub fn expect_success(mut self) -> Self {
        self.must_succeed = true;
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
    /// `Full<Bytes>`. The routes must be in the table of the layer.
    pub async fn check_service<S, B, ResBody>(self, trail: &Trail, mut app: S) -> CoverageReport
    where
        S: Service<Request<B>, Response = Response<ResBody>, Error: fmt::Debug>,
        B: From<Bytes>,
        ResBody: Body,
    {
        let mut report = CoverageReport::default();
        if self.routes.is_empty() {
            report.problem("no routes: nothing was checked");
        }
        for route in &self.routes {
            match self.call(trail, &mut app, route).await {
                Ok(call) => self.look(&mut report, route, &call),
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

    /// Calls a route, and finds its row.
    async fn call<S, B, ResBody>(
        &self,
        trail: &Trail,
        app: &mut S,
        route: &Route,
    ) -> Result<Call, String>
    where
        S: Service<Request<B>, Response = Response<ResBody>, Error: fmt::Debug>,
        B: From<Bytes>,
        ResBody: Body,
    {
        let request = self.request(route).map_err(|error| error.to_string())?;
        let path = request.uri().path().to_owned();
        let before = trail.events().await.len();
        let status = answer(app, request.map(B::from)).await?;
        let events = trail.events().await;
        // Others may record something of their own meanwhile.
        let is_of_call = |row: &&AuditEvent| {
            row.method() == Some(&route.method)
                && (row.path() == Some(&path) || row.route() == Some(&route.template))
        };
        let row = events.iter().skip(before).find(is_of_call).cloned();
        Ok(Call { status, row })
    }

    /// Looks at what a route did.
    fn look(&self, report: &mut CoverageReport, route: &Route, call: &Call) {
        report.calls.push((route.to_string(), call.status));
        let status = call.status;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            return report.problem(format!("{route}: the app has no such method there (405)"));
        }
        match (&call.row, self.allowed.get(route)) {
            (Some(row), _) if row.route().is_none() => report.problem(format!(
                "{route}: answered {status}, and its row names no route: the app has no such route, or the layer is \
                 around the router and does not see it"
            )),
            (None, _) if status == StatusCode::NOT_FOUND => {
                report.problem(format!("{route}: the app has no such route (404)"));
            }
            _ if self.must_succeed && !status.is_success() && !status.is_redirection() => {
                report.problem(format!(
                    "{route}: answered {status}, so nothing is known of a call that succeeds: give it a body, a \
                     parameter or a header that does"
                ));
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

/// What came of a call.
struct Call {
    status: StatusCode,
    row: Option<AuditEvent>,
}

/// Calls the app, and reads the answer to its end: a request is recorded then.
async fn answer<S, B, ResBody>(app: &mut S, request: Request<B>) -> Result<StatusCode, String>
where
    S: Service<Request<B>, Response = Response<ResBody>, Error: fmt::Debug>,
    ResBody: Body,
{
    let said = |error: S::Error| format!("{error:?}");
    poll_fn(|cx| app.poll_ready(cx)).await.map_err(said)?;
    let answer = app.call(request).await.map_err(said)?;
    let status = answer.status();
    let mut body = pin!(answer.into_body());
    while let Some(Ok(_)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
    Ok(status)
}
