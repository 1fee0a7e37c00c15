//! The record: what a call was asked, used and cost, and the changes that make it.

mod change;
mod cost;
mod message_id;
mod price;
mod state;
mod trail;
mod usage;

pub use change::TrailChange;
pub(crate) use change::{End, Opening, Outcome, Parts, Served};
pub use cost::{AmountError, Cost, Currency, ParseCurrencyError};
pub(crate) use message_id::{LONGEST_ID, is_id};
pub use message_id::{MessageId, MessageIdError};
pub use price::{Price, Prices};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use state::moment;
pub(crate) use state::{State, given_up};
pub use trail::{ParseTrailStatusError, Trail, TrailStatus};
pub use usage::Usage;
