//! How safe a record is before the client has its answer.
//!
//! | | [`Background`](Mode::Background) | [`Durable`](Mode::Durable) | [`Strict`](Mode::Strict) |
//! |---|---|---|---|
//! | before the handler | nothing | is there anybody who could keep the record? | a `pending` row is committed |
//! | before the response | nothing | the record is kept | the row is completed |
//! | if that cannot be | the queue, see [`Overflow`](tower_audit_core::Overflow) | 503, the handler does not run | 503, the handler does not run |
//! | cost to the request | about a microsecond | one group commit | two group commits |
//!
//! A mode is set for a route by its annotation, by a rule of the [policy](crate::policy), or for all requests by
//! [`AuditLayer::mode`](crate::AuditLayer::mode); the strictest one wins.
//!
//! ```
//! use axum::{Router, handler::Handler, routing::{delete, post}};
//! use http::Method;
//! use tower_audit::{AuditLayer, MemoryStore, Mode, audited};
//! # async fn purge() {}
//! # async fn pay() {}
//! # async fn rename() {}
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//!
//! let app: Router = Router::new()
//!     .route("/projects/{id}", delete(purge.layer(audited("project.purge").target("project", "id").mode(Mode::Strict))))
//!     .route("/payments", post(pay))
//!     .route("/names", post(rename))
//!     .layer(
//!         AuditLayer::new(MemoryStore::new())
//!             .route(Method::POST, "/payments", audited("payment.create").mode(Mode::Durable)),
//!     );
//! # let _ = app; }
//! ```
//!
//! # Guarantees
//!
//! - What has happened is never answered with an error of this library. A request is refused before its
//!   handler runs or not at all.
//! - In `Durable` and `Strict` mode a client that has an answer has a row: in the store, or, while that
//!   is down, in the synced [spool](tower_audit_core::spool), if there is one that
//!   [counts](tower_audit_core::delivery::Confirm). The exceptions are counted as
//!   [`unconfirmed`](crate::Stats::unconfirmed): the store went away while the handler ran, and nobody
//!   could confirm the record within
//!   [`confirm_timeout`](crate::DeliverySettings::confirm_timeout).
//! - In `Strict` mode a handler that has begun has a row, whatever happens to the process: `pending` if
//!   nobody could complete it, and `unknown` once it is older than
//!   [`pending_timeout`](crate::DeliverySettings::pending_timeout).
//!
//! # What it does not do
//!
//! - The row of a `Durable` or `Strict` request is written when the response begins, so it does not say
//!   whether the client received the whole body.
//! - In `Strict` mode it is too late for the handler to [skip](crate::AuditContext::skip) the request,
//!   and for an [`unaudited`](crate::unaudited) around it where the mode is that of the layer: put such a
//!   route into the table of the layer.
//! - A pending row says what was known when it was written. By the mode or the table of the layer, or by a rule,
//!   that is before anything inside has run: who the caller is must then be known outside
//!   ([`AuditLayer::actor`](crate::AuditLayer::actor)). By an annotation around the handler it is after the
//!   auth layer.
//! - A request that is refused because it cannot be recorded leaves no row, but for one whose pending row
//!   may be there. It is counted as [`refused`](crate::Stats::refused), and logged.
//! - A handler that outlives [`Auditor::shutdown`](crate::Auditor::shutdown) leaves its row pending: stop
//!   serving first.
//! - [`AuditLayer::mode`](crate::AuditLayer::mode) holds for requests that the policy records however
//!   they end. By default a read is recorded only if it is denied, which nobody knows before its handler
//!   has run: it stays in the background.
//! - An annotation around a whole method router also holds for the methods that it answers with 405; put
//!   it around the handler, or use `route_layer`.

mod admission;
mod gate;
mod refused;

pub(crate) use admission::{Admission, admit, assert_possible, is_possible};
pub(crate) use gate::Gate;
pub use refused::Refused;

/// How safe a record is before the client has its answer. See the [module page](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// The record is queued; the request does not wait. The default.
    #[default]
    Background,
    /// The response waits until the record is kept.
    Durable,
    /// The handler waits until a pending row is committed, and the response until it is completed.
    Strict,
}
