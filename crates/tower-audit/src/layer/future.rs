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

use super::{AuditBody, BodyWatch};
use crate::{
    context::Current,
    draft::{Confirming, Draft, Ending},
    mode::{Gate, Refused},
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
        gate: Gate<F, S, B>,
        watch: Watch,
        // `Some` from when the inner future has resolved until its record is kept.
        waiting: Option<Box<(F::Output, Confirming)>>,
    }
}

/// What is done about a request while its service works on it.
pub(super) enum Watch {
    /// It is recorded. Until the inner future resolves: dropping an open draft records the request as aborted, so a
    /// client that hangs up still leaves a trace.
    Draft { draft: Draft },
    /// Nobody inside is to think that it may be recorded.
    Ignored,
    /// A layer around this one records it, or it is over.
    Nothing,
}

impl<F: Future, S, B> ResponseFuture<F, S, B> {
    pub(super) fn of(gate: Gate<F, S, B>, watch: Watch) -> Self {
        Self {
            gate,
            watch,
            waiting: None,
        }
    }
}

impl<F, S, B, ResBody, E> Future for ResponseFuture<F, S, B>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    S: Service<Request<B>, Future = F>,
    ResBody: AuditBody,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.waiting.is_none() {
            let gate = this.gate.as_mut();
            let result = match this.watch {
                Watch::Draft { draft } => ready!(draft.watch(|| gate.poll(cx))),
                Watch::Ignored => {
                    return Current::Ignored.scope(|| gate.poll(cx)).map(unless_refused);
                }
                Watch::Nothing => return gate.poll(cx).map(unless_refused),
            };
            // It is there until this very moment.
            let Watch::Draft { mut draft } = std::mem::replace(this.watch, Watch::Nothing) else {
                return Poll::Pending;
            };
            let result = match result {
                Ok(result) => result,
                Err(refused) => {
                    let response = refused.into_response(ResBody::default());
                    draft.head(&response);
                    draft.end(Ending::Complete);
                    return Poll::Ready(Ok(response));
                }
            };
            if !draft.is_awaited() {
                return Poll::Ready(in_background(result, draft));
            }
            match in_foreground(&result, draft) {
                Some(confirming) => *this.waiting = Some(Box::new((result, confirming))),
                None => return Poll::Ready(result),
            }
        }
        if let Some(waiting) = this.waiting.as_mut() {
            ready!(waiting.1.as_mut().poll(cx));
        }
        match this.waiting.take() {
            Some(waiting) => Poll::Ready(waiting.0),
            None => Poll::Pending,
        }
    }
}

fn unless_refused<B: Default, E>(
    result: Result<Result<Response<B>, E>, Refused>,
) -> Result<Response<B>, E> {
    result.unwrap_or_else(|refused| Ok(refused.into_response(B::default())))
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
fn in_background<B: AuditBody, E>(
    result: Result<Response<B>, E>,
    mut draft: Draft,
) -> Result<Response<B>, E> {
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
        return Ok(response);
    }
    draft.body(response.headers(), length);
    let tap = draft.watch_body();
    let watch = BodyWatch::new(draft, length, tap);
    Ok(response.map(|body| body.watched(watch)))
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
