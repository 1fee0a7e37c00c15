//! What became of events that came from elsewhere.

/// What became of events that were [restored](crate::AnyStore::restore).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// How many were not there before.
    pub new: u64,
    /// How many were there as pending, and have their end now.
    pub completed: u64,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the database said that it has taken {0} events, and they are not there: a rule or a trigger of the table drops them"
)]
pub(crate) struct Dropped(pub(crate) u64);
