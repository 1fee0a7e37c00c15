//! Searches of which few of many events pass, and a store that does not answer.

use std::time::Duration;

use serde_json::Value;
use tower_audit::{
    Actor, AuditEvent, EventWriter, MemoryStore, PageSize, Target, store::TailPosition,
};

use super::{
    readers::{Down, ShortSighted},
    site::{Answer, Site},
};
use crate::support::events::{at, builder};

/// Returns an event of bob, one of the few.
fn of_bob(seconds: i64) -> AuditEvent {
    AuditEvent::builder(Actor::user("bob"), "project.update", Target::none())
        .created_at(at(seconds))
        .build()
}

/// Returns a site of a trail of a hundred events, some of bob, whose reader looks at ten of them for a page.
async fn site(bobs: &[i64], patience: Duration) -> Site {
    let trail = MemoryStore::new();
    let events: Vec<AuditEvent> = (0..100)
        .map(|n| match bobs.contains(&n) {
            true => of_bob(n),
            false => builder(n).build(),
        })
        .collect();
    trail.append(&events).await.unwrap();
    let reader = ShortSighted {
        store: trail.clone(),
        looks_at: PageSize::new(10).unwrap(),
    };
    Site::reading(reader, trail, |web| web.patience(patience))
}

/// Returns when the events of a page were, and its cursors.
fn page(answer: &Answer) -> (Vec<String>, Value, Value) {
    let json = answer.json();
    let events = json["events"].as_array().unwrap();
    let times = events
        .iter()
        .map(|event| event["created_at"].as_str().unwrap().to_owned());
    (
        times.collect(),
        json["older"].clone(),
        json["newer"].clone(),
    )
}

fn times(seconds: &[i64]) -> Vec<String> {
    seconds
        .iter()
        .map(|n| serde_json::to_value(builder(*n).build()).unwrap()["created_at"].to_string())
        .map(|text| text.trim_matches('"').to_owned())
        .collect()
}

#[tokio::test]
async fn a_page_goes_on_past_events_that_do_not_pass() {
    let site = site(&[3, 47, 52], Duration::MAX).await;
    let answer = site.get("root", "/events?q=actor:bob").await;
    let (found, older, newer) = page(&answer);
    assert_eq!(found, times(&[52, 47, 3]));
    assert_eq!((older, newer), (Value::Null, Value::Null));
    assert_eq!(answer.json()["stopped_at"], Value::Null);
}

#[tokio::test]
async fn pages_past_many_events_follow_one_another_in_both_directions() {
    let site = site(&[3, 21, 47, 52, 88], Duration::MAX).await;
    let search = "/events?q=actor:bob&limit=2";
    let (first, older, newer) = page(&site.get("root", search).await);
    assert_eq!((first, newer), (times(&[88, 52]), Value::Null));
    let next = format!("{search}&older_than={}", older.as_str().unwrap());
    let (second, older, newer) = page(&site.get("root", &next).await);
    assert_eq!(second, times(&[47, 21]));
    let back = format!("{search}&newer_than={}", newer.as_str().unwrap());
    let (again, ..) = page(&site.get("root", &back).await);
    assert_eq!(again, times(&[88, 52]));
    let last = format!("{search}&older_than={}", older.as_str().unwrap());
    let (third, older, newer) = page(&site.get("root", &last).await);
    assert_eq!((third, older), (times(&[3]), Value::Null));
    let back = format!("{search}&newer_than={}", newer.as_str().unwrap());
    let (again, ..) = page(&site.get("root", &back).await);
    assert_eq!(again, times(&[47, 21]));
}

#[tokio::test]
async fn a_page_that_lost_patience_says_where_and_goes_on_from_there() {
    let site = site(&[3, 47], Duration::ZERO).await;
    let mut path = "/events?q=actor:bob".to_owned();
    let (mut found, mut stops) = (Vec::new(), 0);
    loop {
        let answer = site.get("root", &path).await;
        let (times, older, _) = page(&answer);
        found.extend(times);
        stops += usize::from(answer.json()["stopped_at"].is_string());
        let Some(older) = older.as_str() else { break };
        path = format!("/events?q=actor:bob&older_than={older}");
    }
    assert_eq!((found, stops), (times(&[47, 3]), 9));
}

#[tokio::test]
async fn what_an_actor_did_before_is_found_past_what_others_did() {
    let site = site(&[47, 77], Duration::MAX).await;
    let newest = site.get("root", "/events?q=actor:bob").await.json();
    let id = newest["events"][0]["id"].as_str().unwrap();
    let related = site.get("root", &format!("/events/{id}/related")).await;
    assert_eq!(
        related.json()["before"][0]["created_at"],
        times(&[47])[0].as_str()
    );
}

#[tokio::test]
async fn an_export_goes_on_past_events_that_do_not_pass() {
    let site = site(&[3, 47, 52], Duration::ZERO).await;
    let answer = site.get("root", "/export?q=actor:bob").await;
    assert_eq!(answer.text().lines().count(), 3);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_said_to_and_nothing_of_it() {
    let site = Site::reading(Down, MemoryStore::new(), |web| web);
    let id = builder(1).build().id();
    let position = TailPosition::default();
    for path in [
        "/events",
        "/histogram",
        "/top?field=actor",
        "/count",
        "/events/stream",
        &format!("/events/stream?after={position}"),
        &format!("/events/{id}"),
        &format!("/events/{id}/related"),
    ] {
        let answer = site.get("root", path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.header("retry-after"), "5", "{path}");
        assert!(!answer.text().contains("hunter2"), "{path}");
    }
    let answer = site.get("root", "/").await;
    assert_eq!(answer.status, 503);
    assert!(!answer.text().contains("hunter2"));
    assert!(
        answer.text().contains("does not answer"),
        "{}",
        answer.text()
    );
}
