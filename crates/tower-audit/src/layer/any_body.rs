//! The layer for services whose response body is of a type that cannot hold another one.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{AnyBody, AuditLayer, AuditService};

/// The [`AuditLayer`] for services with a response body of any type; made by
/// [`AuditLayer::any_body`](AuditLayer::any_body).
#[derive(Clone, Debug)]
pub struct AnyBodyLayer {
    pub(super) layer: AuditLayer,
}

impl<S> Layer<S> for AnyBodyLayer {
    type Service = AuditService<AnyBodyService<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(AnyBodyService { inner })
    }
}

/// Middleware that makes an [`AnyBody`] of the response body.
#[derive(Clone, Debug)]
pub struct AnyBodyService<S> {
    inner: S,
}

impl<S, R, B> Service<R> for AnyBodyService<S>
where
    S: Service<R, Response = Response<B>>,
    B: Body,
{
    type Response = Response<AnyBody<B>>;
    type Error = S::Error;
    type Future = AnyBodyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: R) -> Self::Future {
        AnyBodyFuture {
            inner: self.inner.call(req),
        }
    }
}

pin_project! {
    /// Response future for [`AnyBodyService`].
    pub struct AnyBodyFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for AnyBodyFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<AnyBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.project().inner.poll(cx));
        Poll::Ready(result.map(|response| response.map(AnyBody::plain)))
    }
}

impl<F> fmt::Debug for AnyBodyFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyBodyFuture").finish_non_exhaustive()
    }
}
