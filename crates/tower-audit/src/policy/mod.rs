//! Which requests are recorded, how safely, and what is captured of them.
//!
//! A [`Policy`] is a list of [rules](Rule). The first one that holds decides; if none does,
//! [`Otherwise`] does, which by default records what may change something, and every denial.
//!
//! # In code
//!
//! ```
//! use http::Method;
//! use tower_audit::{AuditLayer, MemoryStore, Outcome, Policy, policy::{Bodies, Capture, Rule}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder()
//!     .rule(Rule::ignore_health_checks())
//!     .rule(Rule::record("failures and denials").outcomes([Outcome::Failure, Outcome::Denied]))
//!     .rule(Rule::record("admin").route("/admin/**").capture(Capture::metadata().query()))
//!     .build()?;
//! let layer = AuditLayer::new(MemoryStore::new()).policy(policy);
//! # let _ = layer; Ok(()) }
//! ```
//!
//! # In a file
//!
//! A policy is [`Deserialize`](serde::Deserialize): from TOML, JSON, or whatever serde reads. This is the whole
//! language:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let text =
//! r#"
//! otherwise = "mutations_and_denials" # the default; or "record", or "skip"
//!
//! [[rules]]
//! name = "health checks"              # for errors and explanations
//! when = { method = ["GET", "HEAD"], path_prefix = ["/healthz", "/livez"] }
//! then = "ignore"                     # as if no audit layer were there; or "skip", or "record"
//!
//! [[rules]]
//! name = "failures and denials"
//! when = { outcome = ["failure", "denied"] }
//! then = "record"
//! capture = { query = true, request_body = "on_failure" }
//!
//! [[rules]]
//! name = "payments"
//! when = { method = ["POST"], route = ["/payments/**"] }
//! then = "record"
//! mode = "durable"                    # or "background", the default, or "strict"
//! capture = { headers = ["x-client-version"], request_body = "always" } # or "never", "on_failure"
//!
//! [[rules]]
//! name = "what keys read"
//! when = { actor = ["api_key"], status = ["2xx", 304, "400-499"], tenant = ["acme"] }
//! then = "record"
//! sample = 0.1                        # of the successful reads
//! "#;
//! let policy: tower_audit::Policy = toml::from_str(text)?;
//! # let _ = policy; Ok(()) }
//! ```
//!
//! # Which rule was it?
//!
//! ```
//! use http::Method;
//! use tower_audit::{Outcome, Policy, policy::{Rule, Subject}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder()
//!     .rule(Rule::record("failures").outcomes([Outcome::Failure]))
//!     .rule(Rule::skip("health checks").path_prefix("/healthz"))
//!     .build()?;
//! let explanation = policy.explain(&Subject::new(Method::GET, "/healthz"));
//! assert!(!explanation.is_recorded());
//! assert_eq!(
//!     explanation.to_string(),
//!     "GET /healthz on no route, by anonymous: success, status 200\n  \
//!        rule 1 \"failures\": no, outcome success is not failure\n  \
//!        rule 2 \"health checks\": yes, skipped"
//! );
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! - A policy that cannot be meant is not built: unknown keys, a rule that another one hides, conditions that
//!   are empty, a [mode](crate::mode) that would have to be known too early. The error names the rule. (That several
//!   rules together hide another one, it does not see.)
//! - A request has one policy from its arrival to its end, even if
//!   [`AuditLayer::set_policy`](crate::AuditLayer::set_policy) sets another one meanwhile.
//!
//! # What it does not do
//!
//! - It does not overrule who wrote the route: an [annotated](crate::annotation) route is recorded whatever a
//!   rule says, an [`unaudited`](crate::unaudited) one is not, and a handler may decide for its own request
//!   ([`AuditContext::record`](crate::AuditContext::record), [`AuditContext::skip`](crate::AuditContext::skip)).
//!   How safely, and what is captured, is the rule's. Only what a rule [ignores](Rule::ignore) passes as if no
//!   audit layer were there, whoever says otherwise; a [mode](crate::mode) does not hold there either.
//! - The mode of a request is decided when it arrives. It is the strictest one of the rules that may still
//!   hold, up to the first that holds for certain.
//! - The response body of a request in `Durable` or `Strict` mode is not captured: its record is written
//!   before the body is sent.
//! - It does not know which route a layer *around* a router will see inside: there, a `Durable` or `Strict` rule
//!   that names a route makes every request wait.
//! - It does not see headers or bodies: whether a request is recorded must not depend on what a client writes.

mod build;
mod decide;
mod error;
mod explain;
mod rule;
mod status;
mod subject;
mod when;

pub(crate) use decide::{Plan, PolicyCell, Verdict};
pub use decide::{Policy, PolicyBuilder};
pub use error::PolicyError;
pub use explain::Explanation;
pub use rule::{Bodies, Capture, Otherwise, Rule};
pub use subject::Subject;
pub(crate) use when::Recorded;

#[cfg(test)]
mod tests;
