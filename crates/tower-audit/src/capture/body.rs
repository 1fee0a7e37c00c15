//! A request body that is watched as it passes.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::Tap;
use crate::context::AuditContext;

pin_project! {
    /// A body that passes as it is, frame by frame, and is watched if the policy of the audit layer asks for it.
    #[derive(Debug)]
    pub struct Watched<B> {
        #[pin]
        inner: B,
        tap: Option<Arc<Tap>>,
    }
}

impl<B: Body> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(tap) = this.tap {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        tap.pass(data);
                    }
                    if frame.is_trailers() {
                        tap.end();
                    }
                }
                Some(Err(_)) => {}
                None => tap.end(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Watches the request body, if it is one of axum: only that can be replaced by one of the same type.
#[cfg(feature = "axum")]
pub(crate) fn watch_axum<B: 'static>(req: &mut Request<B>, slot: &crate::context::Slot) {
    let body: &mut dyn std::any::Any = req.body_mut();
    if let Some(body) = body.downcast_mut::<axum::body::Body>()
        && let Some(tap) = slot.incoming.watch(body)
    {
        let inner = std::mem::take(body);
        *body = axum::body::Body::new(Watched {
            inner,
            tap: Some(tap),
        });
    }
}

/// Layer that lets an audit layer around it watch request bodies of any type. It does nothing on its own, and
/// is not needed for axum. See the [module page](super).
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchBody(());

impl WatchBody {
    /// Returns the layer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for WatchBody {
    type Service = WatchBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WatchBodyService { inner }
    }
}

/// Middleware that lets an audit layer around it watch request bodies.
#[derive(Clone, Debug)]
pub struct WatchBodyService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for WatchBodyService<S>
where
    S: Service<Request<Watched<B>>>,
    B: Body,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let tap = AuditContext::slot_of(req.extensions())
            .and_then(|slot| slot.incoming.watch(req.body()));
        self.inner.call(req.map(|inner| Watched { inner, tap }))
    }
}
