//! The service.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_audit_core::Overflow;
use tower_service::Service;

use super::{RequestInfo, ResponseBody, ResponseFuture, Shared, future::Room};
use crate::{
    context::AuditContext,
    draft::{Draft, Facts},
    identify::Identified,
    route::Template,
};

/// Middleware that records one audit event per request.
///
/// See the [module page](crate::layer).
#[derive(Clone, Debug)]
pub struct AuditService<S> {
    pub(super) inner: S,
    pub(super) shared: Arc<Shared>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for AuditService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: http_body::Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        if req.extensions().get::<AuditContext>().is_some() {
            // A layer around this one records the request.
            return ResponseFuture {
                inner: self.inner.call(req),
                draft: None,
                room: None,
            };
        }
        let (mut draft, room) = self.open(&mut req);
        let shared = &self.shared;
        let inner = &mut self.inner;
        let inner = draft.watch(|| {
            // In here, so that a closure that panics leaves a trace too.
            if let Some(actor) = shared
                .actor
                .as_ref()
                .and_then(|find| find(&RequestInfo::of(&req)))
                && let Some(context) = req.extensions().get::<AuditContext>()
            {
                context.actor(actor);
            }
            inner.call(req)
        });
        ResponseFuture {
            inner,
            draft: Some(draft),
            room,
        }
    }
}

impl<S> AuditService<S> {
    /// Opens the draft of a request, and puts its context where inner code finds it.
    fn open<B>(&self, req: &mut Request<B>) -> (Draft, Option<Room>) {
        let mut facts = Facts::of(req);
        if facts.template().is_none()
            && let Some(template) = self.shared.routes.template(facts.path())
        {
            facts.set_template(Template::Table(Arc::clone(template)));
        }
        let context = AuditContext::new(facts.arrived_at());
        if let Some(Identified(actor)) = req.extensions_mut().remove::<Identified>() {
            context.actor(actor);
        }
        req.extensions_mut().insert(context.clone());
        let room = self.room(&facts);
        (Draft::open(Arc::clone(&self.shared), context, facts), room)
    }

    /// Waits for room in the queue, if that is asked for and the request will be recorded.
    fn room(&self, facts: &Facts) -> Option<Room> {
        let shared = &self.shared;
        if !matches!(shared.auditor.overflow(), Overflow::Wait(_)) {
            return None;
        }
        let annotation = facts
            .template()
            .and_then(|template| shared.routes.annotation(facts.method(), template.as_str()));
        let is_recorded = match annotation {
            Some(annotation) => !annotation.is_skip(),
            None => shared.policy.records_method(facts.method()),
        };
        let auditor = shared.auditor.clone();
        is_recorded.then(|| Box::pin(async move { auditor.reserve(TYPICAL_EVENT).await }) as Room)
    }
}

/// How many bytes are reserved for an event that does not exist yet.
const TYPICAL_EVENT: usize = 2_048;
