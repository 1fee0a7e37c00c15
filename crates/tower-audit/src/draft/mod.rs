//! An open request: what is known of it until its event is recorded.

mod ending;
mod facts;
mod open;
mod story;
mod trace;

pub(crate) use ending::Ending;
pub(crate) use facts::Facts;
pub(crate) use open::{Confirming, Draft};
pub(crate) use story::Story;
