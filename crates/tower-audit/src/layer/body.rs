//! The response body, which knows when the response has ended.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    capture::Tap,
    draft::{Draft, Ending},
};

pin_project! {
    /// Response body for [`AuditService`](super::AuditService): the inner one, frame by frame.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        // `None` if the request was refused: there is no inner response.
        #[pin]
        inner: Option<B>,
        // `Some` until the end. Dropping an open draft records the request as aborted.
        draft: Option<Draft>,
        // How many bytes are still to come, if that is known. A server stops asking when it has
        // sent what the head announced, and then nobody sees the end of the inner body.
        left: Option<u64>,
        // `Some` if the policy may ask for the body.
        tap: Option<Arc<Tap>>,
    }
}

impl<B> ResponseBody<B> {
    /// Returns the body of a request that is recorded, or is not.
    pub(super) fn plain(inner: B) -> Self {
        Self {
            inner: Some(inner),
            draft: None,
            left: None,
            tap: None,
        }
    }

    /// Returns the body of a request that is recorded when the body ends.
    pub(super) fn watched(
        inner: B,
        draft: Draft,
        length: Option<u64>,
        tap: Option<Arc<Tap>>,
    ) -> Self {
        Self {
            inner: Some(inner),
            draft: Some(draft),
            left: length,
            tap,
        }
    }

    pub(super) fn empty() -> Self {
        Self {
            inner: None,
            draft: None,
            left: None,
            tap: None,
        }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let Some(mut inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Some(draft) = this.draft.as_mut() else {
            return inner.poll_frame(cx);
        };
        let frame = ready!(draft.watch(|| inner.as_mut().poll_frame(cx)));
        let ending = match &frame {
            None => Some(Ending::Complete),
            Some(Err(_)) => Some(Ending::BodyError),
            Some(Ok(frame)) => {
                let data = frame.data_ref();
                if let (Some(tap), Some(data)) = (&this.tap, data) {
                    tap.pass(data);
                }
                let sent = data.map_or(0, bytes_of);
                *this.left = this.left.map(|left| left.saturating_sub(sent));
                // Trailers are the last frame (RFC 9110, section 6.5), and a server asks for no other.
                let is_over = frame.is_trailers() || inner.is_end_stream();
                let is_end = *this.left == Some(0) || is_over;
                is_end.then_some(Ending::Complete)
            }
        };
        if let Some(ending) = ending
            && let Some(draft) = this.draft.take()
        {
            if let Some(tap) = this.tap.take().filter(|_| ending == Ending::Complete) {
                tap.end();
            }
            draft.end(ending);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let empty = SizeHint::with_exact(0);
        self.inner.as_ref().map_or(empty, Body::size_hint)
    }
}

fn bytes_of(data: &impl bytes::Buf) -> u64 {
    u64::try_from(data.remaining()).unwrap_or(u64::MAX)
}
