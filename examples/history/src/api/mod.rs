//! The routes. Whatever changes a row does it in a transaction that begins with the context of its request.

mod api_keys;
mod jobs;
mod users;

use axum::{
    Router,
    middleware::from_fn,
    routing::{get, patch, post},
};
use sqlx::PgPool;
use tower_audit::{Actor, AuditLayer, Auditor, history::History, identify};
use tower_audit_web::AuditWeb;

use crate::auth::{AuthUser, authenticate};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) pool: PgPool,
    pub(crate) auditor: Auditor,
    pub(crate) history: History,
}

/// The routes, with the audit layer around all of them, and the trail itself to look at. All have their names by
/// convention: `job.create`, `apikey.rotate`.
pub(crate) fn router(service: Service, web: AuditWeb) -> Router {
    let audit = AuditLayer::new(&service.auditor);
    Router::new()
        .route("/users", post(users::create))
        .route("/jobs", post(jobs::create))
        .route("/jobs/{id}", patch(jobs::change).delete(jobs::delete))
        .route("/jobs/{id}/as-of/{time}", get(jobs::as_of))
        .route("/apikeys", post(api_keys::create))
        .route("/apikeys/{id}/rotate", post(api_keys::rotate))
        .nest("/audit", web.router())
        // Inside of the auth layer, and before any handler begins a transaction: the actor of the request is the one of its
        // changes.
        .layer(identify::<AuthUser>(|user| {
            Actor::user(&user.0).auth_method("bearer")
        }))
        .layer(from_fn(authenticate))
        .layer(audit)
        .with_state(service)
}
