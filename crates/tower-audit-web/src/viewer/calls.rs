//! A list of calls of models, on whichever page it is.

use tower_audit_core::EventId;

use crate::{problem::Problem, view::View};

/// A call in a list.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) url: String,
    pub(super) started_at: String,
    pub(super) clock: String,
    pub(super) message_id: String,
    pub(super) model: String,
    pub(super) status: &'static str,
    pub(super) tokens: String,
    pub(super) cost: String,
    pub(super) latency: String,
}

/// The calls of one request.
#[derive(Debug, Default)]
pub(super) struct RequestCalls {
    pub(super) calls: Vec<Call>,
    /// Where all of them are, if these are not all.
    pub(super) others: Option<String>,
}

impl RequestCalls {
    /// Returns the calls that were made in the request of this event, as far as the caller may see them.
    #[cfg(feature = "ai")]
    pub(super) async fn of(view: &View, base: &str, id: EventId) -> Result<Self, Problem> {
        if !view.has_ai() {
            return Ok(Self::default());
        }
        let found = view.trails_of_event(id, MOST).await?;
        let others = || {
            format!(
                "{base}/ai/events/{id}/trails?limit={}",
                tower_audit_core::PageSize::MAX.events()
            )
        };
        Ok(Self {
            calls: found
                .trails
                .iter()
                .map(|trail| Call::of(trail, base))
                .collect(),
            others: found.has_more.then(others),
        })
    }

    /// Returns none.
    #[cfg(not(feature = "ai"))]
    #[expect(clippy::unused_async, reason = "it is the same for its caller")]
    pub(super) async fn of(_: &View, _: &str, _: EventId) -> Result<Self, Problem> {
        Ok(Self::default())
    }
}

/// How many calls a page shows.
#[cfg(feature = "ai")]
const MOST: tower_audit_core::PageSize = match tower_audit_core::PageSize::new(50) {
    Ok(size) => size,
    Err(_) => tower_audit_core::PageSize::MAX,
};
