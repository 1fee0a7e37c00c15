//! Trails, and what they add up to, as they are shown. Amounts are decimals in text, so that not a digit is lost.

use chrono::NaiveDate;
use serde::Serialize;
use tower_audit_ai::{Analytics, Cost, Days, Tally, Trail};
use utoipa::ToSchema;

use crate::{access::Access, event::time};

/// A call of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiTrail {
    /// The message that the call answers.
    pub(crate) message_id: String,
    /// The project that it belongs to.
    pub(crate) project_id: String,
    /// The model that was asked for.
    pub(crate) model: String,
    /// The model that answered, if the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) served_model: Option<String>,
    /// What became of it: `pending`, `completed`, `failed` or `unknown`.
    pub(crate) status: &'static str,
    /// When it began, in UTC with microseconds.
    #[schema(format = DateTime)]
    pub(crate) started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) ended_at: Option<String>,
    /// How long it took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_us: Option<i64>,
    /// How many layers of context the prompt had.
    pub(crate) context_layers: u32,
    /// What the model thought, step by step; left out if it is not for the caller to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<Vec<String>>,
    /// How many tokens it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<AiUsage>,
    /// What it cost, as the provider or the app said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<AiCost>,
    /// What it cost by the prices of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) computed_cost: Option<AiCost>,
    /// Why it failed; left out if it is not for the caller to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// On whose behalf it was made: `user`, `system`, `api_key` or `anonymous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor_type: Option<&'static str>,
    /// On whose behalf it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor_id: Option<String>,
    /// The request that it was made in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// The audit event of that request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    pub(crate) event_id: Option<String>,
}

/// How many tokens a call took.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct AiUsage {
    /// Those of the prompt, the cached ones among them.
    pub(crate) prompt: u32,
    /// Those of the answer, the ones for reasoning among them.
    pub(crate) completion: u32,
    /// All of them, as the provider counts.
    pub(crate) total: u64,
    /// Those of the prompt that the provider had seen before.
    pub(crate) cached: u32,
    /// Those of the answer that nobody saw.
    pub(crate) reasoning: u32,
}

/// What a call cost.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiCost {
    /// The currency, as ISO 4217 has it.
    #[schema(example = "USD")]
    pub(crate) currency: String,
    /// What the prompt cost.
    #[schema(example = "0.0036")]
    pub(crate) prompt: String,
    /// What the answer cost.
    #[schema(example = "0.0045")]
    pub(crate) completion: String,
    /// All of it.
    #[schema(example = "0.0081")]
    pub(crate) total: String,
}

/// Some calls, the newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiTrails {
    pub(crate) trails: Vec<AiTrail>,
    /// What to give as `older_than` for the page after this one; null if there are no older calls.
    pub(crate) older: Option<String>,
}

/// The calls that were made in one request, the oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiEventTrails {
    pub(crate) trails: Vec<AiTrail>,
    /// Whether there may be more of them.
    pub(crate) has_more: bool,
}

/// Some projects.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiProjects {
    /// Their ids, in the order of their bytes.
    pub(crate) projects: Vec<String>,
    /// What to give as `after` for the page after this one; null if there are no others.
    pub(crate) next: Option<String>,
}

/// What the calls of a project add up to, those included of which the trails are deleted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiAnalytics {
    /// The first day.
    #[schema(value_type = String, format = Date)]
    pub(crate) from: NaiveDate,
    /// The last day.
    #[schema(value_type = String, format = Date)]
    pub(crate) until: NaiveDate,
    /// All of them.
    pub(crate) total: AiTally,
    /// By day, in the time zone of the store, of those on which there were some; the oldest first.
    pub(crate) by_day: Vec<AiDay>,
    /// By model, by its name.
    pub(crate) by_model: Vec<AiModel>,
    /// The ten that took longest, of those whose trails are there.
    pub(crate) slowest: Vec<AiTrail>,
    /// The ten that began last.
    pub(crate) recent: Vec<AiTrail>,
}

/// What the calls of a day add up to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiDay {
    /// The day on which they began.
    #[schema(value_type = String, format = Date)]
    pub(crate) day: NaiveDate,
    #[serde(flatten)]
    pub(crate) tally: AiTally,
}

/// What the calls of a model add up to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiModel {
    /// The model that answered, or that was asked for if nobody said which did.
    pub(crate) model: String,
    #[serde(flatten)]
    pub(crate) tally: AiTally,
}

/// What calls add up to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiTally {
    /// How many calls there were.
    pub(crate) calls: i64,
    /// How many of them were answered.
    pub(crate) completed: i64,
    /// How many failed.
    pub(crate) failed: i64,
    /// Of how many nobody knows how they ended.
    pub(crate) unknown: i64,
    /// How many are on their way.
    pub(crate) pending: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) total_tokens: i64,
    pub(crate) cached_tokens: i64,
    pub(crate) reasoning_tokens: i64,
    /// How long a call took on average, in microseconds, of those that have ended.
    pub(crate) average_latency_us: Option<i64>,
    /// What they cost, by currency.
    pub(crate) costs: Vec<AiCosts>,
}

/// What calls cost in one currency.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AiCosts {
    /// The currency, as ISO 4217 has it.
    #[schema(example = "USD")]
    pub(crate) currency: String,
    /// All that is known: as was said, and of those calls of which nobody said it as was computed.
    #[schema(example = "12.34")]
    pub(crate) total: String,
    /// What providers and the app said.
    #[schema(example = "12.34")]
    pub(crate) claimed: String,
    /// What it is by the prices of the app.
    #[schema(example = "12.34")]
    pub(crate) computed: String,
    /// What a call cost on average, of all that is known.
    #[schema(example = "0.0081")]
    pub(crate) average: String,
}

impl AiTrail {
    /// Returns the trail as the caller may see it: what a model thinks, and says about a failure, may be personal.
    pub(crate) fn of(trail: &Trail, access: &Access) -> Self {
        let sees = access.sees_personal_data;
        let usage = trail.usage.map(|usage| AiUsage {
            prompt: usage.prompt,
            completion: usage.completion,
            total: usage.total,
            cached: usage.cached,
            reasoning: usage.reasoning,
        });
        let actor = trail.actor.as_ref();
        Self {
            message_id: trail.message_id.to_string(),
            project_id: trail.project_id.clone(),
            model: trail.model.clone(),
            served_model: trail.served_model.clone(),
            status: trail.status.as_str(),
            started_at: time(trail.started_at),
            ended_at: trail.ended_at.map(time),
            latency_us: trail.latency().and_then(|time| time.num_microseconds()),
            context_layers: trail.context_layers,
            reasoning: sees.then(|| trail.reasoning.clone()),
            usage,
            cost: trail.cost.as_ref().map(AiCost::of),
            computed_cost: trail.computed_cost.as_ref().map(AiCost::of),
            error: trail.error.clone().filter(|_| sees),
            actor_type: actor.map(|actor| actor.kind().as_str()),
            actor_id: actor.map(|actor| actor.id().to_owned()),
            request_id: trail.request_id.clone(),
            event_id: trail.event_id.map(|id| id.to_string()),
        }
    }
}

impl AiCost {
    fn of(cost: &Cost) -> Self {
        Self {
            currency: cost.currency().to_string(),
            prompt: cost.prompt().to_string(),
            completion: cost.completion().to_string(),
            total: cost.total().to_string(),
        }
    }
}

impl AiAnalytics {
    pub(crate) fn of(days: Days, analytics: &Analytics, access: &Access) -> Self {
        let trails = |trails: &[Trail]| {
            trails
                .iter()
                .map(|trail| AiTrail::of(trail, access))
                .collect()
        };
        let by_day = analytics.by_day.iter();
        let by_model = analytics.by_model.iter();
        Self {
            from: days.first,
            until: days.last,
            total: AiTally::of(&analytics.total),
            by_day: by_day
                .map(|(day, tally)| AiDay {
                    day: *day,
                    tally: AiTally::of(tally),
                })
                .collect(),
            by_model: by_model
                .map(|(model, tally)| AiModel {
                    model: model.clone(),
                    tally: AiTally::of(tally),
                })
                .collect(),
            slowest: trails(&analytics.slowest),
            recent: trails(&analytics.recent),
        }
    }
}

impl AiTally {
    fn of(tally: &Tally) -> Self {
        let costs = tally.costs.iter().map(|(currency, costs)| AiCosts {
            currency: currency.to_string(),
            total: costs.total.to_string(),
            claimed: costs.claimed.to_string(),
            computed: costs.computed.to_string(),
            average: tally
                .average_cost(*currency)
                .map(|average| average.round_dp(12).normalize().to_string())
                .unwrap_or_default(),
        });
        let latency = tally.average_latency();
        Self {
            calls: tally.calls,
            completed: tally.completed,
            failed: tally.failed,
            unknown: tally.unknown,
            pending: tally.pending(),
            prompt_tokens: tally.prompt_tokens,
            completion_tokens: tally.completion_tokens,
            total_tokens: tally.total_tokens,
            cached_tokens: tally.cached_tokens,
            reasoning_tokens: tally.reasoning_tokens,
            average_latency_us: latency.and_then(|latency| latency.num_microseconds()),
            costs: costs.collect(),
        }
    }
}
