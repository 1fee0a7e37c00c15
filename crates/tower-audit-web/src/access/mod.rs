//! Who may read the trail, and what of it.
//!
//! There is no way to serve the trail without an answer to this: [`AuditWeb::new`](crate::AuditWeb::new) takes an
//! [`Authorizer`]. A function of the request's head is one; who has to ask somebody first implements the trait.
//!
//! ```
//! use http::request::Parts;
//! use tower_audit_core::Actor;
//! use tower_audit_web::{Access, Refusal};
//!
//! #[derive(Clone)]
//! struct AuthUser { id: String, tenant: String, is_auditor: bool } // whatever your auth layer puts into the request
//!
//! fn authorize(head: &Parts) -> Result<Access, Refusal> {
//!     let user = head.extensions.get::<AuthUser>().ok_or_else(Refusal::unauthenticated)?;
//!     let actor = Actor::user(user.id.as_str());
//!     if !user.is_auditor {
//!         return Err(Refusal::forbidden().actor(actor));
//!     }
//!     Ok(Access::tenant(actor, &user.tenant).with_personal_data().with_export())
//! }
//! # let _ = authorize;
//! ```
//!
//! Without one there is nothing to nest:
//!
//! ```compile_fail,E0061
//! use tower_audit_core::{Auditor, MemoryStore};
//! use tower_audit_web::AuditWeb;
//!
//! let store = MemoryStore::new();
//! let auditor = Auditor::new(store.clone());
//! let web = AuditWeb::new(store, &auditor);
//! ```

pub(crate) mod authorizer;
mod refusal;

use std::collections::BTreeSet;

use tower_audit_core::Actor;

pub use authorizer::Authorizer;
pub use refusal::Refusal;

/// What somebody may see of the trail.
///
/// Unless it says otherwise, it hides what is personal ([`Field::is_personal`]: names, addresses, user agents and what
/// was captured), from the answers and from searches. It hides what was in the rows that an event changed, too, and
/// allows no export.
///
/// [`Field::is_personal`]: tower_audit_core::search::Field::is_personal
#[derive(Clone, Debug)]
pub struct Access {
    pub(crate) actor: Actor,
    pub(crate) tenant: Option<String>,
    pub(crate) sees_personal_data: bool,
    pub(crate) may_export: bool,
    pub(crate) projects: BTreeSet<String>,
}

impl Access {
    /// Lets the actor see the events of one tenant alone. Those of others, and those of none, are as if they were not
    /// there.
    #[must_use]
    pub fn tenant(actor: Actor, tenant: impl Into<String>) -> Self {
        Self {
            tenant: Some(tenant.into()),
            ..Self::all_tenants(actor)
        }
    }

    /// Lets the actor see the events of all tenants.
    #[must_use]
    pub fn all_tenants(actor: Actor) -> Self {
        Self {
            actor,
            tenant: None,
            sees_personal_data: false,
            may_export: false,
            projects: BTreeSet::new(),
        }
    }

    /// Lets the actor see names, addresses, user agents, what was captured, and what was in the rows that an event changed, too.
    #[must_use]
    pub fn with_personal_data(mut self) -> Self {
        self.sees_personal_data = true;
        self
    }

    /// Lets the actor export.
    #[must_use]
    pub fn with_export(mut self) -> Self {
        self.may_export = true;
        self
    }

    /// Lets an actor who sees one tenant alone see the calls of models of these projects, too, of which trails know no tenant. Who sees all tenants
    /// sees all projects.
    #[must_use]
    pub fn with_projects<P: Into<String>>(mut self, projects: impl IntoIterator<Item = P>) -> Self {
        self.projects.extend(projects.into_iter().map(Into::into));
        self
    }

    /// Returns the projects that the actor may see, in their order; `None` for all of them.
    #[cfg(feature = "ai")]
    pub(crate) fn own_projects(&self) -> Option<impl Iterator<Item = &str>> {
        let own = self.projects.iter().map(String::as_str);
        self.tenant.is_some().then_some(own)
    }

    #[cfg(feature = "ai")]
    pub(crate) fn sees_project(&self, project: &str) -> bool {
        self.tenant.is_none() || self.projects.contains(project)
    }
}
