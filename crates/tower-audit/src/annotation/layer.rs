//! The annotation as a layer around a handler or a method router.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::Annotation;
use crate::{
    context::{AuditContext, Current, Slot},
    mode::{Gate, Mode, Refused, admit},
};

impl<S> Layer<S> for Annotation {
    type Service = Annotated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Annotated {
            inner,
            annotation: Arc::new(self.clone()),
        }
    }
}

/// Middleware that tells the audit layer around it what a route does, and keeps the request from its
/// handler until its [mode](crate::mode) lets it run.
#[derive(Clone, Debug)]
pub struct Annotated<S> {
    inner: S,
    annotation: Arc<Annotation>,
}

impl<S, B, ResBody> Service<Request<B>> for Annotated<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = AnnotatedFuture<S::Future, S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let slot = AuditContext::slot_of(req.extensions()).cloned();
        let gate = match slot {
            None if self.annotation.mode > Mode::Background && !Current::is_ignored() => {
                tracing::error!("{}", Refused::NoLayer);
                Gate::Refused {
                    reason: Refused::NoLayer,
                }
            }
            None => Gate::Open {
                inner: self.inner.call(req),
            },
            Some(slot) => self.admit(slot, req),
        };
        AnnotatedFuture { gate }
    }
}

impl<S: Clone> Annotated<S> {
    /// Says what the route does, and admits the request if that makes a difference.
    fn admit<B>(&mut self, slot: Arc<Slot>, req: Request<B>) -> Gate<S::Future, S, B>
    where
        S: Service<Request<B>>,
    {
        slot.annotate(&self.annotation);
        let Some(mode) = slot.admission_of(&self.annotation) else {
            return Gate::Open {
                inner: self.inner.call(req),
            };
        };
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        Gate::closed(ready, req, admit(slot, mode))
    }
}

pin_project! {
    /// Response future for [`Annotated`].
    pub struct AnnotatedFuture<F, S, B> {
        #[pin]
        gate: Gate<F, S, B>,
    }
}

impl<F, S, B, ResBody, E> Future for AnnotatedFuture<F, S, B>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    S: Service<Request<B>, Future = F>,
    ResBody: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(self.project().gate.poll(cx)) {
            Ok(result) => Poll::Ready(result),
            Err(refused) => Poll::Ready(Ok(refused.into_response(ResBody::default()))),
        }
    }
}

impl<F, S, B> fmt::Debug for AnnotatedFuture<F, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnnotatedFuture").finish_non_exhaustive()
    }
}
