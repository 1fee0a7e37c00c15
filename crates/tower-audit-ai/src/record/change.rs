//! What happens to a trail, one thing at a time: this is what travels to a store.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tower_audit_core::{ActorKind, EventId, delivery::Record, store::BoxError};
use uuid::Uuid;

use super::{Cost, MessageId, Price, Usage};

/// Something that happened to a trail. Changes of one trail make the same of it in whichever order and however often they arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrailChange {
    pub(crate) message_id: MessageId,
    pub(crate) stamp: Stamp,
    #[serde(flatten)]
    pub(crate) parts: Parts,
}

/// When a change was made: of two that say something about the same, the later one counts. No two changes have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) micros: i64,
    pub(crate) id: Uuid,
}

impl Stamp {
    pub(crate) fn new(at: DateTime<Utc>) -> Self {
        Self {
            micros: at.timestamp_micros(),
            id: Uuid::now_v7(),
        }
    }
}

/// What a change says. What it says nothing about stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Parts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) opening: Option<Opening>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) served: Option<Served>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<Vec<String>>,
}

/// How a trail begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) project_id: String,
    pub(crate) model: String,
    pub(crate) started_micros: i64,
    pub(crate) context_layers: u32,
    pub(crate) actor: Option<(ActorKind, String)>,
    pub(crate) request_id: Option<String>,
    pub(crate) event_id: Option<EventId>,
    /// The price of the model that was asked for, if the app knows it.
    pub(crate) price: Option<Price>,
}

/// How a trail ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) ended_micros: i64,
    pub(crate) error: Option<String>,
}

/// How a call ended. Of two ends the one that says more counts, and of those that say as much the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Nobody said, and nobody will.
    Unknown,
    Failed,
    Completed,
}

/// The model that answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Served {
    pub(crate) model: String,
    /// Its price, if the app knows it.
    pub(crate) price: Option<Price>,
}

impl TrailChange {
    pub(crate) fn new(message_id: MessageId, at: DateTime<Utc>, parts: Parts) -> Self {
        Self {
            message_id,
            stamp: Stamp::new(at),
            parts,
        }
    }

    /// Returns the message id of the trail.
    #[must_use]
    pub fn message_id(&self) -> &MessageId {
        &self.message_id
    }
}

impl Record for TrailChange {
    fn id(&self) -> impl fmt::Display {
        &self.message_id
    }

    fn size(&self) -> usize {
        let Parts {
            opening,
            end,
            served,
            reasoning,
            ..
        } = &self.parts;
        let texts = [
            opening.as_ref().map_or(0, |opening| {
                let actor = opening.actor.as_ref().map_or(0, |(_, id)| id.len());
                let request = opening.request_id.as_ref().map_or(0, String::len);
                opening.project_id.len() + opening.model.len() + actor + request
            }),
            end.as_ref()
                .and_then(|end| end.error.as_ref())
                .map_or(0, String::len),
            served.as_ref().map_or(0, |served| served.model.len()),
            reasoning
                .iter()
                .flatten()
                .map(|text| text.len() + size_of::<String>())
                .sum(),
        ];
        size_of::<Self>() + self.message_id.as_str().len() + texts.iter().sum::<usize>()
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        // A change is made of texts and numbers, all of which serialize.
        if serde_json::to_writer(&mut *buffer, self).is_err() {
            buffer.truncate(start);
        }
    }

    fn decode(json: &[u8]) -> Result<Self, BoxError> {
        Ok(serde_json::from_slice(json)?)
    }
}
