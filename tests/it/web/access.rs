//! Who sees what.

use std::net::SocketAddr;

use axum::{body::Body, extract::ConnectInfo};
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tower_audit::{Actor, AuditEvent, AuditLayer, Captured, Metadata, Outcome, Target};

use super::site::Site;
use crate::support::{events::at, soon};

/// An event of a tenant, with everything that is personal.
fn of(tenant: Option<&str>, seconds: i64) -> AuditEvent {
    let actor = Actor::user("alice").name("Alice Personal");
    let captured = Captured::from(Metadata::from_iter([("query", "captured-personal")]));
    let event = AuditEvent::builder(actor, "project.update", Target::new("project", 7))
        .created_at(at(seconds))
        .ip_address("192.0.2.77".parse().unwrap())
        .peer_address("192.0.2.78".parse().unwrap())
        .user_agent("agent-personal")
        .request_id("r-1")
        .captured(captured);
    match tenant {
        Some(tenant) => event
            .tenant_id(tenant)
            .metadata("secret", format!("of-{tenant}"))
            .build(),
        None => event.metadata("secret", "of-nobody").build(),
    }
}

/// Two events of acme, one of another tenant, one of none, all in one request.
fn trail() -> Vec<AuditEvent> {
    vec![
        of(Some("acme"), 1),
        of(Some("other"), 2),
        of(None, 3),
        of(Some("acme"), 4),
    ]
}

/// Every route, with an event's id in its place; what a caller can see is in the answer as text.
fn routes(id: &str) -> Vec<String> {
    vec![
        "/events".to_owned(),
        "/events?q=actor:alice".to_owned(),
        "/events?q=-tenant:acme".to_owned(),
        "/events?q=tenant:other".to_owned(),
        format!("/events/{id}"),
        format!("/events/{id}/related"),
        "/histogram?q=created:2026..".to_owned(),
        "/top?field=tenant".to_owned(),
        "/top?field=target&q=tenant:other,acme".to_owned(),
        "/count".to_owned(),
        "/export".to_owned(),
        "/export?format=csv&q=actor:alice".to_owned(),
        "/export?format=ocsf".to_owned(),
        "/export?format=ecs".to_owned(),
        "/export?format=cloudevents".to_owned(),
        "/openapi.json".to_owned(),
    ]
}

#[tokio::test]
async fn nothing_of_another_tenant_is_in_any_answer() {
    let trail = trail();
    let site = Site::with(&trail).await;
    for event in &trail {
        for route in routes(&event.id().to_string()) {
            let text = site.get("acme", &route).await;
            let text = String::from_utf8(text.body).unwrap();
            assert!(
                !text.contains("of-other") && !text.contains("of-nobody"),
                "{route}: {text}"
            );
            assert!(
                !text.contains(&format!("{}\"", trail[1].id()))
                    && !text.contains(&format!("{}\"", trail[2].id())),
                "{route}: {text}"
            );
        }
    }
    let count = site.get("acme", "/count").await.json();
    assert_eq!(count["events"], 2);
    let top = site.get("acme", "/top?field=tenant").await.json();
    assert_eq!(
        top["values"],
        serde_json::json!([{"value": "acme", "events": 2}])
    );
    let histogram = site.get("acme", "/histogram?q=created:2026..").await.json();
    let sum: u64 = histogram["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| bucket["success"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 2);
    assert_eq!(site.get("other", "/count").await.json()["events"], 1);
    assert_eq!(site.get("root", "/count").await.json()["events"], 4);
}

#[tokio::test]
async fn an_event_of_another_tenant_cannot_be_told_from_none() {
    let trail = trail();
    let site = Site::with(&trail).await;
    for suffix in ["", "/related"] {
        let foreign = site
            .get("acme", &format!("/events/{}{suffix}", trail[1].id()))
            .await;
        let absent = site
            .get(
                "acme",
                &format!("/events/019a9e3c-7d2e-7c4b-8f00-0123456789ab{suffix}"),
            )
            .await;
        let garbage = site.get("acme", &format!("/events/x{suffix}")).await;
        assert_eq!(foreign.status, 404);
        assert_eq!(
            (foreign.status, &foreign.headers, &foreign.body),
            (absent.status, &absent.headers, &absent.body)
        );
        assert_eq!(absent.body, garbage.body);
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_gets_nothing_from_any_route() {
    let trail = trail();
    let site = Site::with(&trail).await;
    for (who, status) in [("nobody", 401), ("outsider", 403)] {
        for route in routes(&trail[0].id().to_string())
            .into_iter()
            .chain(["/nothing".to_owned(), "/events/stream".to_owned()])
        {
            let answer = site.get(who, &route).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-type")),
                (status, "application/problem+json"),
                "{route}"
            );
            assert!(!answer.text().contains("alice"), "{route}");
        }
    }
    assert_eq!(
        site.get("nobody", "/events")
            .await
            .header("www-authenticate"),
        "Basic realm=\"audit\""
    );
}

#[tokio::test]
async fn what_is_personal_is_in_no_answer_for_whoever_may_not_see_it() {
    let trail = trail();
    let site = Site::with(&trail).await;
    let personal = ["Personal", "192.0.2.", "-personal"];
    for route in routes(&trail[0].id().to_string()) {
        let text = String::from_utf8(site.get("clerk", &route).await.body).unwrap();
        assert!(
            personal.iter().all(|word| !text.contains(word)),
            "{route}: {text}"
        );
    }
    let seen = site.get("acme", "/events").await;
    assert!(personal.iter().all(|word| seen.text().contains(word)));
}

#[tokio::test]
async fn nobody_finds_out_by_searching_what_is_hidden_from_them() {
    let site = Site::with(&trail()).await;
    for search in [
        "ip:192.0.2.77",
        "-ip:192.0.2.77",
        "peer:*",
        "agent:agent*",
        "name:*",
        "captured.query:x",
        "actor:alice,bob%20ip_address:10.0.0.0/8",
    ] {
        for route in [
            "events?q=",
            "histogram?q=",
            "count?q=",
            "export?q=",
            "events/stream?q=",
            "top?field=actor&q=",
        ] {
            let answer = site.get("clerk", &format!("/{route}{search}")).await;
            assert_eq!(answer.status, 403, "{route}{search}");
            assert_eq!(answer.json()["type"], "urn:tower-audit:hidden");
        }
    }
    for field in ["ip", "peer", "agent", "name"] {
        assert_eq!(
            site.get("clerk", &format!("/top?field={field}"))
                .await
                .status,
            403,
            "{field}"
        );
        assert_eq!(
            site.get("acme", &format!("/top?field={field}"))
                .await
                .status,
            200,
            "{field}"
        );
    }
}

#[tokio::test]
async fn whoever_may_not_export_does_not() {
    let site = Site::with(&trail()).await;
    for format in ["jsonl", "csv", "ocsf", "ecs", "cloudevents"] {
        let answer = site.get("clerk", &format!("/export?format={format}")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["type"]),
            (403, &Value::from("urn:tower-audit:no-export"))
        );
    }
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let site = Site::with(&trail()).await;
    let from = |mode: &str, dest: &str| {
        let req = Request::get("/admin/audit/events")
            .header("x-who", "root")
            .header("sec-fetch-site", "cross-site");
        req.header("sec-fetch-mode", mode)
            .header("sec-fetch-dest", dest)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(site.call(from("no-cors", "script")).await.status, 403);
    assert_eq!(site.call(from("cors", "empty")).await.status, 403);
    assert_eq!(site.call(from("navigate", "iframe")).await.status, 403);
}

#[tokio::test]
async fn a_link_on_another_site_leads_to_a_page_and_to_nothing_else() {
    let site = Site::with(&trail()).await;
    for (path, status) in [
        ("/", 200),
        ("/export", 403),
        ("/events/stream", 403),
        ("/events", 403),
    ] {
        let req = Request::get(format!("/admin/audit{}", path.trim_end_matches('/')))
            .header("x-who", "acme")
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        let answer = site.call(req.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{path}");
    }
    // Whoever followed it is known.
    let looks = site.looks().await;
    assert!(looks.iter().all(|look| look.actor().id() == "acme"));
}

#[tokio::test]
async fn a_layer_around_it_leaves_no_second_row_of_a_look() {
    let site = Site::with(&trail()).await;
    let web = site
        .app
        .clone()
        .layer(AuditLayer::new(site.auditor.clone()));
    for (who, method, path) in [
        ("nobody", "GET", "/admin/audit/events"),
        ("outsider", "GET", "/admin/audit/export"),
        ("acme", "DELETE", "/admin/audit/events"),
        ("acme", "GET", "/admin/audit/nowhere"),
        ("acme", "GET", "/admin/audit/export"),
        ("nobody", "GET", "/admin/audit/assets/viewer.css"),
    ] {
        let req = Request::builder()
            .method(method)
            .uri(path)
            .header("x-who", who);
        let answer = soon(web.clone().oneshot(req.body(Body::empty()).unwrap()))
            .await
            .unwrap();
        soon(answer.into_body().collect()).await.unwrap();
    }
    let looks = site.looks().await;
    let actions: Vec<_> = looks.iter().map(AuditEvent::action).collect();
    assert_eq!(actions.len(), 6, "{actions:?}");
    assert!(
        actions.iter().all(|action| action.starts_with("audit.")),
        "{actions:?}"
    );
}

#[tokio::test]
async fn a_look_says_from_where_and_at_which_event() {
    let events = trail();
    let id = events[0].id().to_string();
    let proxy: SocketAddr = "10.0.0.1:443".parse().unwrap();
    let client =
        |head: &http::request::Parts| head.headers.get("x-client")?.to_str().ok()?.parse().ok();
    for (site, ip) in [
        (Site::with(&events).await, "10.0.0.1"),
        (
            Site::set(&events, |web| web.client_address(client)).await,
            "192.0.2.7",
        ),
    ] {
        for path in ["/events/", "/view/"] {
            let req = Request::get(format!("/admin/audit{path}{}", id.to_uppercase()))
                .header("x-who", "root")
                .header("x-client", "192.0.2.7")
                .extension(ConnectInfo(proxy));
            assert_eq!(
                site.call(req.body(Body::empty()).unwrap()).await.status,
                200
            );
        }
        for look in site.looks().await {
            assert_eq!(
                (look.target().kind(), look.target().id()),
                ("audit_log", id.as_str())
            );
            assert_eq!(look.ip_address(), Some(ip.parse().unwrap()));
            assert_eq!(look.peer_address(), Some(proxy.ip()));
        }
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_fills_no_table_with_a_search() {
    let site = Site::with(&[]).await;
    site.get("nobody", &format!("/events?q={}", "b".repeat(60_000)))
        .await;
    let looks = site.looks().await;
    let captured = serde_json::to_string(looks[0].captured().unwrap()).unwrap();
    assert!(captured.len() < 4_200, "{}", captured.len());
}

#[tokio::test]
async fn every_look_is_recorded_granted_or_refused() {
    let site = Site::with(&trail()).await;
    site.get("acme", "/events?q=actor:alice").await;
    site.get("acme", "/events?q=oops").await;
    site.get("outsider", "/top?field=actor").await;
    site.get("nobody", "/histogram").await;
    site.get("acme", "/openapi.json").await;
    let looks = site.looks().await;
    let said: Vec<_> = looks
        .iter()
        .map(|look| {
            (
                look.actor().id(),
                look.action(),
                look.outcome(),
                look.status().unwrap(),
                look.route().unwrap(),
            )
        })
        .collect();
    let view = "audit.log.view";
    assert_eq!(
        said,
        [
            ("acme", view, Outcome::Success, 200, "/admin/audit/events"),
            ("acme", view, Outcome::Failure, 400, "/admin/audit/events"),
            ("outsider", view, Outcome::Denied, 403, "/admin/audit/top"),
            (
                "anonymous",
                view,
                Outcome::Denied,
                401,
                "/admin/audit/histogram"
            ),
        ]
    );
    let captured = looks[0].captured().unwrap();
    assert_eq!(captured.get("search").unwrap(), "actor:alice");
    assert_eq!(
        (looks[0].tenant_id(), looks[0].path()),
        (Some("acme"), Some("/admin/audit/events"))
    );
    assert_eq!(looks[2].reason(), Some("forbidden"));
}
