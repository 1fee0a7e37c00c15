//! Ready-made names for what services do to the usual resources, so that trails of many services say the same.
//!
//! ```
//! use tower_audit_core::{Actor, catalog::{self, api_key, project}};
//!
//! let event = project::created(7).by(Actor::user("alice")).metadata("plan", "pro").build();
//! assert_eq!((event.action(), event.target().kind(), event.target().id()), ("project.create", "project", "7"));
//! assert_eq!(api_key::ROTATE, "api_key.rotate");
//! # let _: catalog::Activity = project::created(7);
//! ```
//!
//! The functions are named like what happened, the actions like what was tried: the
//! [`Outcome`](crate::Outcome) says whether it happened.
//!
//! # Resources of your own
//!
//! A [`Resource`] is a constant. It has the same verbs, and takes any other:
//!
//! ```
//! use tower_audit_core::{Actor, catalog::{Activity, Resource}};
//!
//! pub const INVOICE: Resource = Resource::new("invoice");
//!
//! /// An invoice was sent.
//! pub fn sent(id: u64) -> Activity {
//!     INVOICE.did("send", id)
//! }
//!
//! assert_eq!(INVOICE.created(7).action(), "invoice.create");
//! assert_eq!(sent(7).by(Actor::system()).build().action(), "invoice.send");
//! ```

mod activity;
mod resources;

pub use activity::{Activity, Resource};
pub use resources::{api_key, organization, project, secret, team, user};
