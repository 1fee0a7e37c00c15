//! A hyper server without axum: the table on the layer knows the routes, and the server says who the peer is.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer as _, Service, service_fn};
use tower_audit::{
    Actor, AuditContext, AuditLayer, AuthFailed, PeerAddr, audited, capture::WatchBody,
};

/// Returns the layer with what it has to know of this service.
#[must_use]
pub fn named(audit: AuditLayer) -> AuditLayer {
    audit
        .route(
            Method::POST,
            "/projects",
            audited("project.create").target_kind("project"),
        )
        .route(
            Method::DELETE,
            "/projects/{id}",
            audited("project.delete").target("project", "id"),
        )
}

/// Serves connections until the future is dropped.
///
/// # Errors
///
/// Returns an error if the listener is broken.
pub async fn serve(listener: TcpListener, audit: AuditLayer) -> std::io::Result<()> {
    // Its response body is `Full`, which cannot hold another body, as axum's can.
    let audit = named(audit).any_body();
    loop {
        let (stream, peer) = listener.accept().await?;
        // `WatchBody` is for policies that capture request bodies: hyper's cannot be watched without it.
        let service = audit.layer(WatchBody::new().layer(service_fn(projects)));
        tokio::spawn(connection(stream, peer, service));
    }
}

async fn connection<S, B>(stream: TcpStream, peer: SocketAddr, service: S)
where
    S: Service<Request<hyper::body::Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let with_peer = service_fn(move |mut req: Request<_>| {
        req.extensions_mut().insert(PeerAddr(peer));
        service.clone().call(req)
    });
    let service = TowerToHyperService::new(with_peer);
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that leaves is no error of ours; its request is recorded as aborted.
    let _ = serving.await;
}

async fn projects<B: Body>(req: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let audit = AuditContext::of(req.extensions()).cloned();
    let key = req
        .headers()
        .get("x-api-key")
        .and_then(|key| key.to_str().ok());
    let status = match (key, req.method(), req.uri().path()) {
        (None, _, _) => StatusCode::UNAUTHORIZED,
        (Some(key), method, path) => {
            // The part before the dot is public, the one behind it is the secret.
            let (id, secret) = key.split_once('.').unwrap_or_default();
            let is_good = KEYS.contains(&(id, secret));
            if let Some(audit) = &audit {
                if is_good {
                    audit.actor(Actor::api_key(id).auth_method("api_key").credential_id(id));
                } else {
                    audit.auth_failed(AuthFailed::new("bad_key").claimed(id));
                }
            }
            if is_good {
                answer(method, path)
            } else {
                StatusCode::UNAUTHORIZED
            }
        }
    };
    let _ = req.into_body().collect().await;
    let mut response = Response::new(Full::from("done"));
    *response.status_mut() = status;
    Ok(response)
}

/// Who may come in. A real service has hashes in a database, and compares them in constant time.
const KEYS: [(&str, &str); 1] = [("ci", "s3cret")];

fn answer(method: &Method, path: &str) -> StatusCode {
    match (method, path) {
        (&Method::POST, "/projects") => StatusCode::CREATED,
        (&Method::DELETE, path) if path.starts_with("/projects/") => StatusCode::OK,
        _ => StatusCode::NOT_FOUND,
    }
}
