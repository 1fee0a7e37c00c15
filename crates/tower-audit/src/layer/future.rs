//! The response future.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::ResponseBody;
use crate::{
    draft::{Confirming, Draft, Ending},
    mode::Gate,
};

pin_project! {
    /// Response future for [`AuditService`](super::AuditService).
    pub struct ResponseFuture<F, S, B>
    // The response that waits for its record is what the inner future says.
    where
        F: Future,
    {
        // Dropped first, so that what the handler says while it is dropped is still recorded.
        #[pin]
        pub(super) gate: Gate<F, S, B>,
        // `Some` until the inner future resolves. Dropping an open draft records the request as
        // aborted, so a client that hangs up still leaves a trace.
        pub(super) draft: Option<Draft>,
        // `Some` from when the inner future has resolved until its record is kept.
        pub(super) waiting: Option<Box<(F::Output, Confirming)>>,
    }
}

impl<F, S, B, ResBody, E> Future for ResponseFuture<F, S, B>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    S: Service<Request<B>, Future = F>,
    ResBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.waiting.is_none() {
            let gate = this.gate.as_mut();
            let result = match this.draft.as_mut() {
                Some(draft) => ready!(draft.watch(|| gate.poll(cx))),
                None => ready!(gate.poll(cx)),
            };
            let (result, draft) = match (result, this.draft.take()) {
                (Err(refused), draft) => {
                    return Poll::Ready(Ok(refuse(refused.into_response(()), draft)));
                }
                (Ok(result), Some(draft)) => (result, draft),
                (Ok(result), None) => return Poll::Ready(result.map(plain)),
            };
            if !draft.is_awaited() {
                return Poll::Ready(in_background(result, draft));
            }
            match in_foreground(&result, draft) {
                Some(confirming) => *this.waiting = Some(Box::new((result, confirming))),
                None => return Poll::Ready(result.map(plain)),
            }
        }
        if let Some(waiting) = this.waiting.as_mut() {
            ready!(waiting.1.as_mut().poll(cx));
        }
        match this.waiting.take() {
            Some(waiting) => Poll::Ready(waiting.0.map(plain)),
            None => Poll::Pending,
        }
    }
}

fn plain<B>(response: Response<B>) -> Response<ResponseBody<B>> {
    response.map(ResponseBody::plain)
}

fn refuse<B>(response: Response<()>, draft: Option<Draft>) -> Response<ResponseBody<B>> {
    if let Some(mut draft) = draft {
        draft.head(&response);
        draft.end(Ending::Complete);
    }
    response.map(|()| ResponseBody::empty())
}

/// Records a request whose response waits for that, as it is now: nobody looks at the body.
fn in_foreground<B: Body, E>(
    result: &Result<Response<B>, E>,
    mut draft: Draft,
) -> Option<Confirming> {
    match result {
        Ok(response) => {
            draft.head(response);
            if !has_no_body(draft.method(), response.status()) {
                draft.body(response.headers(), length(response));
            }
            draft.end_and_wait(Ending::Complete)
        }
        Err(_) => draft.end_and_wait(Ending::ServiceError),
    }
}

/// Leaves the draft to the body, if there is more to come.
fn in_background<B: Body, E>(
    result: Result<Response<B>, E>,
    mut draft: Draft,
) -> Result<Response<ResponseBody<B>>, E> {
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            draft.end(Ending::ServiceError);
            return Err(error);
        }
    };
    draft.head(&response);
    let length = length(&response);
    let is_over = length == Some(0) || response.body().is_end_stream();
    if is_over || has_no_body(draft.method(), response.status()) {
        draft.end(Ending::Complete);
        return Ok(plain(response));
    }
    draft.body(response.headers(), length);
    let tap = draft.watch_body();
    Ok(response.map(|body| ResponseBody::watched(body, draft, length, tap)))
}

/// Returns how long the body will be, if that is known.
fn length<B: Body>(response: &Response<B>) -> Option<u64> {
    let header = response.headers().get(CONTENT_LENGTH);
    let header = header.and_then(|length| length.to_str().ok()?.parse().ok());
    header.or_else(|| response.body().size_hint().exact())
}

/// A server sends no body with these, so nobody would see the body end. See RFC 9110, section 6.4.1.
fn has_no_body(method: &Method, status: StatusCode) -> bool {
    let is_tunnel = *method == Method::CONNECT && status.is_success();
    *method == Method::HEAD
        || is_tunnel
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

impl<F: Future, S, B> fmt::Debug for ResponseFuture<F, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
