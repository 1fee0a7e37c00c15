//! What all changes of a trail make of it together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tower_audit_core::Actor;
use uuid::Uuid;

use super::{
    Cost, MessageId, Trail, TrailStatus,
    change::{End, Opening, Outcome, Parts, Served, Stamp, TrailChange},
    usage::Usage,
};

/// Everything that is known of a trail, each part with when it was said.
///
/// **Invariant:** [`apply`](Self::apply) is a join: the order in which changes arrive makes no difference, nor does it how often they do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    opening: Said<Opening>,
    end: Said<End>,
    served: Said<Served>,
    usage: Said<Usage>,
    cost: Said<Cost>,
    reasoning: Said<Vec<String>>,
    /// The last change of any part.
    changed: Option<Stamp>,
}

/// The last that was said about something.
type Said<T> = Option<(Stamp, T)>;

impl State {
    /// Takes a change.
    pub(crate) fn apply(&mut self, change: &TrailChange) {
        let (stamp, parts) = (change.stamp, &change.parts);
        say(&mut self.opening, stamp, &parts.opening);
        say(&mut self.served, stamp, &parts.served);
        say(&mut self.usage, stamp, &parts.usage);
        say(&mut self.cost, stamp, &parts.cost);
        say(&mut self.reasoning, stamp, &parts.reasoning);
        if let Some(end) = &parts.end {
            self.end_with((stamp, end.clone()));
        }
        self.changed = self.changed.max(Some(stamp));
    }

    /// Takes everything that another has.
    #[cfg(feature = "postgres")]
    pub(crate) fn join(&mut self, other: Self) {
        later(&mut self.opening, other.opening);
        later(&mut self.served, other.served);
        later(&mut self.usage, other.usage);
        later(&mut self.cost, other.cost);
        later(&mut self.reasoning, other.reasoning);
        if let Some(end) = other.end {
            self.end_with(end);
        }
        self.changed = self.changed.max(other.changed);
    }

    fn end_with(&mut self, new: (Stamp, End)) {
        let rank = |(stamp, end): &(Stamp, End)| (end.outcome, *stamp);
        if self.end.as_ref().is_none_or(|old| rank(old) < rank(&new)) {
            self.end = Some(new);
        }
    }

    /// Returns changes that make the same trail.
    pub(crate) fn changes(&self, message_id: &MessageId) -> Vec<TrailChange> {
        let mut changes = Vec::new();
        let mut add = |stamp: Stamp, parts: Parts| {
            changes.push(TrailChange {
                message_id: message_id.clone(),
                stamp,
                parts,
            });
        };
        macro_rules! add {
            ($($part:ident),*) => {$(
                if let Some((stamp, value)) = &self.$part {
                    let $part = Some(value.clone());
                    add(*stamp, Parts { $part, ..Parts::default() });
                }
            )*};
        }
        add!(opening, end, served, usage, cost, reasoning);
        changes
    }

    /// Returns when the trail began, if its begin has arrived.
    pub(crate) fn started_micros(&self) -> Option<i64> {
        let (_, opening) = self.opening.as_ref()?;
        Some(opening.started_micros)
    }

    /// Returns when the trail began or, where that is not known, when something was said of it last.
    pub(crate) fn age_micros(&self) -> i64 {
        let changed = self.changed.map_or(0, |stamp| stamp.micros);
        self.started_micros().unwrap_or(changed)
    }

    /// Returns the trail, if its begin has arrived.
    pub(crate) fn trail(&self, message_id: &MessageId) -> Option<Trail> {
        let (_, opening) = self.opening.as_ref()?;
        let end = self.end.as_ref().map(|(_, end)| end);
        let known_end = end.filter(|end| end.outcome != Outcome::Unknown);
        let ended_at = known_end.map(|end| moment(end.ended_micros));
        let started_at = moment(opening.started_micros);
        Some(Trail {
            message_id: message_id.clone(),
            project_id: opening.project_id.clone(),
            model: opening.model.clone(),
            served_model: self.served.as_ref().map(|(_, served)| served.model.clone()),
            status: end.map_or(TrailStatus::Pending, |end| end.outcome.into()),
            started_at,
            ended_at,
            context_layers: opening.context_layers,
            reasoning: value(&self.reasoning).unwrap_or_default(),
            usage: value(&self.usage),
            cost: value(&self.cost),
            computed_cost: self.computed(opening),
            error: end.and_then(|end| end.error.clone()),
            actor: opening
                .actor
                .as_ref()
                .map(|(kind, id)| Actor::new(*kind, id.as_str())),
            request_id: opening.request_id.clone(),
            event_id: opening.event_id,
        })
    }

    /// Returns what the call cost by the prices of the app.
    fn computed(&self, opening: &Opening) -> Option<Cost> {
        let price = match &self.served {
            Some((_, served)) => served.price,
            None => opening.price,
        };
        price?.of(&value(&self.usage)?)
    }
}

/// Notes what was said, unless something later was.
fn say<T: Clone>(said: &mut Said<T>, stamp: Stamp, new: &Option<T>) {
    if let Some(new) = new
        && said.as_ref().is_none_or(|(old, _)| *old < stamp)
    {
        *said = Some((stamp, new.clone()));
    }
}

/// Takes what was said later.
#[cfg(feature = "postgres")]
fn later<T>(said: &mut Said<T>, other: Said<T>) {
    if let Some((stamp, value)) = other
        && said.as_ref().is_none_or(|(old, _)| *old < stamp)
    {
        *said = Some((stamp, value));
    }
}

fn value<T: Clone>(said: &Said<T>) -> Option<T> {
    said.as_ref().map(|(_, value)| value.clone())
}

pub(crate) fn moment(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

impl From<Outcome> for TrailStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Unknown => Self::Unknown,
            Outcome::Failed => Self::Failed,
            Outcome::Completed => Self::Completed,
        }
    }
}

/// Returns what gives up a trail that nobody has ended. It is made of the trail alone, so two who give it up say the same.
pub(crate) fn given_up(trail: &Trail) -> TrailChange {
    let micros = trail.started_at.timestamp_micros();
    let end = End {
        outcome: Outcome::Unknown,
        ended_micros: micros,
        error: None,
    };
    TrailChange {
        message_id: trail.message_id.clone(),
        stamp: Stamp {
            micros,
            id: Uuid::nil(),
        },
        parts: Parts {
            end: Some(end),
            ..Parts::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::record::Currency;

    fn cost(cents: u32) -> Cost {
        let amount = rust_decimal::Decimal::new(cents.into(), 2);
        Cost::new(Currency::USD, amount, amount).unwrap()
    }

    prop_compose! {
        fn change(number: u128)(
            micros in 0..5_i64,
            opening in proptest::option::of("[ab]"),
            outcome in proptest::option::of(0..3_usize),
            usage in proptest::option::of(0..9_u32),
            cents in proptest::option::of(0..9_u32),
            served in proptest::option::of("[xy]"),
            reasoning in proptest::option::of(proptest::collection::vec("[rs]", 0..2)),
        ) -> TrailChange {
            let opening = opening.map(|project_id| Opening {
                project_id,
                model: "m".into(),
                started_micros: micros,
                context_layers: 0,
                actor: None,
                request_id: None,
                event_id: None,
                price: None,
            });
            let end = outcome.map(|outcome| End {
                outcome: [Outcome::Unknown, Outcome::Failed, Outcome::Completed][outcome],
                ended_micros: micros,
                error: None,
            });
            TrailChange {
                message_id: "m".parse().unwrap(),
                stamp: Stamp { micros, id: Uuid::from_u128(number) },
                parts: Parts {
                    opening,
                    end,
                    served: served.map(|model| Served { model, price: None }),
                    usage: usage.map(|tokens| Usage::new(tokens, tokens)),
                    cost: cents.map(cost),
                    reasoning,
                },
            }
        }
    }

    fn changes() -> impl Strategy<Value = Vec<TrailChange>> {
        (1..8_usize).prop_flat_map(|count| {
            let numbers = 0..u128::try_from(count).unwrap();
            numbers.map(change).collect::<Vec<_>>()
        })
    }

    fn applied<'a>(changes: impl IntoIterator<Item = &'a TrailChange>) -> State {
        let mut state = State::default();
        for change in changes {
            state.apply(change);
        }
        state
    }

    proptest! {
        #[test]
        fn changes_make_the_same_in_any_order_and_however_often_they_arrive(
            (changes, mixed, again) in changes().prop_flat_map(|changes| {
                (Just(changes.clone()), Just(changes).prop_shuffle(), any::<Vec<Index>>())
            })
        ) {
            let twice = again.iter().map(|index| index.get(&mixed));
            prop_assert_eq!(applied(&changes), applied(mixed.iter().chain(twice)));
        }

        #[cfg(feature = "postgres")]
        #[test]
        fn states_join_to_what_all_of_their_changes_make(
            (some, others) in (changes(), changes())
        ) {
            let mut joined = applied(&some);
            joined.join(applied(&others));
            prop_assert_eq!(joined, applied(some.iter().chain(&others)));
        }

        #[test]
        fn the_changes_of_a_state_make_it_again(changes in changes()) {
            let state = applied(&changes);
            let message_id = "m".parse().unwrap();
            let again = applied(&state.changes(&message_id));
            prop_assert_eq!(again.trail(&message_id), state.trail(&message_id));
        }

        #[test]
        fn what_is_read_back_is_what_was_written(changes in changes()) {
            let state = applied(&changes);
            let json = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
            for change in changes {
                use tower_audit_core::delivery::Record as _;
                let mut json = Vec::new();
                change.encode(&mut json);
                prop_assert_eq!(TrailChange::decode(&json).unwrap(), change);
            }
        }
    }

    #[test]
    fn a_trail_that_was_given_up_is_completed_by_what_arrives_later_and_not_the_other_way_round() {
        let end = |micros, outcome| TrailChange {
            message_id: "m".parse().unwrap(),
            stamp: Stamp {
                micros,
                id: Uuid::nil(),
            },
            parts: Parts {
                end: Some(End {
                    outcome,
                    ended_micros: micros,
                    error: None,
                }),
                ..Parts::default()
            },
        };
        let completed = end(1, Outcome::Completed);
        let failed = end(2, Outcome::Failed);
        let unknown = end(3, Outcome::Unknown);
        let state = applied([&completed, &failed, &unknown]);
        assert_eq!(state.end.unwrap().1.outcome, Outcome::Completed);
    }
}
