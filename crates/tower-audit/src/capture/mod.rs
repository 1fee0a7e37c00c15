//! What a [policy](crate::policy) asks to capture of headers, the query and bodies.
//!
//! It goes to the column `captured`, after the layer's [`Redaction`](crate::privacy::Redaction):
//!
//! ```json
//! {
//!     "headers": {"x-client-version": "1.2"},
//!     "query": {"page": "2", "access_token": "[redacted]"},
//!     "request_body": {"length": 36, "json": {"name": "apollo", "password": "[redacted]"}},
//!     "response_body": {"length": 90210, "truncated": true, "json": {"items": [{"id": 1}]}}
//! }
//! ```
//!
//! Bodies are watched as they pass, frame by frame, and never held back: the handler and the client get what
//! they would get without this. Up to [a limit](crate::AuditLayer::body_limit) what passes is remembered.
//!
//! Of a header 1 KiB is kept, of all of them and of the query 8 KiB each: a client must not choose what else fits.
//!
//! - `length` is that of the whole body, as announced, or as far as it was read.
//! - `truncated` says that only the beginning is there, up to the last member that was whole.
//! - `skipped` says why a body is not there: `not_json` (its content type, or what it is), `encoded` (it has a
//!   `content-encoding`, and is no JSON as it is), `too_large` (it does not fit into the 64 KiB of the column), `sent_later` (the record
//!   was written before the body was sent, as in [`Durable`](crate::Mode::Durable) mode), `not_read`
//!   (the handler did not look at it), `not_watched` (see below).
//!
//! # Servers that are not axum's
//!
//! The layer can watch a request body of axum by itself. For other bodies add [`WatchBody`] right inside of it:
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_audit::{AuditLayer, MemoryStore, capture::WatchBody};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layers = ServiceBuilder::new()
//!     .layer(AuditLayer::new(MemoryStore::new()))
//!     .layer(WatchBody::new());
//! # let _ = layers; }
//! ```
//!
//! # What it does not do
//!
//! - It captures JSON and nothing else: no forms, no text, no files. What cannot be parsed cannot be redacted.
//! - A compressed body is not unpacked. Put the layer inside of the one that decompresses, or outside of the one
//!   that compresses.
//! - It does not capture what a handler did not read.

mod announced;
mod body;
mod incoming;
mod outgoing;
mod partial;
mod seen;
mod tap;

#[cfg(feature = "axum")]
pub(crate) use body::watch_axum;
pub use body::{WatchBody, WatchBodyService, Watched};
pub(crate) use incoming::Incoming;
pub(crate) use outgoing::Outgoing;
pub(crate) use tap::Tap;
