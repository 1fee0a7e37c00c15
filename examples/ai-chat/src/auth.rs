//! The caller: a bearer token `demo-<name>` is user `<name>`, and so is that name with the password `demo`, which is
//! what a browser asks for. Not for anything real.

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderValue, StatusCode, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use tower_audit::Actor;
use tower_audit_web::{Access, Refusal};

/// Who called.
#[derive(Clone, Debug)]
pub(crate) struct AuthUser(pub(crate) String);

/// Puts an [`AuthUser`] into the request if its token is good, as auth layers do.
pub(crate) async fn authenticate(mut req: Request, next: Next) -> Response {
    let header = req
        .headers()
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok());
    let name = header.and_then(|header| bearer(header).or_else(|| basic(header)));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        req.extensions_mut().insert(AuthUser(name));
    }
    next.run(req).await
}

fn bearer(header: &str) -> Option<String> {
    header.strip_prefix("Bearer demo-").map(str::to_owned)
}

fn basic(header: &str) -> Option<String> {
    let decoded = BASE64_STANDARD
        .decode(header.strip_prefix("Basic ")?)
        .ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, password) = decoded.split_once(':')?;
    (password == "demo").then(|| name.to_owned())
}

/// Lets whoever is signed in see the trail, and what models thought. A real service would ask for more than a name.
pub(crate) fn may_read(head: &Parts) -> Result<Access, Refusal> {
    let challenge = HeaderValue::from_static("Basic realm=\"any name, password demo\"");
    let user = head.extensions.get::<AuthUser>();
    let user = user.ok_or_else(|| Refusal::unauthenticated().challenge(challenge))?;
    let actor = Actor::user(&user.0).auth_method("demo");
    Ok(Access::all_tenants(actor).with_personal_data())
}

/// A handler that takes an [`AuthUser`] refuses the anonymous.
impl<S: Send + Sync> FromRequestParts<S> for AuthUser {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(StatusCode::UNAUTHORIZED)
    }
}
