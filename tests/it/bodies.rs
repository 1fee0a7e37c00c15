//! The response body, watched and not.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_audit::{
    AuditLayer, Auditor, MemoryStore, Mode, audited,
    layer::{AuditBody, BodyWatch, WatchedBody},
    policy::Rule,
};

use crate::support::{server::Trail, soon};

/// A body that counts how often somebody asked to watch it.
#[derive(Default)]
struct Marked(Arc<AtomicUsize>, Body);

impl Marked {
    async fn answer(_: Request<()>) -> Result<Response<Self>, Infallible> {
        Ok(Response::new(Self(Arc::default(), Body::from("done"))))
    }
}

impl http_body::Body for Marked {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        Pin::new(&mut self.1).poll_frame(cx)
    }
}

impl AuditBody for Marked {
    fn watched(self, watch: BodyWatch) -> Self {
        let times = Arc::clone(&self.0);
        times.fetch_add(1, Ordering::SeqCst);
        Self(times, Body::new(WatchedBody::new(self, watch)))
    }
}

#[tokio::test]
async fn a_body_is_watched_only_where_the_request_may_be_recorded() {
    for (rule, times) in [(Rule::ignore("all"), 0), (Rule::record("all"), 1)] {
        let trail = Trail::under([rule]);
        let service = trail.layer.layer(service_fn(Marked::answer));
        let request = Request::post("/").body(()).unwrap();
        let Marked(watched, body) = soon(service.oneshot(request)).await.unwrap().into_body();
        let body = axum::body::to_bytes(body, 100).await.unwrap();
        assert_eq!(
            (&body[..], watched.load(Ordering::SeqCst)),
            (&b"done"[..], times)
        );
        trail.layer.auditor().flush().await;
        assert_eq!(trail.store.events().len(), times);
    }
}

#[tokio::test]
async fn any_body_passes_as_it_is() {
    for rule in [Rule::ignore("all"), Rule::record("all")] {
        let trail = Trail::under([rule]);
        let service = trail
            .layer
            .any_body()
            .layer(service_fn(async |_: Request<()>| {
                Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from("done"))))
            }));
        let request = Request::post("/").body(()).unwrap();
        let body = soon(service.oneshot(request)).await.unwrap().into_body();
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "done");
    }
}

#[tokio::test]
async fn any_body_of_a_refused_request_is_empty() {
    let auditor = Auditor::new(MemoryStore::new());
    soon(auditor.shutdown(Duration::ZERO)).await;
    let annotation = audited("a.b").mode(Mode::Durable);
    let layer = AuditLayer::new(&auditor).route(Method::POST, "/", annotation);
    let service = layer.any_body().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from("done"))))
    }));
    let request = Request::post("/").body(()).unwrap();
    let answer = soon(service.oneshot(request)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = answer.into_body();
    assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "");
}

#[tokio::test]
async fn any_body_in_any_body_is_recorded_once() {
    let trail = Trail::under([Rule::record("all")]);
    let layer = trail.layer.any_body();
    let service = layer.layer(layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from("done"))))
    })));
    let request = Request::post("/").body(()).unwrap();
    let body = soon(service.oneshot(request)).await.unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "done");
    trail.only_event().await;
}
