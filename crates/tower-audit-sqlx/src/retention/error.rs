//! Why nothing was deleted, or not all of it.

use chrono::{DateTime, Utc};
use tower_audit_core::{StoreError, retention::Keep, search::SearchError};

/// Why a run of the retention, or a hold, failed. What was deleted before stays deleted, and is in the event of the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// The store refused or could not be reached.
    #[error("the audit store could not do it")]
    Store(#[source] StoreError),
    /// Somebody else is at it.
    #[error("{holder} deletes already, and has the lease until {until}")]
    Busy {
        /// Who it is.
        holder: String,
        /// Until when they have the lease, if they do not renew it.
        until: DateTime<Utc>,
    },
    /// This run was away for so long that somebody else may be at it.
    #[error("the lease of the retention ran out, and somebody else may be at it")]
    LeaseLost,
    /// The policy deletes what the table keeps.
    #[error(
        "the policy deletes what is {shortest} old, and the table keeps everything for {floor}: keep it longer, or lower the floor"
    )]
    UnderFloor {
        /// The shortest time that the policy keeps something.
        shortest: Keep,
        /// How long the table keeps everything.
        floor: Keep,
    },
    /// A hold cannot be read: a newer version may have placed it. Nothing is deleted until it can be.
    #[error("the hold {name:?} is no search that this version knows: nothing is deleted")]
    Hold {
        /// The name of the hold.
        name: String,
        /// What is wrong with its search.
        #[source]
        source: SearchError,
    },
    /// There is a hold of this name already.
    #[error("there is a hold {0:?} already: release it first, or take another name")]
    HoldExists(String),
    /// There is no hold of this name.
    #[error("there is no hold {0:?}")]
    NoHold(String),
    /// A floor of all time: nothing could ever be deleted.
    #[error(
        "a floor is a number of seconds, not for ever: a policy of which the default is forever keeps everything"
    )]
    FloorForever,
    /// A hold of everything, or without a name or a reason.
    #[error("a hold needs a name, a reason and a search of at least one term")]
    HoldIncomplete,
}

impl From<StoreError> for RetentionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
