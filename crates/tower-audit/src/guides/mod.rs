//! Guides for whoever runs a service with this library, and for whoever has to answer for its trail.
//!
//! - [`delivery`]: what happens to an event from the request to the row, what is lost when, every setting, and what to watch.
//! - [`privacy`]: what is personal in a row, what is never stored, pseudonyms, erasure, and who sees what.
//! - [`compliance`]: how long rows are kept and what keeps them, and which column serves which demand of OWASP ASVS, NIST SP 800-53,
//!   PCI DSS and ISO/IEC 27001.
//! - [`deploying`]: systemd, containers, Kubernetes, PgBouncer, roles, migrations, retention, backups, monitoring.
//! - [`moving`]: from an audit table that you have already, with all its rows.
//! - [`upgrading`]: to a newer version, and back.
//!
//! They say how to use what is there. What each item guarantees stands on its own page; how it works inside, in
//! [`architecture`](crate::architecture).

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("privacy.md")]
pub mod privacy {}

#[doc = include_str!("compliance.md")]
pub mod compliance {}

#[doc = include_str!("deploying.md")]
pub mod deploying {}

#[doc = include_str!("moving.md")]
pub mod moving {}

#[doc = include_str!("upgrading.md")]
pub mod upgrading {}
