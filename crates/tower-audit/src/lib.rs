//! The audit trail for tower and axum: *who did what to which resource, from where, and how did it
//! end* - without slowing the request, without losing the answer, in a Postgres or SQLite table
//! that people can read.
//!
//! # Example
//!
#![cfg_attr(all(feature = "axum", feature = "sqlite"), doc = "```")]
#![cfg_attr(not(all(feature = "axum", feature = "sqlite")), doc = "```text")]
//! use axum::{Extension, Router, handler::Handler, routing::{delete, post}};
//! use sqlx::sqlite::SqlitePoolOptions;
//! use std::time::Duration;
//! use tower_audit::{Actor, AuditContext, AuditLayer, audited, identify};
//!
//! #[derive(Clone)]
//! struct AuthUser(String);
//!
//! async fn create_project(audit: AuditContext) {
//!     audit.target_id("7"); // only the handler knows
//! }
//! async fn archive_project() {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! tower_audit::migrate(&pool).await?; // safe to call from every replica at once
//!
//! let audit = AuditLayer::new(pool.clone()); // default policy, starts the writer
//! let app: Router = Router::new()
//!     .route("/projects", post(create_project)) // `project.create`, by convention
//!     .route("/projects/{id}", delete(archive_project.layer(audited("project.archive").target("project", "id"))))
//!     .layer(identify::<AuthUser>(|user| Actor::user(&user.0)))
//!     .layer(Extension(AuthUser("alice".into()))) // stands for the auth layer
//!     .layer(audit.clone()); // last: what is routed after it is not audited
//!
//! # use tower::ServiceExt;
//! # let request = http::Request::delete("/projects/7").body(axum::body::Body::empty())?;
//! # drop(app.oneshot(request).await?);
//! // ... serve the app, with `into_make_service_with_connect_info::<SocketAddr>()` ...
//!
//! let report = audit.auditor().shutdown(Duration::from_secs(10)).await;
//! assert_eq!((report.stats.written, report.left), (1, 0));
//! let row: (String, String, String) =
//!     sqlx::query_as("SELECT actor_id, action, target_id FROM audit_logs_text").fetch_one(&pool).await?;
//! assert_eq!(row, ("alice".into(), "project.archive".into(), "7".into()));
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! - [`AuditLayer`]: what can be set on the layer; [`layer`] for what it guarantees.
//! - [`annotation`]: names for routes. [`context`]: what a handler adds. [`identify()`]: who the
//!   caller is.
//! - [`client`]: where a request came from, behind proxies that you trust.
//! - [`policy`]: which requests are recorded. By default everything that may change something, and
//!   every denial; plain reads are not. [`capture`] and [`privacy`]: what of them, and what never.
//! - [`call`]: functions that are recorded, in requests and outside of them. [`catalog`]: names for what is
//!   done to the usual resources.
//! - [`Auditor`]: what is no request, `stats`, `health`, `flush` and `shutdown`.
//! - [`mode`]: how safe a row is before the client has its answer.
//! - [`delivery`]: the queue, its bounds, and what happens when the store is slow or gone; [`spool`] and
//!   [`dead_letters`]: what is on disk meanwhile.
//! - [`testing`]: what was recorded, and that no route is missing, in the tests of a service.
//! - [`guides`]: delivery, privacy, compliance, deploying, moving from another table, upgrading.
//! - [`architecture`]: one request walked through the rooms of the house.
//!
//! # Names by convention
//!
//! A route that nobody annotated is named by its method and template:
//!
//! | request | action | target |
//! |---|---|---|
//! | `POST /api/v1/projects` | `project.create` | `project`, id unknown |
//! | `GET /projects/{id}` | `project.read` | `project`, id |
//! | `PUT` or `PATCH /projects/{id}` | `project.update` | `project`, id |
//! | `DELETE /orgs/{org}/members/{id}` | `member.delete` | `member`, id |
//! | `POST /projects/{id}/archive` | `project.archive` | `project`, id |
//! | `PUT /users/{id}/avatar` | `avatar.update` | `avatar`, the id of its owner |
//! | `POST /login` | `login.create` | `login`, id unknown |
//! | `POST` where no route matched | `http.post` | unknown |
//!
//! What is not known is the empty string, and never guessed: the `path` column has the path as it
//! came, but for [secrets](privacy).
//!
//! # Features
//!
//! - `axum` (default): route templates, peer addresses, the [`AuditContext`] extractor. Without it
//!   the layer works on any tower service; see [`AuditLayer::any_body`], [`PeerAddr`] and [`AuditLayer::route`].
//! - `macros` (default): the attribute `#[audited]`, see [`call`].
//! - `postgres`, `sqlite`: [`AuditLayer::new`] takes a pool; `migrate`, `PgStore`, `SqliteStore`,
//!   `RecordIn`.
//! - `history`: which rows of the app's own tables each request changed, in Postgres: [`history`].
//! - `metrics`: what is counted, through the [metrics](https://docs.rs/metrics) crate.
//!
//! # What it does not do
//!
//! No query string, header or body is stored, but for the user agent, `x-request-id` and
//! `traceparent`: see [`privacy`]. By default no header is trusted for the address of the client: see
//! [`client`]. Events that are only in memory do not survive a killed process: see [`mode`].

pub mod annotation;
#[doc = include_str!("docs/architecture.md")]
pub mod architecture {}
pub mod call;
pub mod capture;
pub mod client;
pub mod context;
mod draft;
mod glob;
pub mod guides;
mod identify;
pub mod layer;
pub mod mode;
mod naming;
mod peer;
pub mod policy;
pub mod privacy;
mod route;
pub mod testing;

pub use annotation::{Annotation, audited, unaudited};
#[doc(hidden)]
pub use call::private as __private;
pub use context::AuditContext;
pub use identify::{AuthFailed, Identify, IdentifyService, identify, identify_if};
pub use layer::{AuditLayer, IntoAuditor, RequestInfo};
pub use mode::Mode;
pub use peer::PeerAddr;
pub use policy::Policy;
pub use tower_audit_core::{
    Action, Actor, ActorKind, AuditEvent, AuditEventBuilder, Auditor, AuditorBuilder, Captured,
    Cursor, DeliverySettings, EventId, EventReader, EventWriter, Filter, Health, MemoryStore,
    Metadata, Outcome, Overflow, Page, PageSize, Seek, ShutdownReport, Stats, StoreError, Target,
    Text, catalog, changes, dead_letters, delivery, search, spool, store,
};
#[cfg(feature = "macros")]
pub use tower_audit_macros::audited;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use tower_audit_sqlx::{
    AnyStore, Drift, IdentifierError, Indexes, Migrate, MigrateError, MigrationStatus, RecordIn,
    doctor, drift, migrate, migration_sql, migration_status,
};
/// How long events are kept: a [policy](retention::RetentionPolicy), and what deletes by it.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod retention {
    pub use tower_audit_core::retention::*;
    pub use tower_audit_sqlx::retention::*;
}
/// Which rows of the app's own tables each request changed, from what to what: [tower-audit-history](tower_audit_history).
#[cfg(feature = "history")]
pub use tower_audit_history as history;
#[cfg(feature = "postgres")]
pub use tower_audit_sqlx::{PgStore, PgStoreBuilder, Roles, partitions};
#[cfg(feature = "sqlite")]
pub use tower_audit_sqlx::{SqliteStore, SqliteStoreBuilder};

#[cfg(all(doctest, feature = "history"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
