//! The layer that turns an extension of the request into the actor.

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Request};
use tower_audit_core::Actor;
use tower_layer::Layer;
use tower_service::Service;

use crate::context::AuditContext;

/// Returns a layer that says who the caller is, from the extension `T` that an auth layer around it
/// left in the request. Without that extension it says nothing.
///
/// It belongs inside of the auth layer. Whether the audit layer is inside or outside of the two
/// does not matter:
///
/// ```
/// use axum::{Extension, Router, routing::post};
/// use tower_audit::{Actor, AuditLayer, MemoryStore, identify};
///
/// #[derive(Clone)]
/// struct AuthUser {
///     id: u64,
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # use tower::ServiceExt;
///
/// let store = MemoryStore::new();
/// let app: Router = Router::new()
///     .route("/projects", post(async || {}))
///     .layer(identify::<AuthUser>(|user| Actor::user(user.id)))
///     .layer(Extension(AuthUser { id: 42 })) // stands for the auth layer
///     .layer(AuditLayer::new(store.clone()));
///
/// # let request = http::Request::post("/projects").body(axum::body::Body::empty()).unwrap();
/// # drop(app.oneshot(request).await.unwrap());
/// assert_eq!(store.wait_for(1).await[0].actor(), &Actor::user(42));
/// # }
/// ```
///
/// Its other words: [`Actor::auth_method`], [`Actor::credential_id`] (of a session only
/// [hashed](crate::privacy::hashed)), [`Actor::on_behalf_of`] for impersonation, [`Actor::tenant`].
///
/// Code that has neither the request nor the context may leave an [`Actor`] in the extensions of its
/// *response*: the audit layer takes it from there, unless something in between replaced the response.
pub fn identify<T>(actor: impl Fn(&T) -> Actor + Send + Sync + 'static) -> Identify<T>
where
    T: Send + Sync + 'static,
{
    identify_if(move |found| Some(actor(found)))
}

/// Like [`identify`], for an extension that is there even if nobody signed in, such as a session:
/// the closure returns `None` then.
///
/// ```
/// use tower_audit::{Actor, identify_if};
///
/// #[derive(Clone)]
/// struct Session {
///     user: Option<u64>,
/// }
///
/// let layer = identify_if::<Session>(|session| session.user.map(Actor::user));
/// # let _ = layer;
/// ```
pub fn identify_if<T>(actor: impl Fn(&T) -> Option<Actor> + Send + Sync + 'static) -> Identify<T>
where
    T: Send + Sync + 'static,
{
    let find = move |extensions: &Extensions| extensions.get::<T>().and_then(&actor);
    Identify {
        find: Arc::new(find),
        of: PhantomData,
    }
}

type Find = dyn Fn(&Extensions) -> Option<Actor> + Send + Sync;

/// Layer that says who the caller is; made by [`identify`] and [`identify_if`].
pub struct Identify<T> {
    find: Arc<Find>,
    of: PhantomData<fn(&T)>,
}

impl<T> Clone for Identify<T> {
    fn clone(&self) -> Self {
        Self {
            find: Arc::clone(&self.find),
            of: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Identify<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identify<{}>", std::any::type_name::<T>())
    }
}

impl<T, S> Layer<S> for Identify<T> {
    type Service = IdentifyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentifyService {
            inner,
            find: Arc::clone(&self.find),
        }
    }
}

/// Middleware that says who the caller is; made by [`Identify`].
#[derive(Clone)]
pub struct IdentifyService<S> {
    inner: S,
    find: Arc<Find>,
}

impl<S: fmt::Debug> fmt::Debug for IdentifyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifyService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for IdentifyService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        if let Some(actor) = (self.find)(req.extensions()) {
            match AuditContext::slot_of(req.extensions()) {
                Some(slot) => slot.note(|notes| notes.actor = Some(actor)),
                // The audit layer is further inside, and will look for this.
                None => drop(req.extensions_mut().insert(Identified(actor))),
            }
        }
        self.inner.call(req)
    }
}

/// An actor that was found before the audit layer saw the request.
#[derive(Clone, Debug)]
pub(crate) struct Identified(pub(crate) Actor);
