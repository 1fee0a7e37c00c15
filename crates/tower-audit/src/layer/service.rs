//! The service.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{RequestInfo, ResponseBody, ResponseFuture, Shared, shared::records_for_certain};
use crate::{
    context::{AuditContext, Slot},
    draft::{Draft, Facts},
    identify::Identified,
    mode::{Gate, Mode, admit},
};

/// Middleware that records one audit event per request.
///
/// The inner service must be `Clone`, as it is everywhere in axum: a request that has to wait before it
/// may run takes the one that is ready with it. See the [module page](crate::layer).
#[derive(Clone, Debug)]
pub struct AuditService<S> {
    pub(super) inner: S,
    pub(super) shared: Arc<Shared>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for AuditService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: http_body::Body,
    ReqBody: 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        if let Some(context) = req.extensions().get::<AuditContext>().cloned() {
            let gate = self.inside(context, req);
            return ResponseFuture {
                gate,
                draft: None,
                waiting: None,
            };
        }
        let context = self.open(&mut req);
        #[cfg(feature = "axum")]
        crate::capture::watch_axum(&mut req, &context);
        let mut draft = Draft::open(context.clone());
        let gate = draft.watch(|| {
            // In here, so that a closure that panics leaves a trace too.
            if let Some(find) = &self.shared.actor
                && let Some(actor) = find(&RequestInfo::of(&req, context.client()))
            {
                context.actor(actor);
            }
            match self.admission(&context) {
                Some(mode) => Gate::closed(self.take_ready(), req, admit(context, mode)),
                None => Gate::Open {
                    inner: self.inner.call(req),
                },
            }
        });
        ResponseFuture {
            gate,
            draft: Some(draft),
            waiting: None,
        }
    }
}

impl<S: Clone> AuditService<S> {
    /// Passes on a request that a layer around this one records.
    fn inside<B>(&mut self, context: AuditContext, req: Request<B>) -> Gate<S::Future, S, B>
    where
        S: Service<Request<B>>,
    {
        let facts = &context.slot().facts;
        let policy = self.shared.policy.current();
        let plan = policy.plan(&facts.subject(&policy));
        let table = self.shared.annotation(facts).map(|table| &**table);
        let mode = self.shared.mode(table, &plan);
        if mode > context.mode() {
            return Gate::closed(self.take_ready(), req, admit(context, mode));
        }
        Gate::Open {
            inner: self.inner.call(req),
        }
    }

    /// Takes the service that was polled ready, and leaves one that was not.
    fn take_ready(&mut self) -> S {
        let next = self.inner.clone();
        std::mem::replace(&mut self.inner, next)
    }
}

impl<S> AuditService<S> {
    /// Puts the context of a request where inner code finds it.
    fn open<B>(&self, req: &mut Request<B>) -> AuditContext {
        let mut facts = Facts::of(req, &self.shared.client);
        if !facts.has_template()
            && let Some(template) = self.shared.routes.template(facts.path())
        {
            facts.set_template(template);
        }
        let context = AuditContext::new(Arc::clone(&self.shared), facts, req.headers());
        if let Some(Identified(actor)) = req.extensions_mut().remove::<Identified>() {
            context.actor(actor);
        }
        req.extensions_mut().insert(context.clone());
        context
    }

    /// Returns in which mode a request has to be admitted, if it has to.
    fn admission(&self, context: &AuditContext) -> Option<Mode> {
        let Slot { table, plan, .. } = context.slot();
        let table = table.as_deref();
        let mode = self.shared.mode(table, plan);
        let needs_room = self.shared.reserves() && records_for_certain(table, plan);
        let is_admitted = mode > Mode::Background || needs_room;
        is_admitted.then_some(mode)
    }
}
