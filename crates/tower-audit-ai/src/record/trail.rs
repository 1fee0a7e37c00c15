//! A trail, as it is read.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};
use tower_audit_core::{Actor, ActorKind, EventId};

use super::{Cost, MessageId, Usage};

/// What is known of a call of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Trail {
    /// The message that the call answers.
    pub message_id: MessageId,
    /// The project that it belongs to.
    pub project_id: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered, if the provider said.
    pub served_model: Option<String>,
    /// What became of the call.
    pub status: TrailStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How many layers of context the prompt had.
    pub context_layers: u32,
    /// What the model thought, step by step.
    pub reasoning: Vec<String>,
    /// How many tokens it took.
    pub usage: Option<Usage>,
    /// What it cost, as the provider or the app said.
    pub cost: Option<Cost>,
    /// What it cost by the [prices](super::Prices) of the app.
    pub computed_cost: Option<Cost>,
    /// Why it failed.
    pub error: Option<String>,
    /// On whose behalf it was made.
    #[serde(serialize_with = "caller")]
    pub actor: Option<Actor>,
    /// The request that it was made in.
    pub request_id: Option<String>,
    /// The audit event of that request.
    pub event_id: Option<EventId>,
}

/// Writes what is kept of an actor.
fn caller<S: Serializer>(actor: &Option<Actor>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Caller<'a> {
        r#type: ActorKind,
        id: &'a str,
    }
    let caller = actor.as_ref().map(|actor| Caller {
        r#type: actor.kind(),
        id: actor.id(),
    });
    caller.serialize(serializer)
}

impl Trail {
    /// Returns how long the call took, if it has ended.
    #[must_use]
    pub fn latency(&self) -> Option<TimeDelta> {
        let taken = self.ended_at? - self.started_at;
        Some(taken.max(TimeDelta::zero()))
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TrailStatus {
    /// It is on its way, or nobody has said yet.
    Pending,
    /// It was answered.
    Completed,
    /// It was not, or not to the end.
    Failed,
    /// Nobody said how it ended, and nobody will: the process is gone.
    Unknown,
}

impl TrailStatus {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for TrailStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TrailStatus {
    type Err = ParseTrailStatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Pending, Self::Completed, Self::Failed, Self::Unknown]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(ParseTrailStatusError)
    }
}

/// It is no status of a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a status is `pending`, `completed`, `failed` or `unknown`")]
pub struct ParseTrailStatusError;
