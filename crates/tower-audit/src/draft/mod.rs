//! An open request: what is known of it until its event is recorded.

mod clock;
mod closed;
mod end;
mod ending;
mod facts;
mod open;
mod story;
mod texts;
mod trace;

pub(crate) use closed::Spares;
pub(crate) use end::{End, Head};
pub(crate) use ending::Ending;
pub(crate) use facts::Facts;
pub(crate) use open::{Confirming, Draft};
pub(crate) use story::Story;
