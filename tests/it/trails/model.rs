//! What trails add up to, after whatever happened to them: a recount has to find the same.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use proptest::prelude::*;
use tower_audit_ai::{
    MemoryTrails, PgTrails, SqliteTrails, Tally, Trail, TrailChange, TrailStatus, TrailStore,
    Update, Usage,
};
use tower_audit_core::EventWriter as _;

use super::support::{ZONE, all_days, changes, dollars, id, write};
use crate::support::database::{Postgres, Sqlite};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// These changes arrive in one batch, as they were made or again.
    Arrive(Vec<prop::sample::Index>),
    /// Trails that are older than so many days are deleted.
    Cleanup(i64),
    /// Calls that began so many days ago and have not ended are given up.
    Reap(i64),
    /// Trails are counted again.
    Recount,
    /// A batch is written, and its writer does not live to know.
    Repeat,
}

fn step() -> impl Strategy<Value = Step> {
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        8 => prop::collection::vec(index(), 1..6).prop_map(Step::Arrive),
        1 => (0..10_i64).prop_map(Step::Cleanup),
        1 => (0..10_i64).prop_map(Step::Reap),
        1 => Just(Step::Recount),
        2 => Just(Step::Repeat),
    ]
}

/// Returns changes of some trails that began on one of ten days.
async fn made(now: DateTime<Utc>, days: &[i64]) -> Vec<TrailChange> {
    changes(async |trails| {
        for (number, day) in days.iter().enumerate() {
            let (message, project) = (format!("m{number}"), ["p", "q"][number % 2]);
            let model = ["a", "b", "c"][number % 3];
            let began = now - TimeDelta::days(*day);
            let tokens = u32::try_from(number + 1).unwrap();
            let placeholder = Trail::placeholder(&message, project, model).unwrap();
            trails.begin(placeholder.started_at(began));
            let cost = dollars(&format!("0.00000000000{}", number % 9 + 1), "0.1");
            trails.complete(&id(&message), Usage::new(tokens, 1), Some(cost), Vec::new());
            trails.update(&id(&message), Update::new().usage(Usage::new(tokens, 2)));
            trails.update(&id(&message), Update::new().served_model("served"));
            trails.fail(&id(&message), "no");
        }
    })
    .await
}

/// What has to be there: the changes of each trail that were taken, and what was deleted.
#[derive(Default)]
struct Model {
    taken: BTreeMap<String, Vec<TrailChange>>,
    deleted: Vec<Trail>,
    cutoff: Option<DateTime<Utc>>,
    given_up: BTreeMap<String, ()>,
}

impl Model {
    /// Returns what these changes of one trail make, alone.
    async fn alone(changes: &[TrailChange], is_given_up: bool) -> Option<Trail> {
        let store = MemoryTrails::new();
        write(&store, changes).await;
        if is_given_up {
            store.reap(DateTime::<Utc>::MAX_UTC).await.unwrap();
        }
        store.get(changes.first()?.message_id()).await.unwrap()
    }

    async fn trail(&self, message: &str) -> Option<Trail> {
        let changes = self.taken.get(message)?;
        Self::alone(changes, self.given_up.contains_key(message)).await
    }

    async fn arrive(&mut self, change: &TrailChange) {
        let message = change.message_id().to_string();
        let was_there = self.trail(&message).await.is_some();
        self.taken
            .entry(message.clone())
            .or_default()
            .push(change.clone());
        let trail = self.trail(&message).await;
        let is_too_late =
            |trail: Trail| self.cutoff.is_some_and(|cutoff| trail.started_at < cutoff);
        if !was_there && trail.is_some_and(is_too_late) {
            self.taken.remove(&message);
        }
    }

    async fn cleanup(&mut self, cutoff: DateTime<Utc>) {
        let messages: Vec<String> = self.taken.keys().cloned().collect();
        for message in messages {
            let Some(trail) = self.trail(&message).await else {
                continue;
            };
            if trail.started_at < cutoff && trail.status != TrailStatus::Pending {
                self.taken.remove(&message);
                self.given_up.remove(&message);
                self.deleted.push(trail);
            }
        }
        self.cutoff = self.cutoff.max(Some(cutoff));
    }

    async fn reap(&mut self, created_before: DateTime<Utc>) {
        let messages: Vec<String> = self.taken.keys().cloned().collect();
        for message in messages {
            let trail = self.trail(&message).await;
            if trail.is_some_and(|trail| {
                trail.status == TrailStatus::Pending && trail.started_at < created_before
            }) {
                self.given_up.insert(message, ());
            }
        }
    }

    /// Counts everything that ever was.
    async fn recount(&self, project: &str) -> Tally {
        let mut all = self.deleted.clone();
        for message in self.taken.keys() {
            all.extend(self.trail(message).await);
        }
        let mut total = Tally::default();
        for trail in all.iter().filter(|trail| trail.project_id == project) {
            add(&mut total, trail);
        }
        total
    }
}

/// Counts a trail.
fn add(total: &mut Tally, trail: &Trail) {
    total.calls += 1;
    match trail.status {
        TrailStatus::Completed => total.completed += 1,
        TrailStatus::Failed => total.failed += 1,
        TrailStatus::Unknown => total.unknown += 1,
        _ => {}
    }
    if let Some(usage) = trail.usage {
        total.prompt_tokens += i64::from(usage.prompt);
        total.completion_tokens += i64::from(usage.completion);
        total.total_tokens += i64::try_from(usage.total).unwrap();
    }
    if let Some(latency) = trail.latency() {
        total.ended += 1;
        total.latency_micros += latency.num_microseconds().unwrap();
    }
    if let Some(cost) = trail.cost {
        let costs = total.costs.entry(cost.currency()).or_default();
        costs.claimed += cost.total();
        costs.total += cost.total();
    }
}

async fn check(store: impl TrailStore, days: Vec<i64>, steps: Vec<Step>) {
    let now = Utc::now().trunc_subsecs(6);
    let made = made(now, &days).await;
    let mut model = Model::default();
    let mut last: Vec<TrailChange> = Vec::new();
    for step in &steps {
        match step {
            Step::Arrive(indexes) => {
                last = indexes
                    .iter()
                    .map(|index| index.get(&made).clone())
                    .collect();
                write(&store, &last).await;
                for change in &last {
                    model.arrive(change).await;
                }
            }
            Step::Recount => {
                store.recount().await.unwrap();
            }
            Step::Repeat if last.is_empty() => {}
            Step::Repeat => {
                write(&store, &last).await;
                for change in &last {
                    model.arrive(change).await;
                }
            }
            Step::Cleanup(day) => {
                store.cleanup(now - TimeDelta::days(*day)).await.unwrap();
                model.cleanup(now - TimeDelta::days(*day)).await;
            }
            Step::Reap(day) => {
                store.reap(now - TimeDelta::days(*day)).await.unwrap();
                model.reap(now - TimeDelta::days(*day)).await;
            }
        }
    }
    for project in ["p", "q"] {
        let found = store.analytics(project, all_days()).await.unwrap();
        assert_eq!(found.total, model.recount(project).await, "{steps:?}");
        let mut sum = Tally::default();
        for (_, tally) in &found.by_day {
            sum += tally;
        }
        assert_eq!(found.total, sum);
    }
    for number in 0..days.len() {
        let message = format!("m{number}");
        let found = store.get(&id(&message)).await.unwrap();
        assert_eq!(found, model.trail(&message).await, "{steps:?}");
    }
}

fn days() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0..10_i64, 1..6)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..25)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn a_recount_finds_what_was_added_up_in_memory() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(config(200), |(days in days(), steps in steps())| {
        let store = MemoryTrails::with_capacity(1_000.try_into().unwrap(), ZONE);
        runtime.block_on(check(store, days, steps));
    });
}

#[test]
fn a_recount_finds_what_was_added_up_in_postgres() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Postgres::fresh());
    let store = PgTrails::new(database.pool.clone()).zone(ZONE);
    runtime.block_on(store.migrate()).unwrap();
    proptest!(config(60), |(days in days(), steps in steps())| {
        runtime.block_on(async {
            let empty = "TRUNCATE control_plane.ai_trails, control_plane.ai_trails_tallies, control_plane.ai_trails_costs; \
                 UPDATE control_plane.ai_trails_settings SET too_late = DEFAULT";
            sqlx::raw_sql(empty).execute(&database.pool).await.unwrap();
            check(store.clone(), days, steps).await;
        });
    });
}

#[test]
fn a_recount_finds_what_was_added_up_in_sqlite() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Sqlite::fresh());
    let store = SqliteTrails::new(database.pool.clone()).zone(ZONE);
    runtime.block_on(store.migrate()).unwrap();
    proptest!(config(60), |(days in days(), steps in steps())| {
        runtime.block_on(async {
            let empty = "DELETE FROM ai_trails; DELETE FROM ai_trails_tallies; \
                 UPDATE ai_trails_settings SET too_late_micros = -9223372036854775808";
            sqlx::raw_sql(empty).execute(&database.pool).await.unwrap();
            check(store.clone(), days, steps).await;
        });
    });
}
