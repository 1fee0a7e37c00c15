//! The live tail.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_audit::{AuditEvent, EventWriter, Outcome};

use super::site::Site;
use crate::support::{
    events::{builder, event},
    soon,
};

/// A listener: reads one server-sent event after the other.
struct Listener {
    body: Body,
    text: String,
}

/// A server-sent event.
#[derive(Debug, Default)]
struct Message {
    kind: String,
    id: String,
    data: String,
}

impl Listener {
    fn new(body: Body) -> Self {
        Self {
            body,
            text: String::new(),
        }
    }

    /// Returns the next one, or `None` when the server has ended.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let mut found = Message::default();
                for line in message.lines() {
                    match line.split_once(": ") {
                        Some(("event", kind)) => found.kind = kind.to_owned(),
                        Some(("id", id)) => found.id = id.to_owned(),
                        Some(("data", data)) => found.data = data.to_owned(),
                        _ => {}
                    }
                }
                self.text = rest.to_owned();
                return Some(found);
            }
            let frame = soon(self.body.frame()).await?.unwrap();
            self.text
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// Returns the id of the next event of the trail, and the message.
    async fn event(&mut self) -> (String, Message) {
        // All of it soon: what keeps the connection alive comes for ever.
        soon(async {
            loop {
                let message = self.next().await.unwrap();
                if message.kind == "audit" {
                    let event: serde_json::Value = serde_json::from_str(&message.data).unwrap();
                    return (event["id"].as_str().unwrap().to_owned(), message);
                }
            }
        })
        .await
    }
}

async fn site() -> Site {
    Site::set(&[event(1)], |web| {
        web.poll_interval(Duration::from_millis(50))
    })
    .await
}

fn id(event: &AuditEvent) -> String {
    event.id().to_string()
}

#[tokio::test]
async fn what_is_written_from_now_on_is_told() {
    let site = site().await;
    let mut listener = Listener::new(site.open("root", "/events/stream", &[]).await);
    assert_eq!(listener.next().await.unwrap().kind, "ready");
    let (old, new) = (event(-100), event(100));
    site.trail.append(std::slice::from_ref(&old)).await.unwrap();
    assert_eq!(listener.event().await.0, id(&old));
    site.trail.append(std::slice::from_ref(&new)).await.unwrap();
    assert_eq!(listener.event().await.0, id(&new));
}

#[tokio::test]
async fn whoever_comes_again_misses_nothing_and_gets_nothing_twice() {
    let site = site().await;
    let mut listener = Listener::new(site.open("root", "/events/stream", &[]).await);
    let mut last = listener.next().await.unwrap().id;
    drop(listener);
    let events: Vec<AuditEvent> = (10..16).map(event).collect();
    let mut found = Vec::new();
    for pair in events.chunks(2) {
        site.trail.append(pair).await.unwrap();
        // Cut off in the middle of each batch.
        for _ in pair {
            let mut listener = Listener::new(
                site.open("root", "/events/stream", &[("last-event-id", &last)])
                    .await,
            );
            let (id, message) = listener.event().await;
            found.push(id);
            last = message.id;
        }
    }
    found.sort();
    assert_eq!(found, events.iter().map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_what_passes_the_search_and_the_tenant_is_told() {
    let site = site().await;
    let mut listener = Listener::new(
        site.open("acme", "/events/stream?q=outcome:denied", &[])
            .await,
    );
    listener.next().await.unwrap();
    let of = |tenant: &str, outcome| builder(5).tenant_id(tenant).outcome(outcome).build();
    let wanted = of("acme", Outcome::Denied);
    let rows = [
        of("other", Outcome::Denied),
        of("acme", Outcome::Success),
        wanted.clone(),
        builder(6).outcome(Outcome::Denied).build(),
    ];
    site.trail.append(&rows).await.unwrap();
    let (found, message) = listener.event().await;
    assert_eq!(found, id(&wanted));
    // And whoever comes again goes on after what was passed over.
    let last = listener.next().await.unwrap();
    assert!(last.data.is_empty() && !last.id.is_empty() && last.id != message.id);
    let mut listener = Listener::new(
        site.open(
            "acme",
            "/events/stream?q=outcome:denied",
            &[("last-event-id", &last.id)],
        )
        .await,
    );
    listener.next().await.unwrap();
    let again = of("acme", Outcome::Denied);
    site.trail
        .append(std::slice::from_ref(&again))
        .await
        .unwrap();
    assert_eq!(listener.event().await.0, id(&again));
}

#[tokio::test]
async fn a_live_tail_ends_so_that_access_is_asked_for_again() {
    let site = Site::set(&[], |web| web.longest_tail(Duration::ZERO)).await;
    let mut listener = Listener::new(site.open("root", "/events/stream", &[]).await);
    assert_eq!(listener.next().await.unwrap().kind, "ready");
    assert!(listener.next().await.is_none());
}

#[tokio::test]
async fn what_a_live_tail_tells_is_kept_by_nobody() {
    let site = site().await;
    let req = http::Request::get("/admin/audit/events/stream").header("x-who", "root");
    let response = soon(site.app.clone().oneshot(req.body(Body::empty()).unwrap()))
        .await
        .unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn one_live_tail_too_many_is_told_to_come_again() {
    let site = Site::set(&[], |web| web.max_tails(1)).await;
    let first = site.open("root", "/events/stream", &[]).await;
    assert_eq!(site.get("root", "/events/stream").await.status, 503);
    drop(first);
    drop(site.open("root", "/events/stream", &[]).await);
}

#[tokio::test]
async fn nothing_that_is_told_names_an_event_of_another_tenant() {
    let site = site().await;
    let mut listener = Listener::new(site.open("acme", "/events/stream", &[]).await);
    let mut told = listener.next().await.unwrap().id;
    let foreign: Vec<AuditEvent> = (0..450)
        .map(|n| builder(n).tenant_id("other").build())
        .collect();
    site.trail.append(&foreign).await.unwrap();
    let own = builder(9).tenant_id("acme").build();
    site.trail.append(std::slice::from_ref(&own)).await.unwrap();
    loop {
        let message = listener.next().await.unwrap();
        told.push_str(&message.id);
        if message.kind == "audit" {
            assert!(message.data.contains(&id(&own)));
            break;
        }
    }
    for event in &foreign {
        assert!(!told.contains(&event.id().as_uuid().simple().to_string()));
    }
}
