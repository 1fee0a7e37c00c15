//! The caller: a bearer token `demo-<name>` is user `<name>`. Not for anything real.

use axum::{
    extract::{FromRequestParts, Request},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};

/// Who called.
#[derive(Clone, Debug)]
pub(crate) struct AuthUser(pub(crate) String);

/// Puts an [`AuthUser`] into the request if its token is good, as auth layers do.
pub(crate) async fn authenticate(mut req: Request, next: Next) -> Response {
    let header = req
        .headers()
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok());
    let name = header
        .and_then(|header| header.strip_prefix("Bearer demo-"))
        .filter(|name| !name.is_empty());
    if let Some(name) = name.map(str::to_owned) {
        req.extensions_mut().insert(AuthUser(name));
    }
    next.run(req).await
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
