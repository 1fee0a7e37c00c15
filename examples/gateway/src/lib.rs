//! A reverse proxy that audits what passes: the client behind the proxies in front of it, a request id for the whole
//! way, and names for what the service behind it does.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr as _,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{AUTHORIZATION, CONNECTION, FORWARDED, HOST},
        uri::{Authority, Scheme},
    },
    response::{IntoResponse, Response},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower_audit::{
    Annotation, AuditContext, AuditLayer, audited,
    client::{TrustedProxies, TrustedProxiesError},
};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

/// What the service behind the gateway does: it has no routes here, so the table on the layer names them.
fn names() -> [(Method, &'static str, Annotation); 3] {
    let project = |action| audited(action).target("project", "id");
    [
        (
            Method::POST,
            "/projects",
            audited("project.create")
                .target_kind("project")
                .id_from_location(),
        ),
        (Method::PUT, "/projects/{id}", project("project.update")),
        (Method::DELETE, "/projects/{id}", project("project.delete")),
    ]
}

/// Returns a gateway to this service. Whom it trusts to name the client is a matter of where it runs: here a load
/// balancer on the same machine.
///
/// # Errors
///
/// Returns an error if the trusted networks are none.
pub fn router(audit: AuditLayer, upstream: Authority) -> Result<Router, TrustedProxiesError> {
    let proxies = TrustedProxies::x_forwarded_for().loopback().build()?;
    let audit = names()
        .into_iter()
        .fold(audit, |audit, (method, template, name)| {
            audit.route(method, template, name)
        })
        .trusted_proxies(proxies);
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    Ok(Router::new()
        .fallback(forward)
        .with_state(Gateway { client, upstream })
        .layer(audit)
        // Outside of the audit layer, so that it sees the id; a client's own id is kept.
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid)))
}

#[derive(Clone)]
struct Gateway {
    client: Client<HttpConnector, Body>,
    upstream: Authority,
}

async fn forward(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    audit: AuditContext,
    mut req: Request,
) -> Response {
    let path = req.uri().path_and_query().cloned();
    let mut parts = axum::http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(gateway.upstream.clone());
    parts.path_and_query = path;
    let Ok(uri) = Uri::from_parts(parts) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *req.uri_mut() = uri;
    strip_hop_by_hop(req.headers_mut());
    for name in [HOST, FORWARDED, X_REAL_IP] {
        // What a client wrote there, the service behind it might believe.
        req.headers_mut().remove(name);
    }
    append_client(req.headers_mut(), peer.ip());
    match gateway.client.request(req).await {
        Ok(mut answer) => {
            strip_hop_by_hop(answer.headers_mut());
            answer.map(Body::new)
        }
        Err(_) => {
            audit.reason("upstream_unavailable");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// Says who sent it, behind what the proxies before said.
fn append_client(headers: &mut HeaderMap, peer: IpAddr) {
    if let Ok(peer) = HeaderValue::from_str(&peer.to_canonical().to_string()) {
        headers.append(X_FORWARDED_FOR, peer);
    }
}

/// Removes what is between two neighbours only (RFC 9110, section 7.6.1).
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| HeaderName::from_str(name.trim()).ok())
        // These are not for a client to take away.
        .filter(|name| ![X_FORWARDED_FOR, X_REQUEST_ID, AUTHORIZATION].contains(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
