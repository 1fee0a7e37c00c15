//! Keeps a request from its service until it is admitted.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Refused, admission::Admitting};

pin_project! {
    /// Keeps a request from its service until it is admitted: `call` itself may do the work.
    #[project = GateProject]
    pub(crate) enum Gate<F, S, B> {
        Closed {
            // `None` once it was called. In a box: most requests do not come here, and all would be as large.
            call: Option<Box<(S, Request<B>)>>,
            admitting: Admitting,
        },
        Refused { reason: Refused },
        Open {
            #[pin]
            inner: F,
        },
    }
}

impl<F, S, B> Gate<F, S, B> {
    /// Returns a gate that opens once the request is admitted. The service was polled ready.
    pub(crate) fn closed(service: S, request: Request<B>, admitting: Admitting) -> Self {
        Self::Closed {
            call: Some(Box::new((service, request))),
            admitting,
        }
    }

    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Refused>>
    where
        F: Future,
        S: Service<Request<B>, Future = F>,
    {
        loop {
            let inner = match self.as_mut().project() {
                GateProject::Open { inner } => return inner.poll(cx).map(Ok),
                GateProject::Refused { reason } => return Poll::Ready(Err(*reason)),
                GateProject::Closed { call, admitting } => {
                    ready!(admitting.as_mut().poll(cx))?;
                    // It is there until this very moment.
                    let Some(call) = call.take() else {
                        return Poll::Pending;
                    };
                    let (mut service, request) = *call;
                    service.call(request)
                }
            };
            self.set(Self::Open { inner });
        }
    }
}
