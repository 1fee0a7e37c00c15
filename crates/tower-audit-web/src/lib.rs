//! A JSON API and a viewer for the audit trail of [tower-audit](https://docs.rs/tower-audit), to nest into any axum
//! app.
//!
//! ```no_run
//! use axum::Router;
//! use http::request::Parts;
//! use tower_audit_core::{Actor, Auditor, MemoryStore};
//! use tower_audit_web::{Access, AuditWeb, Refusal};
//!
//! # #[derive(Clone)] struct AuthUser { id: String, is_auditor: bool }
//! fn authorize(head: &Parts) -> Result<Access, Refusal> {
//!     // Whatever your auth layer puts into the request.
//!     let user = head.extensions.get::<AuthUser>().ok_or_else(Refusal::unauthenticated)?;
//!     let actor = Actor::user(user.id.as_str());
//!     match user.is_auditor {
//!         true => Ok(Access::all_tenants(actor).with_personal_data().with_export()),
//!         false => Err(Refusal::forbidden().actor(actor)),
//!     }
//! }
//!
//! let store = MemoryStore::new(); // or a PgStore, a SqliteStore, one of your own
//! let auditor = Auditor::new(store.clone());
//! let app: Router = Router::new().nest("/audit", AuditWeb::new(store, authorize, &auditor).router());
//! ```
//!
//! `nest` serves the viewer at `/audit`, and leaves `/audit/` to the app; `nest_service` serves it at both.
//!
//! # Routes
//!
//! | route | answers |
//! |---|---|
//! | `/events` | a page of events, newest first |
//! | `/events/{id}` | one event |
//! | `/events/{id}/related` | what happened in the same request, and by the same actor around that time |
//! | `/events/{id}/changes` | which rows of the app's own tables it changed, from what to what; where [`AuditWeb::changes`] says where to read it |
//! | `/events/stream` | what becomes visible from now on, as server-sent events; `Last-Event-ID` goes on without a gap |
//! | `/histogram`, `/top`, `/count` | events over time by outcome; the most frequent values of a field; roughly how many |
//! | `/export` | all events of a search, as JSON Lines, CSV, OCSF, ECS or CloudEvents, plain, gzip or zstd |
//! | `/ai/projects`, `/ai/projects/{project}/analytics`, `/ai/projects/{project}/trails`, `/ai/trails/{message_id}`, `/ai/events/{id}/trails` | what calls of models took and cost; where `AuditWeb::ai` says where to read it (feature `ai`) |
//! | `/openapi.json` | the OpenAPI 3.1 document of all of these |
//! | `/`, `/view/{id}` | the viewer: a page of events with a search box and a histogram, and one of each event |
//! | `/view/ai`, `/view/ai/projects/{project}`, `/view/ai/calls/{message_id}` | its pages of calls of models: cost by day and by model, and each call with its reasoning and its event |
//!
//! # Guarantees
//!
//! - Nothing is served without an [`Authorizer`], which is asked for each request.
//! - What belongs to another tenant is as if it were not there. One place sees to that.
//! - The viewer works without a script, loads nothing from elsewhere, and shows whatever was stored as text.
//! - Every view, granted or refused, and every export is itself recorded: `audit.log.view`, `audit.export.create`. An
//!   export that cannot be recorded is not made.
//! - An export is read as fast as its client takes it, in flat memory, and stops when the client leaves. There is a
//!   number of places for exports and live tails, of which one actor has half; an export whose client takes nothing for a while gives its place to
//!   one that begins.
//! - No question makes the database look at more than a bounded number of rows at once.
//!
//! # What it does not do
//!
//! It signs nobody in: the app's own auth does, in front of it.

pub mod access;
#[cfg(feature = "ai")]
mod ai;
mod api;
mod change;
mod event;
pub mod export;
mod guard;
mod params;
mod places;
mod problem;
mod reader;
mod trail;
mod view;
mod viewer;
mod web;

pub use access::{Access, Authorizer, Refusal};
pub use web::AuditWeb;
