//! Says who the caller is, from what an auth layer found out.

mod auth_failed;
mod layer;

pub use auth_failed::AuthFailed;
pub(crate) use layer::Identified;
pub use layer::{Identify, IdentifyService, identify, identify_if};
