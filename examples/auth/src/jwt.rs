//! JSON Web Tokens: a layer of our own checks them, and puts what they say into the request.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Json, Router,
    extract::{Request, State},
    handler::Handler,
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, post},
};
use jsonwebtoken::{
    DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use serde::{Deserialize, Serialize};
use tower_audit::{Actor, AuditContext, AuditLayer, AuthFailed, audited, catalog, identify};

use crate::{Credentials, delete_project};

/// How tokens are signed.
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Keys {
    /// Returns the keys that are made of a secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// Returns a token of a user of a tenant that is valid until `expires`.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be signed.
    pub fn sign(
        &self,
        user: &str,
        tenant: &str,
        expires: SystemTime,
    ) -> jsonwebtoken::errors::Result<String> {
        let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = Claims {
            sub: user.to_owned(),
            org: tenant.to_owned(),
            // Public: it names the token, and does not open anything.
            jti: format!("{user}-{}", expires.as_millis()),
            exp: expires.as_secs(),
        };
        encode(&Header::default(), &claims, &self.encoding)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Claims {
    sub: String,
    org: String,
    jti: String,
    exp: u64,
}

/// `POST /token`, and `DELETE /projects/{id}` for who has one.
pub fn router(audit: AuditLayer, keys: Arc<Keys>) -> Router {
    let login = audited(catalog::user::LOGIN).target_kind(catalog::user::KIND);
    Router::new()
        .route("/projects/{id}", delete(delete_project))
        .layer(identify::<Claims>(|claims| {
            Actor::user(&claims.sub)
                .auth_method("jwt")
                .credential_id(&claims.jti)
                .tenant(&claims.org)
        }))
        .layer(from_fn_with_state(Arc::clone(&keys), authenticate))
        .route("/token", post(token.layer(login)))
        .layer(audit)
        .with_state(keys)
}

/// Lets through who has a good token, and says of the others why not.
async fn authenticate(State(keys): State<Arc<Keys>>, mut req: Request, next: Next) -> Response {
    let header = req
        .headers()
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok());
    let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) else {
        return refused(AuthFailed::new("no_token"));
    };
    match decode::<Claims>(token, &keys.decoding, &Validation::default()) {
        Ok(token) => {
            req.extensions_mut().insert(token.claims);
            next.run(req).await
        }
        Err(error) if *error.kind() == ErrorKind::ExpiredSignature => {
            // It was good once, so it is worth knowing whose it was.
            let even_old = Validation {
                validate_exp: false,
                ..Validation::default()
            };
            let old = decode::<Claims>(token, &keys.decoding, &even_old);
            let claimed = old.map(|old| old.claims.sub).unwrap_or_default();
            refused(AuthFailed::new("expired_token").claimed(claimed))
        }
        Err(_) => refused(AuthFailed::new("bad_token")),
    }
}

/// The audit layer reads the failure from the extensions of the response.
fn refused(failed: AuthFailed) -> Response {
    (StatusCode::UNAUTHORIZED, Extension(failed)).into_response()
}

async fn token(
    State(keys): State<Arc<Keys>>,
    audit: AuditContext,
    Json(credentials): Json<Credentials>,
) -> Result<String, StatusCode> {
    audit.target_id(&credentials.user);
    let Some(user) = credentials.check() else {
        audit.auth_failed(AuthFailed::new("wrong_password").claimed(&credentials.user));
        return Err(StatusCode::UNAUTHORIZED);
    };
    audit.actor(Actor::user(user).auth_method("password").tenant(TENANT));
    keys.sign(user, TENANT, SystemTime::now() + Duration::from_secs(900))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

const TENANT: &str = "acme";
