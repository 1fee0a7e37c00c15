//! tower-sessions alone: who signed in is in the session, which has to be loaded first.

use axum::{
    Json, Router,
    extract::Request,
    handler::Handler,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::{delete, post},
};
use tower_audit::{
    Actor, AuditContext, AuditLayer, AuthFailed, audited, catalog, identify, privacy::hashed,
};
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use crate::{Credentials, delete_project};

/// `POST /login`, `POST /logout`, and `DELETE /projects/{id}` for who signed in.
pub fn router(audit: AuditLayer) -> Router {
    // The cookie goes over plain HTTP in this example alone.
    let sessions = SessionManagerLayer::new(MemoryStore::default()).with_secure(false);
    Router::new()
        .route("/projects/{id}", delete(delete_project))
        .route_layer(from_fn(only_known))
        .route(
            "/login",
            post(login.layer(audited(catalog::user::LOGIN).target_kind(catalog::user::KIND))),
        )
        .route(
            "/logout",
            post(logout.layer(audited(catalog::user::LOGOUT).target_kind(catalog::user::KIND))),
        )
        .layer(identify::<CurrentUser>(|user| {
            let actor = Actor::user(&user.name).auth_method("session");
            // Its id is the key to the session: the trail has its hash, which tells as much and opens nothing.
            actor.maybe(user.session.as_ref(), |actor, id| {
                actor.credential_id(hashed(id))
            })
        }))
        .layer(from_fn(load_user))
        .layer(sessions)
        .layer(audit)
}

#[derive(Clone, Debug)]
struct CurrentUser {
    name: String,
    session: Option<String>,
}

/// Puts the user of the session into the request.
async fn load_user(session: Session, mut req: Request, next: Next) -> Result<Response, StatusCode> {
    let name = session.get::<String>(USER).await;
    let name = name.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    if let Some(name) = name {
        let session = session.id().map(|id| id.to_string());
        req.extensions_mut().insert(CurrentUser { name, session });
    }
    Ok(next.run(req).await)
}

async fn only_known(req: Request, next: Next) -> Result<Response, StatusCode> {
    match req.extensions().get::<CurrentUser>() {
        Some(_) => Ok(next.run(req).await),
        None => Err(StatusCode::UNAUTHORIZED),
    }
}

async fn login(
    audit: AuditContext,
    session: Session,
    Json(credentials): Json<Credentials>,
) -> Result<(), StatusCode> {
    audit.target_id(&credentials.user);
    let Some(user) = credentials.check() else {
        audit.auth_failed(AuthFailed::new("wrong_password").claimed(&credentials.user));
        return Err(StatusCode::UNAUTHORIZED);
    };
    audit.actor(Actor::user(user).auth_method("password"));
    let broken = |_| StatusCode::INTERNAL_SERVER_ERROR;
    // Whoever knew the id before must not know it now (OWASP: session fixation).
    session.cycle_id().await.map_err(broken)?;
    session.insert(USER, user).await.map_err(broken)
}

async fn logout(audit: AuditContext, session: Session) -> Result<(), StatusCode> {
    let broken = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let user = session.get::<String>(USER).await.map_err(broken)?;
    audit.target_id(user.unwrap_or_default());
    session.flush().await.map_err(broken)
}

const USER: &str = "user";
