//! Names for routes that nobody annotated.

mod convention;
mod singular;
mod template;

pub(crate) use convention::convention;
pub(crate) use template::{filled, has_param, has_param_like, value, with_values};
