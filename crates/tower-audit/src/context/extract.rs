//! The context as an axum extractor.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use super::AuditContext;

impl<S: Send + Sync> FromRequestParts<S> for AuditContext {
    type Rejection = MissingAuditLayer;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Self::of(&parts.extensions)
            .cloned()
            .ok_or(MissingAuditLayer(()))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for AuditContext {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        Ok(Self::of(&parts.extensions).cloned())
    }
}

/// A handler asked for its [`AuditContext`], but no audit layer is around its route: what it does
/// would not be recorded, so it does not run. Becomes a 500.
///
/// A route that is added after `.layer(...)` is not inside of that layer. A handler that may run
/// without one takes an `Option<AuditContext>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingAuditLayer(());

impl std::fmt::Display for MissingAuditLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no AuditLayer is around this route: add the layer after the route")
    }
}

impl std::error::Error for MissingAuditLayer {}

impl IntoResponse for MissingAuditLayer {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
