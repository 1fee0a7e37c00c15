//! What every request passes: who may, what is recorded, and what a browser may do with the answer.

use axum::{
    extract::{OriginalUri, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use tower_audit_core::AlreadyRecorded;

use crate::{
    problem::Problem,
    trail::Asked,
    view::View,
    viewer::{self, Base},
    web::AuditWeb,
};

/// Says of a response that whoever made it recorded the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IsRecorded;

/// Lets through whoever may see something, with the view that they have, and records it.
pub(crate) async fn guard(State(web): State<AuditWeb>, req: Request, next: Next) -> Response {
    let (mut head, body) = req.into_parts();
    let asked = Asked::of(&head, &web);
    let base = base(&web, &head);
    let is_page = viewer::is_page(head.uri.path());
    let answered = |problem: Problem| {
        protected(match is_page {
            true => viewer::failure(&base.0, &problem),
            false => problem.into_response(),
        })
    };
    let access = match web.authorizer.authorize(&head).await {
        Ok(access) => access,
        Err(refusal) => {
            let actor = refusal.facts.actor.clone();
            let problem = Problem::from(refusal);
            asked.record_refused(&web.auditor, Some(actor), &problem);
            return answered(problem);
        }
    };
    if comes_from_another_site(&head.headers, is_page) {
        let problem = Problem::cross_site();
        asked.record_refused(&web.auditor, Some(access.actor), &problem);
        return answered(problem);
    }
    let view = View::new(&web, access.clone());
    head.extensions.insert(view);
    head.extensions.insert(asked.clone());
    head.extensions.insert(base.clone());
    let mut response = next.run(Request::from_parts(head, body)).await;
    if response.extensions().get::<IsRecorded>().is_none() {
        asked.record(&web.auditor, &access, response.status());
    }
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => answered(problem),
        None => protected(response),
    }
}

/// Returns where the router is nested, as a browser sees it.
fn base(web: &AuditWeb, head: &Parts) -> Base {
    let original = head
        .extensions
        .get::<OriginalUri>()
        .map_or("", |uri| uri.0.path());
    let nested = original
        .strip_suffix(head.uri.path())
        .or_else(|| original.strip_suffix('/'));
    // At the root of the router nothing stands behind where it is nested.
    let nested = nested.unwrap_or(if head.uri.path() == "/" { original } else { "" });
    Base(web.settings.base.as_deref().unwrap_or(nested).into())
}

/// Returns whether a page of another site asks, other than by a link to a page that somebody follows.
fn comes_from_another_site(headers: &HeaderMap, is_page: bool) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    let is_link = is_page && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
    is("sec-fetch-site", "cross-site") && !is_link
}

/// Adds what keeps a browser from doing more with the answer than showing it.
fn protected(mut response: Response) -> Response {
    // What has to have a row has it, of which a layer around the router knows nothing.
    response.extensions_mut().insert(AlreadyRecorded);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// No script but the viewer's own file, and nothing from elsewhere. A search may name people, so its address goes to
/// nobody.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];
