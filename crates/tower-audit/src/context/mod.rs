//! What inner code says about its request.
//!
//! The outer layer puts an [`AuditContext`] into the request's extensions; inner layers and the
//! handler fill it. It survives panics and dropped futures, and whatever happens to the response.
//!
//! ```
//! use axum::{Json, Router, routing::post};
//! use tower_audit::{AuditContext, AuditLayer, MemoryStore};
//!
//! async fn create_project(audit: AuditContext) -> Json<u64> {
//!     let id = 7;
//!     audit.target_id(id);
//!     audit.metadata("plan", "pro");
//!     charge().await;
//!     Json(id)
//! }
//!
//! async fn charge() {
//!     // Deep below the handler, where nobody passed the context on.
//!     if let Some(audit) = AuditContext::current() {
//!         audit.metadata("charged", true);
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # use tower::ServiceExt;
//! let store = MemoryStore::new();
//! let app: Router = Router::new()
//!     .route("/projects", post(create_project))
//!     .layer(AuditLayer::new(store.clone()));
//!
//! # let request = http::Request::post("/projects").body(axum::body::Body::empty()).unwrap();
//! # drop(app.oneshot(request).await.unwrap().into_body());
//! let event = &store.wait_for(1).await[0];
//! assert_eq!(event.target().id(), "7");
//! assert_eq!(event.metadata().get("charged").unwrap(), true);
//! # }
//! ```

mod audit_context;
mod current;
#[cfg(feature = "axum")]
mod extract;
mod notes;
mod slot;

pub use audit_context::AuditContext;
pub(crate) use current::Current;
#[cfg(feature = "axum")]
pub use extract::MissingAuditLayer;
pub(crate) use notes::{Mark, Notes};
pub(crate) use slot::Slot;
