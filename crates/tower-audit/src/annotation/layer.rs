//! The annotation as a layer around a handler or a method router.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::Annotation;
use crate::context::AuditContext;

impl<S> Layer<S> for Annotation {
    type Service = Annotated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Annotated {
            inner,
            annotation: Arc::new(self.clone()),
        }
    }
}

/// Middleware that tells the audit layer around it what a route does.
#[derive(Clone, Debug)]
pub struct Annotated<S> {
    inner: S,
    annotation: Arc<Annotation>,
}

impl<S, B> Service<Request<B>> for Annotated<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        if let Some(context) = AuditContext::of(req.extensions()) {
            context.annotate(&self.annotation);
        }
        self.inner.call(req)
    }
}
