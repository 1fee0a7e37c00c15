//! The service.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    AuditBody, RequestInfo, ResponseFuture, Shared, future::Watch, shared::records_for_certain,
};
use crate::{
    context::{AuditContext, Current, Slot},
    draft::{Draft, Facts},
    identify::Identified,
    mode::{Gate, Mode, admit},
    route::{original_uri, template},
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
    ResBody: AuditBody,
    ReqBody: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        if let Some(slot) = AuditContext::slot_of(req.extensions()).cloned() {
            return ResponseFuture::of(self.inside(slot, req), Watch::Nothing);
        }
        if self.ignores(&req) {
            let inner = Current::Ignored.scope(|| self.inner.call(req));
            return ResponseFuture::of(Gate::Open { inner }, Watch::Ignored);
        }
        let slot = self.open(&mut req);
        #[cfg(feature = "axum")]
        crate::capture::watch_axum(&mut req, &slot);
        let mut draft = Draft::open(Arc::clone(&slot));
        let gate = draft.watch(|| {
            // In here, so that a closure that panics leaves a trace too.
            if let Some(find) = &self.shared.actor
                && let Some(actor) = find(&RequestInfo::of(&req, slot.facts.client()))
            {
                slot.note(|notes| notes.actor = Some(actor));
            }
            match self.admission(&slot) {
                Some(mode) => Gate::closed(self.take_ready(), req, admit(slot, mode)),
                None => Gate::Open {
                    inner: self.inner.call(req),
                },
            }
        });
        ResponseFuture::of(gate, Watch::Draft { draft })
    }
}

impl<S: Clone> AuditService<S> {
    /// Passes on a request that a layer around this one records.
    fn inside<B>(&mut self, slot: Arc<Slot>, req: Request<B>) -> Gate<S::Future, S, B>
    where
        S: Service<Request<B>>,
    {
        let facts = &slot.facts;
        let policy = self.shared.policy.current();
        let plan = policy.plan(&facts.subject(&policy));
        let table = self.shared.annotation(facts).map(|table| &**table);
        let mode = self.shared.mode(table, &plan);
        if mode > slot.mode() {
            return Gate::closed(self.take_ready(), req, admit(slot, mode));
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
    /// Returns whether the request passes as if this layer were not there.
    fn ignores<B>(&self, req: &Request<B>) -> bool {
        let path = || original_uri(req.uri(), req.extensions()).path();
        let of_table = || self.shared.routes.template(path()).map(|known| &**known);
        let route = || template(req.extensions()).or_else(of_table);
        self.shared.policy.ignores(req.method(), path, route)
    }

    /// Puts the context of a request where inner code finds it.
    fn open<B>(&self, req: &mut Request<B>) -> Arc<Slot> {
        let mut facts = Facts::of(req, &self.shared.client);
        if !facts.has_template()
            && let Some(template) = self.shared.routes.template(facts.path())
        {
            facts.set_template(template);
        }
        let slot = Slot::new(Arc::clone(&self.shared), facts, req.headers());
        let slot = Arc::new(slot);
        if let Some(Identified(actor)) = req.extensions_mut().remove::<Identified>() {
            slot.note(|notes| notes.actor = Some(actor));
        }
        let context = AuditContext::of_slot(Arc::clone(&slot));
        req.extensions_mut().insert(context);
        slot
    }

    /// Returns in which mode a request has to be admitted, if it has to.
    fn admission(&self, slot: &Slot) -> Option<Mode> {
        let Slot { table, plan, .. } = slot;
        let table = table.as_deref();
        let mode = self.shared.mode(table, plan);
        let needs_room = self.shared.reserves() && records_for_certain(table, plan);
        let is_admitted = mode > Mode::Background || needs_room;
        is_admitted.then_some(mode)
    }
}
