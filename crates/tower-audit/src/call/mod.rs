//! Functions that are recorded: `#[audited]`, inside of requests and outside of them.
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```text")]
//! use tower_audit::{Actor, Auditor, MemoryStore, audited, call::Job};
//!
//! #[audited(action = "report.send", target = "report:{id}")]
//! async fn send(id: u64) -> Result<(), std::io::Error> {
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let auditor = Auditor::new(store.clone());
//! Job::new(&auditor).run(send(7)).await?;
//!
//! let event = &store.wait_for(1).await[0];
//! assert_eq!((event.actor(), event.action()), (&Actor::system(), "report.send"));
//! assert_eq!((event.target().kind(), event.target().id()), ("report", "7"));
//! # Ok(()) }
//! ```
//!
//! - `action` is what is done. `target` is `kind`, `kind:text` or `kind:{argument}`; in braces stands an argument
//!   or a field of one (`{user.id}`, `{self.name}`), whose `Display` is the id. That it is an argument is checked
//!   when the function is compiled.
//! - The function is `async`: an axum handler, a plain function, a method.
//! - `Err` is a failure. Its reason is what [`AuditReason`] says, or else its `Display`, without what
//!   [looks like a secret](crate::privacy); without either there is none. A return value that is no `Result` is
//!   a success.
//!
//! # Where it is recorded
//!
//! 1. *In a request*, the first audited function that runs names the request, before any
//!    [annotation](crate::annotation): there is one row, and it is recorded whatever the method. The status still says
//!    how it ended, but for an `Err` behind a status of success. Other audited functions of the same
//!    request, inside of the first or after it, have rows of their own, with its actor, client and request id.
//! 2. *In a [`Job`]*, there is a row of its own, by the actor of the job.
//! 3. *Elsewhere* it goes to the auditor that was [installed](install), by [`Actor::system`](crate::Actor::system). If there is
//!    none, an error is logged once, and the function runs all the same.
//!
//! A task that is spawned is outside of the request that spawned it.
//!
//! # Guarantees
//!
//! - A function that panics or whose future is dropped has its row, too: `failure` with the reason `panic`, and
//!   `aborted`.
//! - The function does what it would do without the attribute, and takes as long: rows of its own are recorded in
//!   the [background](crate::Mode::Background).

mod job;
mod reason;
mod record;

pub use job::{AlreadyInstalled, Job, install};
pub use reason::AuditReason;

/// What the attribute expands to. Nothing here is stable.
#[doc(hidden)]
pub mod private {
    pub use super::{
        reason::{Failure, OfAnything, OfDisplay, OfReason, OfResult, Probe},
        record::Call,
    };

    /// Stands for a value of a type. It is never called.
    ///
    /// # Panics
    ///
    /// Panics if it is.
    #[must_use]
    pub fn never<T>() -> T {
        unreachable!("it tells the compiler the type of the function, and is not called")
    }
}
