//! What a row was at a moment, beside a model of the table.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_audit_history::{AsOf, Track, Triggers};

use super::support::{Tracked, as_of, name, now};

/// What is done to rows, by number.
#[derive(Clone, Debug)]
enum Step {
    Insert(i32, i32),
    Update(i32, i32),
    Move(i32, i32),
    Delete(i32),
    Truncate,
    Baseline,
}

fn step() -> impl Strategy<Value = Step> {
    let (id, value) = (0..4_i32, 0..5_i32);
    prop_oneof![
        4 => (id.clone(), value.clone()).prop_map(|(id, value)| Step::Insert(id, value)),
        5 => (id.clone(), value).prop_map(|(id, value)| Step::Update(id, value)),
        3 => (id.clone(), id.clone()).prop_map(|(from, to)| Step::Move(from, to)),
        2 => id.prop_map(Step::Delete),
        1 => Just(Step::Truncate),
        1 => Just(Step::Baseline),
    ]
}

/// Does a step to the model; returns whether it can be done.
fn apply(model: &mut BTreeMap<i32, i32>, step: &Step) -> bool {
    match *step {
        Step::Insert(id, value) if !model.contains_key(&id) => model.insert(id, value).is_none(),
        Step::Update(id, value) if model.contains_key(&id) => model.insert(id, value).is_some(),
        Step::Move(from, to) if model.contains_key(&from) && !model.contains_key(&to) => {
            let value = model.remove(&from).unwrap();
            model.insert(to, value).is_none()
        }
        Step::Delete(id) => model.remove(&id).is_some(),
        Step::Truncate => {
            model.clear();
            true
        }
        Step::Baseline => true,
        _ => false,
    }
}

fn sql(step: &Step) -> Option<String> {
    Some(match step {
        Step::Insert(id, value) => format!("INSERT INTO jobs VALUES ({id}, 'n{value}')"),
        Step::Update(id, value) => format!("UPDATE jobs SET name = 'n{value}' WHERE id = {id}"),
        Step::Move(from, to) => format!("UPDATE jobs SET id = {to} WHERE id = {from}"),
        Step::Delete(id) => format!("DELETE FROM jobs WHERE id = {id}"),
        Step::Truncate => "TRUNCATE jobs".to_owned(),
        Step::Baseline => return None,
    })
}

/// Does the steps, some of them before the table is tracked, and asks for every row at every moment since.
async fn check_model(steps: &[Step], untracked: usize, triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text)").await;
    let (mut model, mut moments) = (BTreeMap::new(), Vec::new());
    for (index, step) in steps.iter().enumerate() {
        if index == untracked {
            db.track("jobs", Track::new().triggers(triggers)).await;
        }
        if !apply(&mut model, step) {
            continue;
        }
        match sql(step) {
            Some(sql) => db.run(&sql).await,
            None if index >= untracked => drop(db.history.baseline(&name("jobs")).await.unwrap()),
            None => {}
        }
        if index >= untracked {
            moments.push((now(&db).await, model.clone(), step.clone()));
        }
    }
    for (time, model, step) in moments {
        for id in 0..4 {
            let expected = model
                .get(&id)
                .map(|value| json!({"id": id, "name": format!("n{value}")}));
            let found = as_of(&db, id, time).await;
            let found = match found {
                AsOf::Row(row) => Some(Value::Object(row)),
                // What TRUNCATE took along before anything was known of it.
                AsOf::Unknown => continue,
                _ => None,
            };
            assert_eq!(found, expected, "row {id} after {step:?} of {steps:?}");
        }
    }
}

#[test]
fn every_row_is_told_as_a_model_says_it_was() {
    let steps = (
        proptest::collection::vec(step(), 1..25),
        1..6_usize,
        any::<bool>(),
    );
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(config, |((steps, untracked, is_statement) in steps)| {
        let triggers = if is_statement { Triggers::Statement } else { Triggers::Row };
        runtime.block_on(check_model(&steps, untracked.min(steps.len() - 1), triggers));
    });
}
