//! Says who the caller is, from what an auth layer found out.

mod layer;

pub(crate) use layer::Identified;
pub use layer::{Identify, IdentifyService, identify, identify_if};
