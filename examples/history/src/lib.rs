//! Which rows each request changed, from what to what: an API over the tables `"user"`, `jobs`, `job_endpoints` and
//! `apikey` in Postgres, whose changes triggers record.
//!
//! What to look at: `tracking.rs` says which tables have a history, and what of them is never in it; in `api/jobs.rs`
//! each handler that changes rows begins its transaction with the context of its request; and [`app`] gives the viewer
//! the history, so that a request, its row in the trail and its changes are on one page.

mod api;
mod auth;
mod failure;
mod schema;
mod tracking;

use anyhow::Context as _;
use axum::Router;
use sqlx::PgPool;
use tower_audit::{Auditor, PgStore, history::History};
use tower_audit_web::AuditWeb;

use crate::api::Service;

/// The service, and what belongs to whoever runs it.
#[derive(Debug)]
pub struct App {
    /// The routes, with the trail at `/audit`.
    pub router: Router,
    /// Writes the trail: to be shut down after the server.
    pub auditor: Auditor,
    /// Reads what became of rows.
    pub history: History,
}

/// Makes what is missing in the database, and returns the service. All of it is in one database: a change is recorded
/// in the transaction that makes it, and the event follows in the background.
///
/// # Errors
///
/// Returns an error if the database refuses, or if the history would have gaps: a service that cannot say who changed
/// what does not start.
pub async fn app(pool: PgPool) -> anyhow::Result<App> {
    tower_audit::migrate(&pool)
        .await
        .context("the trail cannot be made")?;
    schema::create(&pool)
        .await
        .context("the tables cannot be made")?;
    let history = tracking::start(&pool).await?;
    // A busy service gives the store a pool of its own, so that handlers do not take all connections.
    let store = PgStore::new(pool.clone());
    let auditor = Auditor::builder().service(NAME).start(store.clone());
    let web = AuditWeb::new(store, auth::may_read, &auditor).changes(history.clone());
    let service = Service {
        pool,
        auditor: auditor.clone(),
        history: history.clone(),
    };
    Ok(App {
        router: api::router(service, web),
        auditor,
        history,
    })
}

const NAME: &str = concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION"));
