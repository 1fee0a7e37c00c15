//! axum-login: its layer puts an `AuthSession` into every request, with a user or without one.

use std::convert::Infallible;

use axum::{
    Json, Router,
    handler::Handler,
    http::StatusCode,
    routing::{delete, post},
};
use axum_login::{
    AuthManagerLayerBuilder, AuthUser, AuthnBackend, UserId, login_required,
    tower_sessions::{MemoryStore, SessionManagerLayer},
};
use tower_audit::{Actor, AuditContext, AuditLayer, AuthFailed, audited, catalog, identify_if};

use crate::{Credentials, delete_project, known};

type AuthSession = axum_login::AuthSession<Backend>;

/// `POST /login`, `POST /logout`, and `DELETE /projects/{id}` for who signed in.
pub fn router(audit: AuditLayer) -> Router {
    // The cookie goes over plain HTTP in this example alone.
    let sessions = SessionManagerLayer::new(MemoryStore::default()).with_secure(false);
    let auth = AuthManagerLayerBuilder::new(Backend, sessions).build();
    Router::new()
        .route("/projects/{id}", delete(delete_project))
        .route_layer(login_required!(Backend))
        .route(
            "/login",
            post(login.layer(audited(catalog::user::LOGIN).target_kind(catalog::user::KIND))),
        )
        .route(
            "/logout",
            post(logout.layer(audited(catalog::user::LOGOUT).target_kind(catalog::user::KIND))),
        )
        .layer(identify_if::<AuthSession>(|session| {
            let user = session.user.as_ref()?;
            Some(Actor::user(user.id()).auth_method("session"))
        }))
        .layer(auth)
        .layer(audit)
}

async fn login(
    audit: AuditContext,
    mut session: AuthSession,
    Json(credentials): Json<Credentials>,
) -> Result<(), StatusCode> {
    // Which account it is about. Who it was is known only if the password is right.
    audit.target_id(&credentials.user);
    let claimed = credentials.user.clone();
    let user = session.authenticate(credentials).await;
    let Some(user) = user.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)? else {
        audit.auth_failed(AuthFailed::new("wrong_password").claimed(claimed));
        return Err(StatusCode::UNAUTHORIZED);
    };
    audit.actor(Actor::user(user.id()).auth_method("password"));
    let signed_in = session.login(&user).await;
    signed_in.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn logout(audit: AuditContext, mut session: AuthSession) -> Result<(), StatusCode> {
    let left = session.logout().await;
    let left = left.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    audit.target_id(left.map(|user| user.id()).unwrap_or_default());
    Ok(())
}

#[derive(Clone, Debug)]
struct User {
    name: &'static str,
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.name.to_owned()
    }

    /// A real service returns the hash of the password, so that a new one ends the sessions of the old one.
    fn session_auth_hash(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

#[derive(Clone, Debug)]
struct Backend;

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, credentials: Credentials) -> Result<Option<User>, Infallible> {
        Ok(credentials.check().map(|name| User { name }))
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, Infallible> {
        Ok(known(id).map(|name| User { name }))
    }
}
