//! Some days of plausible calls, so that there is something to look at.

use chrono::{TimeDelta, Utc};
use tower_audit::Actor;
use tower_audit_ai::{Cost, Currency, SqliteTrails, Trail, Trails, Update, Usage};

use crate::model;

/// Records calls of the last days, and returns how many. They are older ones: each is said to have ended when it did.
///
/// # Errors
///
/// Returns an error if a call is none.
pub async fn demo(trails: &Trails<SqliteTrails>) -> anyhow::Result<u32> {
    let now = Utc::now();
    for n in 0..CALLS {
        // More and more of them, and some that took far longer.
        let age = TimeDelta::minutes(i64::from((CALLS - n) * (CALLS - n) * 8 / CALLS));
        let took = TimeDelta::milliseconds(i64::from(
            300 + n * 7919 % 2_500 + if n % 29 == 0 { 9_000 } else { 0 },
        ));
        let began = now - age - took;
        let project = ["demo", "demo", "support-bot"][n as usize % 3];
        let placeholder = Trail::placeholder(&format!("msg_demo_{n:04}"), project, model::NAME)?;
        let actor = Actor::user(["alice", "bob", "carol"][n as usize % 7 % 3]);
        trails.begin(
            placeholder
                .started_at(began)
                .context_layers(n % 4)
                .actor(actor),
        );
        let prompt = 200 + n * 613 % 4_000;
        let usage = Usage::new(prompt, 40 + n * 311 % 900).cached(prompt / 3);
        let update = Update::new().usage(usage);
        let update = match n % 17 {
            0 => update.failed_at(began + took, "the provider said: 529 overloaded"),
            n if n % 4 == 0 => update
                .served_model("parrot-small-2026-11")
                .cost(small(usage)?)
                .completed_at(began + took),
            _ => update
                .served_model(model::SERVED)
                .reasoning(thought(prompt))
                .completed_at(began + took),
        };
        trails.update(&format!("msg_demo_{n:04}").parse()?, update);
        if n % 100 == 0 {
            // The queue is bounded.
            trails.flush().await;
        }
    }
    trails.flush().await;
    Ok(CALLS)
}

/// What the provider of the small model says that it costs.
fn small(usage: Usage) -> anyhow::Result<Cost> {
    let dollars = |micros: u32| format!("0.{micros:06}");
    let (prompt, completion) = (dollars(usage.prompt), dollars(usage.completion * 5));
    Ok(Cost::new(
        Currency::USD,
        prompt.parse()?,
        completion.parse()?,
    )?)
}

fn thought(prompt: u32) -> Vec<String> {
    vec![
        format!("I was given {prompt} tokens"),
        "the layers of context agree with each other".to_owned(),
        "I shall say them again".to_owned(),
    ]
}

const CALLS: u32 = 600;
