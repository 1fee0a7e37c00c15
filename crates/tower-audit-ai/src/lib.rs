//! AI trails for [tower-audit](https://docs.rs/tower-audit): what each model call was asked, used and cost.
//!
//! A call of a model is recorded when it begins, as a placeholder, and completed when it has ended. What it took and cost adds up by project,
//! day and model, to the last decimal.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use tower_audit_ai::{Cost, Currency, Days, MemoryTrails, Trail, Trails, Usage};
//!
//! let trails = Trails::new(MemoryTrails::new());
//! let call = trails.start(Trail::placeholder("msg_1", "project-7", "large-2026")?.context_layers(3));
//! // The model is asked here. If the handler dies meanwhile, the call is recorded as failed.
//! let cost = Cost::new(Currency::USD, "0.0036".parse()?, "0.0045".parse()?)?;
//! call.complete(Some(Usage::new(1_200, 300)), Some(cost), vec!["because".into()]);
//!
//! trails.flush().await;
//! let today = chrono::Utc::now().date_naive();
//! let analytics = trails.analytics("project-7", Days::new(today, today)).await?;
//! assert_eq!(analytics.total.costs[&Currency::USD].claimed, "0.0081".parse()?);
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # Where to look
//!
//! - [`Trails`]: begins and ends trails, and reads them. [`Call`] ends one whose handler dies.
//! - [`Trail`]: the record. [`Usage`], [`Cost`] and [`Prices`]: what it took and cost.
//! - `AuditWeb::ai` of `tower-audit-web` shows what they cost; `tower-audit ai` is the command.
//! - [`TrailStore`]: where trails are kept. [`MemoryTrails`] is for development; `PgTrails` and `SqliteTrails` come with the features
//!   `postgres` and `sqlite`.
//!
//! # From memory to a database
//!
//! 1. `AUDIT_TRAIL_BACKEND=memory` ([`Backend::from_env`]): as it is now.
//! 2. `dual`: both are written, the memory is read, and what is read is compared ([`DualTrails::differences`]). What the memory had before goes over with
//!    [`MemoryTrails::changes`], as often as one likes. A call is ended by the [`Trails`] that began it, so those of before are closed when their
//!    calls have ended.
//! 3. `database`.
//!
//! # Guarantees
//!
//! - What is recorded is handed to the [delivery engine](tower_audit_core::delivery), and never waits: its page says what is kept when.
//! - Changes of a trail make the same of it in whichever order, and however often, they arrive: an update may come before its placeholder. Of what
//!   is said about the same thing the last counts; a call that was completed stays so.
//! - What trails add up to is the sum of all that were ever recorded, also of those that were [deleted](Trails::cleanup), which happens by itself
//!   after [seven days](TrailsBuilder::retention).
//!
//! # The tables
//!
//! `ai_trails` has a row for each call, in Postgres in the schema `control_plane`: what was said of it as JSON (`state`), and columns to read and
//! search by. `ai_trails_tallies` and `ai_trails_costs` (in SQLite a column of the former) have what calls add up to, by project, day and model:
//! whoever counts looks at as many rows as there were days and models, and at no trail. Beside them is how long the slowest call of each day took at
//! most, so that the ten slowest of any time are looked for on ten days.
//!
//! # What it does not do
//!
//! - It keeps neither prompts nor answers.
//! - It knows no prices: they change without notice, so the app supplies them.
//! - After a [cleanup](Trails::cleanup) no trail is taken that began before its moment, because nobody could tell it from one that was deleted.

mod backend;
mod call;
mod dual;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod kept;
mod memory;
mod placeholder;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
mod retention;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod slowest;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod tally;
mod trails;

pub use backend::{AnyTrails, Backend, ParseBackendError};
pub use call::Call;
pub use dual::{Differences, DualTrails};
pub use memory::MemoryTrails;
pub use placeholder::{Placeholder, PlaceholderError};
#[cfg(feature = "postgres")]
pub use postgres::PgTrails;
pub use record::{
    AmountError, Cost, Currency, MessageId, MessageIdError, ParseCurrencyError,
    ParseTrailStatusError, Price, Prices, Trail, TrailChange, TrailStatus, Usage,
};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteTrails;
pub use store::{Analytics, Days, ParseTrailCursorError, TrailCursor, TrailPage, TrailStore};
pub use tally::{Costs, Tally};
pub use trails::{Trails, TrailsBuilder, Update};
