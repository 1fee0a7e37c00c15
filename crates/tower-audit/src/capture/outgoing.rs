//! What is kept of a response until it has been sent.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::Value;

use super::{
    Tap,
    announced::{Announced, Kind},
    seen::{skipped, unencoded, watched},
};
use crate::privacy::Redaction;

/// What is known of the body of a response.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    announced: Announced,
    tap: Option<Arc<Tap>>,
}

impl Outgoing {
    pub(crate) fn of(headers: &HeaderMap, length: Option<u64>) -> Self {
        let mut announced = Announced::of(headers);
        announced.length = length;
        Self {
            announced,
            tap: None,
        }
    }

    /// Returns what is to watch the body, if it is JSON.
    pub(crate) fn watch(&mut self, limit: usize) -> Option<Arc<Tap>> {
        if self.announced.kind != Kind::Other {
            self.tap = Some(Arc::new(Tap::new(limit, self.announced.length)));
        }
        self.tap.clone()
    }

    pub(super) fn body(&self, redaction: &Redaction) -> Option<Value> {
        let length = self.announced.length;
        if length == Some(0) {
            return None;
        }
        match (self.announced.kind, &self.tap) {
            (Kind::Other, _) => skipped(length, "not_json"),
            (_, None) => skipped(length, "sent_later"),
            (Kind::Json, Some(tap)) => watched(tap, length, redaction),
            (Kind::Encoded, Some(tap)) => unencoded(tap, length, redaction),
        }
    }
}
