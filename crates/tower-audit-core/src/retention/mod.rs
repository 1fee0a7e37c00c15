//! How long events are kept: a policy that is plain data, and what a store does with it.
//!
//! A [`RetentionPolicy`] is a list of rules, each a [`Filter`] and how long events that pass it are [kept](Keep). The first rule
//! that an event passes decides; what passes none is kept for the default time, 365 days. Nothing that a [`Hold`] names
//! goes at all, and nothing under the floor of the store, which is 30 days unless its owner has set another one.
//!
//! # Guarantees
//!
//! - A policy with a rule that means something else than it seems to, such as one about a time, is an error.
//! - Every store decides as [`RetentionPolicy::is_due`] does.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower_audit_core::retention::{Keep, RetentionPolicy};
//!
//! let policy = RetentionPolicy::builder()
//!     .rule("tenant:acme outcome:denied", Keep::Forever)
//!     .rule("action:session.*", Keep::days(90))
//!     .default_keep(Keep::days(2 * 365))
//!     .build()?;
//!
//! // The same as data, for a file of settings.
//! let data = serde_json::json!({
//!     "default": "730d",
//!     "rules": [
//!         {"match": "tenant:acme outcome:denied", "keep": "forever"},
//!         {"match": "action:session.*", "keep": "90d"},
//!     ],
//! });
//! assert_eq!(serde_json::from_value::<RetentionPolicy>(data).unwrap(), policy);
//! # Ok::<_, tower_audit_core::retention::RetentionPolicyError>(())
//! ```
//!
//! # What it does not do
//!
//! It deletes nothing: the stores of `tower-audit-sqlx` do.

mod hold;
mod keep;
mod policy;
mod report;
#[cfg(test)]
mod tests;

pub use hold::Hold;
pub use keep::{Keep, ParseKeepError};
pub use policy::{RetentionPolicy, RetentionPolicyBuilder, RetentionPolicyError, RetentionRule};
pub use report::{RetentionReport, RuleReport};

#[cfg(doc)]
use crate::Filter;
