//! Middleware that records one audit event per request.
//!
//! See the [crate page](crate) for an example.
//!
//! # Guarantees
//!
//! - Exactly one event a request, whether it succeeds, fails, panics, is answered 405, or its
//!   client leaves before the response or in the middle of it. A request that is
//!   [refused](crate::mode::Refused) because it cannot be recorded is counted instead.
//! - In [`Background`](crate::Mode::Background) mode the request never waits for the store. With
//!   [`Overflow::Wait`](tower_audit_core::Overflow::Wait) it waits for room in the queue, before the
//!   handler runs and at most as long as that says; with
//!   [`Overflow::Reject`](tower_audit_core::Overflow::Reject) it is refused then. What the other modes
//!   wait for is on the page of [`mode`](crate::mode).
//! - Request and response bodies pass through as they are, frame by frame.
//!
//! An audit layer inside of another one leaves the request to the outer one, unless that
//! [ignores](crate::policy::Rule::ignore) it; its [mode](crate::mode) holds all the same.

mod any_body;
mod audit_layer;
mod body;
mod capture_stats;
mod future;
mod service;
mod shared;

pub use any_body::{AnyBodyFuture, AnyBodyLayer, AnyBodyService};
pub use audit_layer::{AuditLayer, IntoAuditor};
pub use body::{AnyBody, AuditBody, BodyWatch, WatchedBody};
pub use capture_stats::CaptureStats;
pub use future::ResponseFuture;
pub use service::AuditService;
pub use shared::RequestInfo;
pub(crate) use shared::Shared;
