//! How questions become statements, whatever the database.
//!
//! No question may take long because the trail is long, also not the one for a value that hardly any row has
//! and no index knows. So each is answered in one of three ways ([`plan`]):
//!
//! - An index leads to all rows that can pass, and there are few of them: all are looked at.
//! - An index has the rows that can pass in the order of time, and nothing else is asked: the first ones are taken.
//! - Otherwise rows are looked at in the order of time, in windows ([`window`]) that grow while little is found, up to
//!   a number after which the answer says where it stopped.
//!
//! A window is cut by position first, and then asked within: what arrives meanwhile lies in it or outside, and is
//! neither counted twice nor passed over. Where an index is not read up to a position the window is so many rows, of the
//! same moment as its end.

mod clause;
mod counts;
mod explained;
mod page;
mod plan;
mod source;
mod sql;
mod tail;
mod window;

pub(crate) use clause::{Range, end_of, plain, term as push_term};
pub(crate) use explained::{Explained, Plans};
pub(crate) use source::{Edge, Extras, Group, Source};
pub(crate) use sql::{Arg, Sql};
pub(crate) use {
    counts::{estimate, histogram, top},
    page::{get, page},
    tail::tail,
    window::edge_of_time,
};
