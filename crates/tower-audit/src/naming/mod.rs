//! Names for routes that nobody annotated.

mod convention;
mod known;
mod singular;
mod template;

pub(crate) use known::{Named, Names};
pub(crate) use template::{filled, has_param};
