//! For the tests of a service: what was recorded, and that nothing is missing.
//!
//! ```
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::delete};
//! use tower::ServiceExt;
//! use tower_audit::{AuditContext, AuditLayer, Outcome, testing::Trail};
//!
//! // The app takes the layer as an argument, so that a test can give it one.
//! fn app(audit: AuditLayer) -> Router {
//!     async fn delete_project(audit: AuditContext) -> StatusCode {
//!         audit.reason("not_owner");
//!         StatusCode::FORBIDDEN
//!     }
//!     Router::new().route("/projects/{id}", delete(delete_project)).layer(audit)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let trail = Trail::new();
//! let request = Request::delete("/projects/7").body(Body::empty()).unwrap();
//! app(trail.layer()).oneshot(request).await.unwrap();
//!
//! trail.events().await
//!     .assert_audited("project.delete")
//!     .on("project", "7")
//!     .outcome(Outcome::Denied)
//!     .reason("not_owner");
//! # }
//! ```
//!
//! # Is every route audited?
//!
//! A route that is added after the layer is not, and nobody notices. [`Coverage`] calls each route that may change
//! something, and fails for those that leave no row:
//!
//! ```
//! use axum::{Router, http::Method, routing::{delete, post}};
//! use tower_audit::testing::{Coverage, Trail};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trail = Trail::new();
//! let app: Router = Router::new()
//!     .route("/projects", post(async || {}))
//!     .route("/projects/{id}", delete(async || {}))
//!     .layer(trail.layer())
//!     .route("/metrics/flush", post(async || {})); // behind the layer's back
//!
//! # let document = serde_json::json!({"paths": {"/projects": {"post": {}}, "/metrics/flush": {"post": {}}}});
//! Coverage::new()
//!     .openapi(&document)?                             // the routes of an OpenAPI document,
//!     .route(Method::DELETE, "/projects/{id}")         // or by hand
//!     .param("id", "7")
//!     .allow(Method::POST, "/metrics/flush", "called by the scraper every second")
//!     .check(&trail, app)
//!     .await
//!     .assert_complete();
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! - The routes of an axum router cannot be listed: what stands neither in the document nor in the test is not
//!   checked.
//! - A row says that a route was called, also if the call was refused: [`CoverageReport::calls`] says what each
//!   answered, and with [`Coverage::expect_success`] a refusal is a problem.
//! - Handlers run, with parameters and bodies that mean nothing: give the app a database that may be broken.

mod coverage;
mod openapi;
mod report;
mod trail;

pub use coverage::Coverage;
pub use openapi::OpenApiError;
pub use report::CoverageReport;
pub use trail::{Audited, Events, Trail};
