//! What to look for in a trail: filters, and the text that people write them as.
//!
//! A search is a line of terms, `key:value`. All of them must hold:
//!
//! ```
//! use tower_audit_core::Filter;
//!
//! let filter: Filter = "actor:alice action:project.* -outcome:success ip:10.0.0.0/8".parse()?;
//! assert_eq!(filter.terms().len(), 4);
//! assert_eq!(filter.to_string(), "actor:alice action:project.* -outcome:success ip:10.0.0.0/8");
//! # Ok::<_, tower_audit_core::search::SearchError>(())
//! ```
//!
//! | written | asks for |
//! |---|---|
//! | `actor:alice` | the events of alice |
//! | `actor:alice,bob` | those of either |
//! | `-outcome:success` | whatever did not succeed |
//! | `action:project.*` | actions that begin with `project.` |
//! | `target:"a b"` | a value with spaces, commas or stars; `\"` and `\\` in quotes |
//! | `tenant:*`, `-tenant:*` | a tenant is known; none is |
//! | `created:2026-11-17` | that day, in UTC; also `2026`, `2026-11`, `2026-11-17T09:30Z`, `2026-11-17T09:30:15+01:00`, `today`, `yesterday` |
//! | `created:2026-01-01..2026-02-01` | from the first day to the end of the last; `..` may stand open on one side |
//! | `created:-24h..` | the last 24 hours; `s`, `m`, `h`, `d`, `w` |
//! | `status:404`, `status:4xx`, `status:>=500` | by HTTP status; `>`, `>=`, `<`, `<=` and ranges work for times and durations too |
//! | `duration:>500ms` | what took longer; `us`, `ms`, `s`, `m` |
//! | `ip:10.0.0.0/8` | addresses of a network |
//! | `meta.plan:pro` | what the app added: the string, number, true, false or null there, or a list that has it |
//! | `meta:{"plan": "pro"}` | metadata that has all of this |
//!
//! The keys are those of [`Field::ALL`]; the name of the column does as well. An unknown key, a bad value
//! and a word without a key are errors that say where and what to write instead ([`SearchError`]), never
//! an empty answer.
//!
//! # Guarantees
//!
//! - The text of a filter parses to the same filter.
//! - Every store answers as [`Filter::matches`] does.
//! - Values are compared as they are stored: upper and lower case differ, and the control characters that
//!   the trail replaces are replaced in a search too.

mod error;
mod field;
mod filter;
mod json;
mod matches;
mod parse;
mod print;
mod term;
#[cfg(test)]
mod tests;

pub use error::SearchError;
pub use field::{Field, FieldKind};
pub use filter::Filter;
pub use term::{Match, Span, Term};
