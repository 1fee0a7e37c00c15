//! The app that is measured, bare and with layers around it.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    task::{Context, Poll, Waker},
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path},
    response::Response,
    routing::get,
};
use http::{Method, Request};
use http_body::Body as _;
use tokio::runtime::Runtime;
use tower_audit::{AuditEvent, AuditLayer, Auditor, EventWriter, Policy, StoreError, policy::Rule};
use tower_layer::layer_fn;
use tower_service::Service;

/// What is around the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Nothing.
    Bare,
    /// A layer that does nothing: axum boxes it.
    Empty,
    /// tower-http's `TraceLayer`, with a subscriber at DEBUG that writes to a sink.
    Trace,
    /// The audit layer, for a request that is recorded.
    Audited,
    /// The audit layer, for a read that would be recorded if it were denied.
    Read,
    /// The audit layer, for a request that a rule keeps out of it.
    Skipped,
}

impl Variant {
    pub(crate) const ALL: [Self; 6] = [
        Self::Bare,
        Self::Empty,
        Self::Trace,
        Self::Audited,
        Self::Read,
        Self::Skipped,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Empty => "empty",
            Self::Trace => "trace",
            Self::Audited => "audited",
            Self::Read => "read",
            Self::Skipped => "skipped",
        }
    }
}

/// The app, and what records its requests.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) auditor: Option<Auditor>,
    method: Method,
}

impl App {
    /// Returns the app with a store that discards.
    pub(crate) fn new(variant: Variant) -> Self {
        Self::with(variant, || Auditor::new(Discard))
    }

    /// Returns the app with this auditor, if the variant has one.
    pub(crate) fn with(variant: Variant, auditor: impl FnOnce() -> Auditor) -> Self {
        let router = routes();
        let method = match variant {
            Variant::Read | Variant::Skipped => Method::GET,
            _ => Method::DELETE,
        };
        let (router, auditor) = match variant {
            Variant::Bare => (router, None),
            Variant::Empty => (router.layer(layer_fn(Empty)), None),
            Variant::Trace => {
                subscribe();
                let layer = tower_http::trace::TraceLayer::new_for_http();
                (router.layer(layer), None)
            }
            Variant::Audited | Variant::Read => audited(router, AuditLayer::new(auditor())),
            Variant::Skipped => {
                let rule = Rule::ignore("reads")
                    .methods([Method::GET])
                    .path_prefix("/api");
                let policy = Policy::builder().rule(rule).build();
                let layer = AuditLayer::new(auditor()).policy(policy.expect("the rule is one"));
                audited(router, layer)
            }
        };
        Self {
            // As `axum::serve` has it: otherwise axum puts the layers around the handler anew for each request.
            router: router.with_state(()),
            auditor,
            method,
        }
    }

    /// Returns a request as a proxy would send it.
    pub(crate) fn request(&self) -> Request<Body> {
        let mut req = Request::new(Body::empty());
        *req.method_mut() = self.method.clone();
        *req.uri_mut() = http::Uri::from_static("/api/v1/projects/42");
        let headers = req.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(*name, http::HeaderValue::from_static(value));
        }
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
        req.extensions_mut().insert(ConnectInfo(peer));
        req
    }

    /// Serves one request to the end of its response, as a server does.
    pub(crate) async fn serve(&mut self, req: Request<Body>) {
        let response = call(&mut self.router, req).await;
        read(response).await;
    }

    /// Serves one request in this very moment: nothing in it waits.
    pub(crate) fn serve_now(&mut self, req: Request<Body>) {
        let mut cx = Context::from_waker(Waker::noop());
        let served = std::pin::pin!(self.serve(req)).poll(&mut cx);
        assert_eq!(served, Poll::Ready(()), "the app waits for something");
    }

    /// Waits until all records are written, and makes sure that none was dropped: those cost less than others.
    pub(crate) fn settle(&self, runtime: &Runtime) {
        if let Some(auditor) = &self.auditor {
            runtime.block_on(auditor.flush());
            assert_eq!(auditor.stats().dropped.total(), 0, "records were dropped");
        }
    }
}

fn routes() -> Router {
    let handler = async |Path(id): Path<u64>| if id == 42 { "done\n" } else { "other\n" };
    Router::new().route("/api/v1/projects/{id}", get(handler).delete(handler))
}

fn audited(router: Router, layer: AuditLayer) -> (Router, Option<Auditor>) {
    let auditor = layer.auditor().clone();
    (router.layer(layer), Some(auditor))
}

async fn call(router: &mut Router, req: Request<Body>) -> Response {
    std::future::poll_fn(|cx| Service::<Request<Body>>::poll_ready(router, cx))
        .await
        .unwrap_or_else(|error: Infallible| match error {});
    router
        .call(req)
        .await
        .unwrap_or_else(|error: Infallible| match error {})
}

/// Reads the body as hyper does, which stops where the body says that it is over.
async fn read(response: Response) {
    let mut body = response.into_body();
    while !body.is_end_stream() {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        if frame.is_none() {
            break;
        }
    }
}

fn subscribe() {
    // A second one would be the same.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_writer(std::io::sink)
        .try_init();
}

/// A store that forgets everything at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discard;

impl EventWriter for Discard {
    async fn append(&self, _batch: &[AuditEvent]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn check(&self) -> Result<tower_audit::store::StoreStatus, StoreError> {
        Ok(tower_audit::store::StoreStatus::default())
    }

    async fn reap(
        &self,
        _created_before: chrono::DateTime<chrono::Utc>,
    ) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// A layer that does nothing.
#[derive(Clone)]
struct Empty<S>(S);

impl<S, R> Service<R> for Empty<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, req: R) -> S::Future {
        self.0.call(req)
    }
}

pub(crate) const HEADERS: &[(&str, &str)] = &[
    ("host", "api.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, br"),
    ("x-request-id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
];
