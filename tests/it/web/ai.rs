//! Calls of models, as their pages and the API say them.

use chrono::{DateTime, Utc};
use serde_json::json;
use tower_audit_ai::{Cost, Currency, MemoryTrails, Trail, Trails, Usage};
use tower_audit_core::{Actor, AuditEvent};

use super::site::Site;
use crate::support::events::builder;

/// Returns a site with an event of acme, and calls of two projects, of which one hangs on the event.
async fn site() -> (Site, AuditEvent) {
    let event = builder(1).tenant_id("acme").build();
    let store = MemoryTrails::new();
    let trails = Trails::builder(store.clone()).keep_everything().start();
    for (message, project, model) in [("m/1 ?", "of acme/x", "large"), ("m2", "other", "small")] {
        let placeholder = Trail::placeholder(message, project, model).unwrap();
        let placeholder = placeholder
            .started_at(at("2026-11-20T10:00:00Z"))
            .context_layers(3)
            .actor(Actor::user("alice"))
            .event_id(event.id());
        trails.begin(placeholder);
        let amounts = ["0.0036", "0.004500000001"].map(|amount| amount.parse().unwrap());
        let cost = Cost::new(Currency::USD, amounts[0], amounts[1]).unwrap();
        let thought = vec!["<b>because</b> of Bob".to_owned(), "and so".to_owned()];
        trails.complete(
            &message.parse().unwrap(),
            Usage::new(1_200, 300),
            Some(cost),
            thought,
        );
    }
    trails.flush().await;
    let site = Site::set(std::slice::from_ref(&event), |web| web.ai(store)).await;
    (site, event)
}

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

const DAYS: &str = "from=2026-11-19&until=2026-11-21";

#[tokio::test]
async fn what_calls_add_up_to_is_told_to_the_last_decimal() {
    let (site, _) = site().await;
    let path = format!("/ai/projects/other/analytics?{DAYS}");
    let analytics = site.get("root", &path).await.json();
    assert_eq!(analytics["total"]["calls"], 1);
    assert_eq!(
        analytics["by_day"][0]["costs"][0],
        json!({"currency": "USD", "total": "0.008100000001", "claimed": "0.008100000001", "computed": "0", "average": "0.008100000001"})
    );
    assert_eq!(analytics["by_model"][0]["model"], "small");
    assert_eq!(analytics["by_model"][0]["total_tokens"], 1_500);
    assert_eq!(analytics["recent"][0]["message_id"], "m2");
}

#[tokio::test]
async fn the_page_of_a_project_draws_its_costs_and_leads_to_its_calls() {
    let (site, _) = site().await;
    let projects = site.get("root", "/view/ai").await;
    assert!(
        projects
            .text()
            .contains("/admin/audit/view/ai/projects/of%20acme%2Fx"),
        "{}",
        projects.text()
    );
    let page = site
        .get("root", &format!("/view/ai/projects/of%20acme%2Fx?{DAYS}"))
        .await;
    let page = page.text();
    for part in [
        "<title>2026-11-20: 0.008100000001 USD</title>",
        "<title>2026-11-19: 0 USD</title>",
        "/admin/audit/view/ai/calls/m%2F1%20%3F",
        "large",
        "1500",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn the_page_of_a_call_shows_what_it_thought_and_the_event_that_it_was_made_in() {
    let (site, event) = site().await;
    let page = site.get("root", "/view/ai/calls/m%2F1%20%3F").await;
    let text = page.text();
    assert!(
        text.contains("&#60;b&#62;because&#60;/b&#62; of Bob"),
        "{text}"
    );
    assert!(text.contains(&format!("/view/{}", event.id())), "{text}");
    assert!(
        text.contains("0.008100000001 USD: 0.0036 for the prompt"),
        "{text}"
    );
    let json = site.get("root", "/ai/trails/m%2F1%20%3F").await.json();
    assert_eq!(json["reasoning"][1], "and so");
    assert_eq!(json["event_id"], event.id().to_string());
    assert_eq!(
        (&json["actor_type"], &json["actor_id"]),
        (&json!("user"), &json!("alice"))
    );
}

#[tokio::test]
async fn the_page_of_an_event_leads_to_the_calls_that_it_made() {
    let (site, event) = site().await;
    let detail = format!("/view/{}", event.id());
    let all = site.get("root", &detail).await;
    let calls = ["/view/ai/calls/m%2F1%20%3F", "/view/ai/calls/m2"];
    assert_eq!(
        calls.map(|call| all.text().contains(call)),
        [true, true],
        "{}",
        all.text()
    );
    let own = site.get("clerk", &detail).await;
    assert_eq!(calls.map(|call| own.text().contains(call)), [true, false]);
    let none = site.get("acme", &detail).await;
    assert!(!none.text().contains("Calls of models that it made"));

    let json = format!("/ai/events/{}/trails", event.id());
    let found = site.get("clerk", &json).await.json();
    assert_eq!(found["trails"][0]["message_id"], "m/1 ?");
    assert_eq!(found["trails"].as_array().unwrap().len(), 1);
    let one = site.get("root", &format!("{json}?limit=1")).await.json();
    assert_eq!(one["has_more"], true);
}

#[tokio::test]
async fn who_sees_one_tenant_sees_the_projects_that_are_named_and_no_other() {
    let (site, _) = site().await;
    // The clerk of acme may see one of the projects, and nothing that is personal.
    let projects = site.get("clerk", "/ai/projects").await.json();
    assert_eq!(projects["projects"], json!(["of acme/x"]));
    let own = site.get("clerk", "/ai/trails/m%2F1%20%3F").await;
    assert!(!own.text().contains("because"), "{}", own.text());
    let page = site.get("clerk", "/view/ai/calls/m%2F1%20%3F").await;
    assert!(!page.text().contains("because"), "{}", page.text());
    for path in [
        "/ai/trails/m2",
        "/ai/projects/other/analytics",
        "/ai/projects/other/trails",
        "/view/ai/projects/other",
        "/view/ai/calls/m2",
    ] {
        for who in ["clerk", "acme"] {
            assert_eq!(site.get(who, path).await.status, 404, "{who} {path}");
        }
        assert_eq!(site.get("root", path).await.status, 200, "{path}");
        assert_eq!(site.get("outsider", path).await.status, 403, "{path}");
    }
    let none = site.get("acme", "/ai/projects").await.json();
    assert_eq!(none["projects"], json!([]));
    let missing = site.get("clerk", "/ai/trails/nothing").await;
    let foreign = site.get("clerk", "/ai/trails/m2").await;
    assert_eq!(missing.text(), foreign.text());
}

#[tokio::test]
async fn thirty_days_are_shown_until_today_or_until_tomorrow_where_it_has_begun() {
    let store = MemoryTrails::new();
    let trails = Trails::builder(store.clone()).keep_everything().start();
    let site = Site::set(&[], |web| web.ai(store)).await;
    let days = async || {
        let analytics = site.get("root", "/ai/projects/p/analytics").await.json();
        [&analytics["from"], &analytics["until"]].map(|day| {
            let day = day.as_str().unwrap().parse::<chrono::NaiveDate>();
            day.unwrap()
        })
    };
    let [from, until] = days().await;
    assert_eq!((until - from).num_days(), 29);
    assert!(until <= Utc::now().date_naive());

    let placeholder = Trail::placeholder("m", "p", "model").unwrap();
    let tomorrow = Utc::now() + chrono::TimeDelta::days(1);
    trails.begin(placeholder.started_at(tomorrow));
    trails.flush().await;
    assert_eq!(days().await[1], tomorrow.date_naive());
}

#[tokio::test]
async fn who_looked_at_calls_is_recorded() {
    let (site, _) = site().await;
    site.get("clerk", "/view/ai/projects/of%20acme%2Fx").await;
    let looks = site.looks().await;
    assert_eq!(looks[0].actor().id(), "clerk");
    assert_eq!(
        looks[0].path(),
        Some("/admin/audit/view/ai/projects/of%20acme%2Fx")
    );
}

#[tokio::test]
async fn calls_follow_each_other_page_by_page() {
    let store = MemoryTrails::new();
    let trails = Trails::builder(store.clone()).keep_everything().start();
    for number in 0..5 {
        let placeholder = Trail::placeholder(&format!("m{number}"), "p", "m").unwrap();
        trails.begin(placeholder.started_at(at("2026-11-20T10:00:00Z")));
    }
    trails.flush().await;
    let site = Site::set(&[], |web| web.ai(store)).await;
    let (mut seen, mut path) = (Vec::new(), "/ai/projects/p/trails?limit=2".to_owned());
    loop {
        let page = site.get("root", &path).await.json();
        let trails = page["trails"].as_array().unwrap().clone();
        seen.extend(
            trails
                .iter()
                .map(|trail| trail["message_id"].as_str().unwrap().to_owned()),
        );
        let Some(older) = page["older"].as_str() else {
            break;
        };
        path = format!("/ai/projects/p/trails?limit=2&older_than={older}");
    }
    assert_eq!(seen, ["m4", "m3", "m2", "m1", "m0"]);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_answered_with_what_to_write() {
    let (site, _) = site().await;
    for (path, parameter) in [
        ("/ai/projects/other/analytics?from=tomorrow", "from"),
        (
            "/ai/projects/other/analytics?from=2026-11-22&until=2026-11-21",
            "from",
        ),
        ("/ai/projects/other/trails?older_than=x", "older_than"),
        ("/ai/projects?limit=0", "limit"),
    ] {
        let answer = site.get("root", path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["parameter"], parameter, "{path}");
        assert!(answer.json()["hint"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn the_openapi_document_has_the_calls_where_there_are_some() {
    let (site, _) = site().await;
    let document = site.get("root", "/openapi.json").await.json();
    assert!(document["paths"]["/ai/trails/{message_id}"]["get"].is_object());
    assert!(document["components"]["schemas"]["AiTally"].is_object());
    let without = Site::with(&[]).await;
    let document = without.get("root", "/openapi.json").await.json();
    assert!(document["paths"]["/ai/trails/{message_id}"].is_null());
    assert_eq!(without.get("root", "/view/ai").await.status, 404);
    assert_eq!(without.get("root", "/ai/projects").await.status, 404);
}
