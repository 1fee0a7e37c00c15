//! What a store can report.

/// Any error that can cross a thread.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a store can report.
///
/// `Display` describes this level only; walk [`source`](std::error::Error::source) for the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached, or cannot answer now. Retrying the same call is safe.
    #[error("the audit store is unavailable")]
    Unavailable(#[source] BoxError),
    /// The store is there but not ready: a table or a privilege is missing. Retrying helps once
    /// somebody did what the hint says.
    #[error("the audit store is not ready: {hint}")]
    NotReady {
        /// What to do.
        hint: &'static str,
        /// What the store said.
        #[source]
        source: BoxError,
    },
    /// The store refused the data. Retrying cannot help.
    #[error("the audit store rejected the data")]
    Rejected(#[source] BoxError),
    /// A row cannot be read back: somebody else wrote it, or it is damaged.
    #[error("the audit store holds a row that cannot be read")]
    Unreadable(#[source] BoxError),
}

impl StoreError {
    /// Returns `true` if the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::NotReady { .. } => true,
            Self::Rejected(_) | Self::Unreadable(_) => false,
        }
    }
}
