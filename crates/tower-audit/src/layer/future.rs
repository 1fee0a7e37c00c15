//! The response future.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Method, Response, StatusCode, header::CONTENT_LENGTH};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_audit_core::{AuditEvent, delivery::Permit};

use super::ResponseBody;
use crate::draft::{Draft, Ending};

/// Waits for room in the queue.
pub(super) type Room = Pin<Box<dyn Future<Output = Option<Permit<AuditEvent>>> + Send>>;

pin_project! {
    /// Response future for [`AuditService`](super::AuditService).
    pub struct ResponseFuture<F> {
        // Dropped first, so that what the handler says while it is dropped is still recorded.
        #[pin]
        pub(super) inner: F,
        // `Some` until the inner future resolves. Dropping an open draft records the request as
        // aborted, so a client that hangs up still leaves a trace.
        pub(super) draft: Option<Draft>,
        // `Some` until there is room for the event; the handler does not run before.
        pub(super) room: Option<Room>,
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(draft) = this.draft.as_mut() else {
            let response = ready!(this.inner.poll(cx))?;
            return Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, None))));
        };
        if let Some(room) = this.room.as_mut() {
            let permit = ready!(room.as_mut().poll(cx));
            *this.room = None;
            draft.hold(permit);
        }
        let result = ready!(draft.watch(|| this.inner.poll(cx)));
        Poll::Ready(match (result, this.draft.take()) {
            (Ok(response), Some(draft)) => Ok(with_draft(response, draft)),
            (Ok(response), None) => Ok(response.map(|body| ResponseBody::new(body, None))),
            (Err(error), draft) => {
                if let Some(draft) = draft {
                    draft.end(Ending::ServiceError);
                }
                Err(error)
            }
        })
    }
}

/// Notes the head, and leaves the draft to the body if there is more to come.
fn with_draft<B: Body>(response: Response<B>, mut draft: Draft) -> Response<ResponseBody<B>> {
    draft.head(response.status(), response.headers());
    let length = response
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse().ok());
    let length = length.or_else(|| response.body().size_hint().exact());
    let is_over = length == Some(0) || response.body().is_end_stream();
    if is_over || has_no_body(draft.method(), response.status()) {
        draft.end(Ending::Complete);
        return response.map(|body| ResponseBody::new(body, None));
    }
    response.map(|body| ResponseBody::new(body, Some((draft, length))))
}

/// A server sends no body with these, so nobody would see the body end. See RFC 9110, section 6.4.1.
fn has_no_body(method: &Method, status: StatusCode) -> bool {
    let is_tunnel = *method == Method::CONNECT && status.is_success();
    *method == Method::HEAD
        || is_tunnel
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

impl<F: fmt::Debug> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
