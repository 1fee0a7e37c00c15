//! How a request ended.

use tower_audit_core::Outcome;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The response went out whole.
    Complete,
    /// The response body failed.
    BodyError,
    /// The service returned an error instead of a response.
    ServiceError,
    /// The service or the body panicked.
    Panic,
    /// The future or the body was dropped: the client left, or a timeout struck.
    Dropped,
}

impl Ending {
    /// Returns the outcome, with `said` by the handler and the status that was sent.
    /// A function that `failed` may be behind a status of success, and knows better why.
    pub(super) fn outcome(
        self,
        said: Option<Outcome>,
        failed: Option<Outcome>,
        status: Option<u16>,
    ) -> Outcome {
        let of_status = status.map_or(Outcome::Success, Outcome::of_status);
        // It is over, and how is known: the handler cannot take that back.
        let said = said.filter(|said| !matches!(said, Outcome::Pending | Outcome::Unknown));
        let failed = failed.filter(|_| of_status != Outcome::Denied);
        let known = said.or(failed).unwrap_or(of_status);
        match self {
            Self::Complete => known,
            // What was refused stays refused, even if the client did not wait for all of the answer: it must not
            // choose what the trail says of it.
            Self::BodyError | Self::Dropped if status.is_some() && known != Outcome::Success => {
                known
            }
            Self::BodyError | Self::ServiceError | Self::Panic => Outcome::Failure,
            Self::Dropped => Outcome::Aborted,
        }
    }

    /// Returns why it failed, where the ending tells.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Complete | Self::Dropped => None,
            Self::BodyError => Some("body_error"),
            Self::ServiceError => Some("service_error"),
            Self::Panic => Some("panic"),
        }
    }
}
