//! The response body, which knows when the response has ended.

use std::{
    fmt,
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

/// A response body that an [`AuditService`](super::AuditService) can watch, and that keeps its type thereby: a
/// request that nobody watches pays nothing for those that somebody does.
///
/// axum's body is one. Where the body is of another type, put [`any_body`](super::AuditLayer::any_body) behind the
/// layer; or implement this for a type of your own that can hold any body, which is what
/// [`WatchedBody`] is for:
///
/// ```
/// use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
/// use tower_audit::layer::{AuditBody, BodyWatch, WatchedBody};
/// # use std::{pin::Pin, task::{Context, Poll}};
/// # use http_body::{Body, Frame};
///
/// #[derive(Default)]
/// struct MyBody(UnsyncBoxBody<bytes::Bytes, std::io::Error>);
/// # impl Body for MyBody {
/// #     type Data = bytes::Bytes;
/// #     type Error = std::io::Error;
/// #     fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>)
/// #         -> Poll<Option<Result<Frame<bytes::Bytes>, std::io::Error>>> {
/// #         Pin::new(&mut self.0).poll_frame(cx)
/// #     }
/// # }
///
/// impl AuditBody for MyBody {
///     fn watched(self, watch: BodyWatch) -> Self {
///         Self(WatchedBody::new(self, watch).boxed_unsync())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`AuditLayer` cannot watch the response body `{Self}` without changing its type",
    note = "let it change the type: write `.layer(AuditLayer::new(store).any_body())`"
)]
pub trait AuditBody: Body + Default {
    /// Returns this body, watched to its end.
    #[must_use]
    fn watched(self, watch: BodyWatch) -> Self;
}

#[cfg(feature = "axum")]
impl AuditBody for axum::body::Body {
    fn watched(self, watch: BodyWatch) -> Self {
        Self::new(WatchedBody::new(self, watch))
    }
}

/// What watches a response body to its end, where the request is recorded. Dropping it records the request as
/// aborted.
#[derive(Debug)]
pub struct BodyWatch {
    draft: Draft,
    /// How many bytes are still to come, if that is known. A server stops asking when it has sent what the head
    /// announced, and then nobody sees the end of the inner body.
    left: Option<u64>,
    /// `Some` if the policy may ask for the body.
    tap: Option<Arc<Tap>>,
}

impl BodyWatch {
    pub(super) fn new(draft: Draft, length: Option<u64>, tap: Option<Arc<Tap>>) -> Self {
        Self {
            draft,
            left: length,
            tap,
        }
    }

    /// Returns how the response has ended, if this frame is its last.
    fn look<B: Body>(
        &mut self,
        frame: Option<&Result<Frame<B::Data>, B::Error>>,
        inner: &B,
    ) -> Option<Ending> {
        let frame = match frame {
            None => return Some(Ending::Complete),
            Some(Err(_)) => return Some(Ending::BodyError),
            Some(Ok(frame)) => frame,
        };
        let data = frame.data_ref();
        if let (Some(tap), Some(data)) = (&self.tap, data) {
            tap.pass(data);
        }
        let sent = data.map_or(0, bytes_of);
        self.left = self.left.map(|left| left.saturating_sub(sent));
        // Trailers are the last frame (RFC 9110, section 6.5), and a server asks for no other.
        let is_over = frame.is_trailers() || inner.is_end_stream();
        (self.left == Some(0) || is_over).then_some(Ending::Complete)
    }

    fn end(self, ending: Ending) {
        if let Some(tap) = self.tap.filter(|_| ending == Ending::Complete) {
            tap.end();
        }
        self.draft.end(ending);
    }
}

fn bytes_of(data: &impl bytes::Buf) -> u64 {
    u64::try_from(data.remaining()).unwrap_or(u64::MAX)
}

pin_project! {
    /// A response body that is watched to its end; the inner one, frame by frame.
    #[derive(Debug)]
    pub struct WatchedBody<B> {
        #[pin]
        inner: B,
        // `Some` until the end.
        watch: Option<BodyWatch>,
    }
}

impl<B> WatchedBody<B> {
    /// Returns this body, watched to its end. For an [`AuditBody`].
    pub fn new(inner: B, watch: BodyWatch) -> Self {
        Self {
            inner,
            watch: Some(watch),
        }
    }
}

impl<B: Body> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(watch) = this.watch.as_mut() else {
            return this.inner.poll_frame(cx);
        };
        let inner = &mut this.inner;
        let frame = ready!(watch.draft.watch(|| inner.as_mut().poll_frame(cx)));
        if let Some(ending) = watch.look(frame.as_ref(), &*this.inner)
            && let Some(watch) = this.watch.take()
        {
            watch.end(ending);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

pin_project! {
    /// A response body of any type, watched or not; see [`AuditLayer::any_body`](super::AuditLayer::any_body).
    pub struct AnyBody<B> {
        #[pin]
        inner: Any<B>,
    }
}

pin_project! {
    #[project = AnyProject]
    enum Any<B> {
        Empty,
        Plain { #[pin] inner: B },
        Watched { inner: Pin<Box<WatchedBody<AnyBody<B>>>> },
    }
}

impl<B> AnyBody<B> {
    pub(super) fn plain(inner: B) -> Self {
        let inner = Any::Plain { inner };
        Self { inner }
    }
}

impl<B> Default for AnyBody<B> {
    fn default() -> Self {
        Self { inner: Any::Empty }
    }
}

impl<B: Body> AuditBody for AnyBody<B> {
    fn watched(self, watch: BodyWatch) -> Self {
        let inner = Box::pin(WatchedBody::new(self, watch));
        Self {
            inner: Any::Watched { inner },
        }
    }
}

impl<B: Body> Body for AnyBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().inner.project() {
            AnyProject::Empty => Poll::Ready(None),
            AnyProject::Plain { inner } => inner.poll_frame(cx),
            AnyProject::Watched { inner } => inner.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Any::Empty => true,
            Any::Plain { inner } => inner.is_end_stream(),
            Any::Watched { inner } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Any::Empty => SizeHint::with_exact(0),
            Any::Plain { inner } => inner.size_hint(),
            Any::Watched { inner } => inner.size_hint(),
        }
    }
}

impl<B> fmt::Debug for AnyBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyBody").finish_non_exhaustive()
    }
}
