//! What each call of a model was asked, used and cost: a chat whose answers stream, over a model that only pretends.
//!
//! What to look at: `chat.rs` begins a trail with the context of its request, counts tokens as they pass, and completes it with what the
//! provider says; if the client leaves midway, nobody has to do anything, and the trail is a failed one with the tokens that passed. [`app`] says
//! what tokens cost, and gives the viewer the trails.

mod auth;
mod chat;
mod demo;
mod model;

pub use demo::demo;

use std::time::Duration;

use anyhow::Context as _;
use axum::{Router, middleware, routing::post};
use sqlx::SqlitePool;
use tower_audit::{Actor, AuditLayer, Auditor, SqliteStore, identify};
use tower_audit_ai::{Currency, Price, Prices, SqliteTrails, Trails};
use tower_audit_web::AuditWeb;

/// The service, and what belongs to whoever runs it.
#[derive(Debug)]
pub struct App {
    /// The routes, with the trail at `/audit` and the costs at `/audit/view/ai`.
    pub router: Router,
    /// Writes the trail of requests: to be shut down after the server.
    pub auditor: Auditor,
    /// Writes the trails of calls: the same.
    pub trails: Trails<SqliteTrails>,
}

/// Makes what is missing in the database, and returns the service. A word of an answer takes so long.
///
/// # Errors
///
/// Returns an error if the database refuses.
pub async fn app(pool: SqlitePool, word: Duration) -> anyhow::Result<App> {
    tower_audit::migrate(&pool)
        .await
        .context("the trail cannot be made")?;
    let kept = SqliteTrails::new(pool.clone());
    kept.migrate()
        .await
        .context("the tables of the calls cannot be made")?;
    let store = SqliteStore::new(pool);
    let auditor = Auditor::builder().service(NAME).start(store.clone());
    let trails = Trails::builder(kept.clone()).prices(prices()?).start();
    let web = AuditWeb::new(store, auth::may_read, &auditor).ai(kept);
    let router = Router::new()
        .route("/projects/{project}/chat", post(chat::chat))
        .with_state(chat::Service {
            trails: trails.clone(),
            word,
        })
        .nest("/audit", web.router())
        // Before any handler begins a call: the actor of the request is the one of its calls.
        .layer(identify::<auth::AuthUser>(|user| {
            Actor::user(&user.0).auth_method("bearer")
        }))
        .layer(middleware::from_fn(auth::authenticate))
        .layer(AuditLayer::new(auditor.clone()));
    Ok(App {
        router,
        auditor,
        trails,
    })
}

/// What tokens cost, as the app's contract says: a million of the prompt, and of the answer.
fn prices() -> anyhow::Result<Prices> {
    let million = |amount: &str| amount.parse().context("that is no amount");
    let price = Price::new(Currency::USD, million("3")?, million("15")?)?;
    // The model that answers is the one that is paid for.
    Ok(Prices::new()
        .with(model::NAME, price)
        .with(model::SERVED, price))
}

const NAME: &str = concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION"));
