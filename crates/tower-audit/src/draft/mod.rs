//! An open request: what is known of it until its event is recorded.

mod ending;
mod facts;
mod open;
mod trace;

pub(crate) use ending::Ending;
pub(crate) use facts::Facts;
pub(crate) use open::Draft;
