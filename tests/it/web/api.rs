//! What the API answers, and how it says what is wrong.

use serde_json::Value;
use tower_audit::{Actor, AuditEvent, Outcome, Target};

use super::site::Site;
use crate::support::events::{at, builder, event, full};

fn ids(page: &Value) -> Vec<String> {
    let events = page["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_follow_one_another_in_both_directions() {
    let events: Vec<AuditEvent> = (0..5).map(event).collect();
    let site = Site::with(&events).await;
    let expected: Vec<String> = events
        .iter()
        .rev()
        .map(|event| event.id().to_string())
        .collect();
    let first = site.get("root", "/events?limit=2").await.json();
    assert_eq!(
        (ids(&first), &first["newer"]),
        (expected[..2].to_vec(), &Value::Null)
    );
    let older = first["older"].as_str().unwrap();
    let second = site
        .get("root", &format!("/events?limit=2&older_than={older}"))
        .await
        .json();
    assert_eq!(ids(&second), expected[2..4]);
    let newer = second["newer"].as_str().unwrap();
    let back = site
        .get("root", &format!("/events?limit=2&newer_than={newer}"))
        .await
        .json();
    assert_eq!(ids(&back), expected[..2]);
}

#[tokio::test]
async fn a_search_narrows_the_page() {
    let carol = AuditEvent::builder(
        Actor::user("carol"),
        "project.delete",
        Target::new("project", 8),
    )
    .outcome(Outcome::Denied)
    .build();
    let site = Site::with(&[event(1), carol.clone(), event(2)]).await;
    let page = site
        .get("root", "/events?q=-actor:alice%20outcome:denied")
        .await
        .json();
    assert_eq!(ids(&page), [carol.id().to_string()]);
}

#[tokio::test]
async fn an_event_is_shown_with_all_its_columns() {
    let site = Site::with(&[full()]).await;
    let event = site
        .get("root", &format!("/events/{}", full().id()))
        .await
        .json();
    let mut expected = serde_json::to_value(full()).unwrap();
    expected["created_at"] = "2026-11-01T10:00:00.123456Z".into();
    // JavaScript would round it.
    expected["metadata"]["big"] = "9007199254740993".into();
    let mut event = event.as_object().unwrap().clone();
    assert!(event.remove("recorded_at").unwrap().is_string());
    assert_eq!(Value::Object(event), expected);
}

/// Requests that are wrong: the parameter, where in it, and how the hint begins.
const WRONG: &[(&str, &str, u64, &str)] = &[
    (
        "/events?q=actor:alice%20oucome:denied",
        "q",
        13,
        "did you mean `outcome`?",
    ),
    (
        "/events?q=created:2026-02-30",
        "q",
        9,
        "write a day such as",
    ),
    ("/export?q=ip:10.0.0", "q", 4, "write one, such as"),
    (
        "/events?limit=0",
        "limit",
        0,
        "write a whole number from 1 to 1000",
    ),
    (
        "/events?limit=1001",
        "limit",
        0,
        "write a whole number from 1 to 1000",
    ),
    (
        "/events?limit=%2B5",
        "limit",
        0,
        "write a whole number from 1 to 1000",
    ),
    (
        "/events?older_than=x",
        "older_than",
        0,
        "take it from the page before, as it is",
    ),
    (
        "/events?older_than=1&newer_than=1",
        "older_than",
        0,
        "take it from the page before",
    ),
    ("/events?limt=5", "limt", 0, "did you mean `limit`?"),
    ("/events?q=a:b&q=c:d", "q", 0, "leave one out"),
    (
        "/histogram?buckets=0",
        "buckets",
        0,
        "write a whole number from 1 to 500",
    ),
    ("/top?field=meta", "field", 0, "write actor, kind"),
    ("/top", "field", 0, "write actor, kind"),
    (
        "/export?format=xml",
        "format",
        0,
        "write jsonl, csv, ocsf, ecs, cloudevents",
    ),
    (
        "/events/stream?after=x",
        "after",
        0,
        "take it from the last event",
    ),
];

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_place_and_hint() {
    let site = Site::with(&[]).await;
    for (path, parameter, position, hint) in WRONG {
        let answer = site.get("root", path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (400, "application/problem+json"),
            "{path}"
        );
        let problem = answer.json();
        assert_eq!(problem["parameter"], *parameter, "{path}");
        assert_eq!(
            problem["position"].as_u64().unwrap_or(0),
            *position,
            "{path}"
        );
        assert!(
            problem["hint"].as_str().unwrap().starts_with(hint),
            "{path} {problem}"
        );
        assert_eq!(problem["status"], 400);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let site = Site::with(&[]).await;
    for path in [
        "/events/019a9e3c-7d2e-7c4b-8f00-0123456789ab",
        "/events/7",
        "/events/7/related",
        "/nothing",
    ] {
        let answer = site.get("root", path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
    }
    let post = http::Request::post("/admin/audit/events")
        .header("x-who", "root")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = site.call(post).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "GET,HEAD")
    );
}

#[tokio::test]
async fn counts_are_by_time_outcome_and_value() {
    let denied = |seconds| builder(seconds).outcome(Outcome::Denied).build();
    let site = Site::with(&[event(0), event(3_600), denied(3_601)]).await;
    let day = at(0).format("%Y-%m-%d").to_string();
    let histogram = site
        .get("root", &format!("/histogram?buckets=24&q=created:{day}.."))
        .await
        .json();
    let buckets = histogram["buckets"].as_array().unwrap();
    let sum = |outcome: &str| {
        buckets
            .iter()
            .map(|bucket| bucket[outcome].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!((sum("success"), sum("denied"), sum("failure")), (2, 1, 0));
    assert!(buckets.len() <= 24);
    let top = site
        .get("root", "/top?field=outcome&q=actor:alice")
        .await
        .json();
    assert_eq!(
        top["values"],
        serde_json::json!([{"value": "success", "events": 2}, {"value": "denied", "events": 1}])
    );
    let count = site.get("root", "/count?q=outcome:denied").await.json();
    assert_eq!(count, serde_json::json!({"events": 1, "is": "exactly"}));
}

#[tokio::test]
async fn what_happened_around_an_event_is_found() {
    let rows: Vec<AuditEvent> = (0..4)
        .map(|n| builder(n).request_id(format!("r-{}", n % 2)).build())
        .collect();
    let site = Site::with(&rows).await;
    let related = site
        .get("root", &format!("/events/{}/related", rows[2].id()))
        .await
        .json();
    let ids = |part: &str| {
        related[part]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let id = |n: usize| rows[n].id().to_string();
    assert_eq!(
        (ids("same_request"), ids("before"), ids("after")),
        (vec![id(0)], vec![id(1), id(0)], vec![id(3)])
    );
}

#[tokio::test]
async fn the_document_names_every_route_and_where_it_is_served() {
    let site = Site::with(&[]).await;
    let document = site.get("root", "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["servers"][0]["url"], "/admin/audit");
    let paths: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        paths,
        [
            "/count",
            "/events",
            "/events/stream",
            "/events/{id}",
            "/events/{id}/related",
            "/export",
            "/histogram",
            "/top"
        ]
    );
}

#[tokio::test]
async fn no_answer_is_kept_framed_or_taken_for_something_else() {
    let site = Site::with(&[event(1)]).await;
    for (who, path) in [
        ("root", "/events"),
        ("root", "/export"),
        ("root", "/nothing"),
        ("nobody", "/events"),
        ("root", "/openapi.json"),
    ] {
        let answer = site.get(who, path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'")
                && !policy.contains("unsafe"),
            "{path}"
        );
    }
}
