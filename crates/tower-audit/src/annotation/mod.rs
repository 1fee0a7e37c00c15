//! What a route does, said by whoever wrote it.
//!
//! [`audited`] names the action and the target of a route. It is one type in every place:
//!
//! ```
//! use axum::{Router, handler::Handler, routing::{delete, post}};
//! use http::Method;
//! use tower_audit::{AuditLayer, MemoryStore, audited};
//! # async fn archive() {}
//! # async fn invite() {}
//! # async fn purge() {}
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//!
//! let app: Router = Router::new()
//!     // on a handler,
//!     .route("/projects/{id}", delete(archive.layer(audited("project.archive").target("project", "id"))))
//!     // on a method router (what answers 405 is not annotated),
//!     .route("/teams/{id}/invite", post(invite).layer(audited("team.invite").target("team", "id")))
//!     .route("/cache", delete(purge))
//!     .layer(
//!         AuditLayer::new(MemoryStore::new())
//!             // or in a table on the layer, which also names what an auth layer refused.
//!             .route(Method::DELETE, "/cache", audited("cache.purge")),
//!     );
//! # let _ = app; }
//! ```
//!
//! An annotated route is recorded whatever its method; [`unaudited`] keeps a route out of the
//! trail. What the handler says through [`AuditContext`](crate::AuditContext) goes before the
//! annotation, the annotation on a handler before the one in the table, and both before the name by
//! [convention](crate#names-by-convention).

mod layer;
mod routes;
mod words;

pub use layer::{Annotated, AnnotatedFuture};
pub(crate) use routes::Routes;
pub use words::{Annotation, audited, unaudited};
