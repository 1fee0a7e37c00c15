//! Which rows an event changed, as its page and the API say it.

use std::{
    cmp::Reverse,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use tower_audit::{Actor, AuditEvent, PageSize, StoreError};
use tower_audit_core::changes::{
    ChangeCursor, ChangeFilter, ChangePage, ChangeReader, Columns, Operation, RowChange, TableName,
};
use uuid::Uuid;

use super::site::Site;
use crate::support::events::builder;

/// Changes in memory. It counts how often somebody asked for them.
#[derive(Clone, Default)]
struct Changes {
    changes: Vec<RowChange>,
    asked: Arc<AtomicUsize>,
}

impl ChangeReader for Changes {
    async fn changes(
        &self,
        filter: &ChangeFilter,
        older_than: Option<ChangeCursor>,
        size: PageSize,
    ) -> Result<ChangePage, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut found = self.changes.clone();
        found.retain(|change| {
            let tenant = change.tenant_id.as_deref();
            filter
                .event_id()
                .is_none_or(|id| change.event_id == Some(id))
                && filter.tenant_id().is_none_or(|id| tenant == Some(id))
                && older_than.is_none_or(|cursor| ChangeCursor::of(change) < cursor)
        });
        found.sort_by_key(|change| Reverse(ChangeCursor::of(change)));
        Ok(ChangePage::cut(found, usize::from(size.events())))
    }
}

/// Returns the site of these events and changes.
async fn site(events: &[AuditEvent], changes: Vec<RowChange>) -> Site {
    let changes = Changes {
        changes,
        ..Changes::default()
    };
    Site::set(events, |web| web.changes(changes)).await
}

/// Returns an event of acme.
fn of_acme(seconds: i64) -> AuditEvent {
    builder(seconds).tenant_id("acme").build()
}

/// Returns what this event did to row 7, so many milliseconds after it.
fn change(event: &AuditEvent, millis: u16, operation: Operation) -> RowChange {
    let at = event.created_at() + TimeDelta::milliseconds(millis.into());
    let table = TableName::new("public", "jobs");
    let id = Uuid::from_u128(millis.into());
    let mut change = RowChange::new(id, at, table, operation, Actor::user("alice"));
    change.key = columns(json!({"id": 7}));
    change.event_id = Some(event.id());
    change.tenant_id = event.tenant_id().map(str::to_owned);
    change.transaction_id = 9_007_199_254_740_993;
    change.database_user = "app".to_owned();
    change
}

/// Returns an update of these columns.
fn update(event: &AuditEvent, millis: u16, old: Value, new: Value) -> RowChange {
    let mut change = change(event, millis, Operation::Update);
    (change.old, change.new) = (columns(old), columns(new));
    change
}

fn columns(value: Value) -> Option<Columns> {
    match value {
        Value::Object(columns) => Some(columns),
        other => panic!("{other} has no columns"),
    }
}

fn path(event: &AuditEvent) -> String {
    format!("/events/{}/changes", event.id())
}

fn view(event: &AuditEvent) -> String {
    format!("/view/{}", event.id())
}

/// Returns the name that each change of a page gives to row 7.
fn names(page: &Value) -> Vec<&str> {
    let changes = page["changes"].as_array().unwrap().iter();
    changes
        .map(|change| change["fields"][0]["new"]["value"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn changes_of_an_event_are_answered_field_by_field() {
    let event = of_acme(1);
    let mut changed = update(
        &event,
        5,
        json!({"plan": "free", "seats": null}),
        json!({"plan": "pro", "seats": 9_007_199_254_740_993_u64}),
    );
    changed.old_key = columns(json!({"id": 6}));
    changed.request_id = Some("r-1".to_owned());
    changed.database_role = Some("writer".to_owned());
    let other = update(&of_acme(2), 6, json!({"plan": "a"}), json!({"plan": "b"}));
    let at = changed.at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let site = site(std::slice::from_ref(&event), vec![changed, other]).await;
    let page = site.get("acme", &path(&event)).await.json();
    let expected = json!({
        "changes": [{
            "id": "00000000-0000-0000-0000-000000000005", "at": at,
            "table": "public.jobs", "operation": "update",
            "key": {"id": {"value": 7}}, "old_key": {"id": {"value": 6}},
            "fields": [
                {"column": "plan", "old": {"value": "free"}, "new": {"value": "pro"}},
                {"column": "seats", "old": {"value": null}, "new": {"value": "9007199254740993"}},
            ],
            "actor_type": "user", "actor_id": "alice", "request_id": "r-1", "tenant_id": "acme",
            "database_user": "app", "database_role": "writer", "transaction_id": "9007199254740993",
        }],
        "older": null,
    });
    assert_eq!(page, expected);
}

#[tokio::test]
async fn an_event_of_another_tenant_is_not_there_and_its_changes_are_not_asked_for() {
    let event = of_acme(1);
    let changes = Changes {
        changes: vec![update(&event, 5, json!({"a": 1}), json!({"a": 2}))],
        ..Changes::default()
    };
    let asked = changes.asked.clone();
    let site = Site::set(std::slice::from_ref(&event), |web| web.changes(changes)).await;
    let absent = "/events/019a9e3c-7d2e-7c4b-8f00-0123456789ab/changes";
    let absent = site.get("other", absent).await;
    for path in [path(&event), "/events/x/changes".to_owned()] {
        let answer = site.get("other", &path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["type"], "urn:tower-audit:no-such-event");
        assert_eq!(
            (&answer.headers, &answer.body),
            (&absent.headers, &absent.body)
        );
    }
    assert_eq!(site.get("other", &view(&event)).await.status, 404);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn changes_of_another_tenant_are_not_shown() {
    let event = of_acme(1);
    let named = |millis, name: &str, tenant: Option<&str>| {
        let mut change = update(&event, millis, json!({"name": "x"}), json!({"name": name}));
        change.tenant_id = tenant.map(str::to_owned);
        change
    };
    let changes = vec![
        named(3, "of-acme", Some("acme")),
        named(2, "of-other", Some("other")),
        named(1, "of-nobody", None),
    ];
    let site = site(std::slice::from_ref(&event), changes).await;
    let own = site.get("acme", &path(&event)).await.json();
    assert_eq!(names(&own), ["of-acme"]);
    let page = site.get("acme", &view(&event)).await;
    assert!(page.text().contains("of-acme"));
    assert!(!page.text().contains("of-other") && !page.text().contains("of-nobody"));
    let all = site.get("root", &path(&event)).await.json();
    assert_eq!(names(&all), ["of-acme", "of-other", "of-nobody"]);
}

#[tokio::test]
async fn without_personal_data_the_columns_are_shown_and_their_values_are_not() {
    let event = of_acme(1);
    let hash = json!({"tower_audit": "hmac-sha256:k1:secret"});
    let mut changed = update(
        &event,
        5,
        json!({"email": "secret@example.com", "token": hash, "note": null}),
        json!({"email": {"of": ["secret"]}, "token": "secret", "note": 7}),
    );
    changed.key = columns(json!({"login": "secret"}));
    changed.old_key = columns(json!({"login": "secret too"}));
    changed.database_user = "secret_user".to_owned();
    changed.database_role = Some("secret_role".to_owned());
    let site = site(std::slice::from_ref(&event), vec![changed]).await;
    let answer = site.get("clerk", &path(&event)).await;
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    let page = answer.json();
    let shown = &page["changes"][0];
    let hidden = json!({"hidden": "personal"});
    let field = |column: &str| json!({"column": column, "old": hidden, "new": hidden});
    assert_eq!(
        shown["fields"],
        json!([field("email"), field("note"), field("token")])
    );
    assert_eq!(shown["key"], json!({"login": hidden}));
    assert!(shown.get("database_user").is_none() && shown.get("database_role").is_none());
    let page = site.get("clerk", &view(&event)).await;
    let page = page.text();
    assert!(!page.contains("secret"), "{page}");
    assert!(page.contains("email") && page.contains("hidden from you"));
    let seen = site.get("acme", &path(&event)).await;
    assert!(seen.text().contains("secret@example.com"));
}

#[tokio::test]
async fn values_that_are_masked_hashed_or_too_long_say_so() {
    let event = of_acme(1);
    let mut changed = change(&event, 5, Operation::Insert);
    changed.new = columns(json!({
        "a": {"tower_audit": "masked"},
        "b": {"tower_audit": "hmac-sha256:k1:0123456789abcdef"},
        "c": {"tower_audit": "sha256:fedcba", "bytes": 1_234_567},
        "d": {"tower_audit": "unknown"},
    }));
    let site = site(std::slice::from_ref(&event), vec![changed]).await;
    let page = site.get("acme", &path(&event)).await.json();
    assert_eq!(
        page["changes"][0]["fields"],
        json!([
            {"column": "a", "new": {"hidden": "masked"}},
            {"column": "b", "new": {"hidden": "hashed", "hash": "hmac-sha256:k1:0123456789abcdef"}},
            {"column": "c", "new": {"hidden": "too_long", "hash": "sha256:fedcba", "bytes": 1_234_567}},
            {"column": "d", "new": {"hidden": "unknown"}},
        ])
    );
    let page = site.get("acme", &view(&event)).await;
    for words in [
        "masked</em>",
        "masked (same as 01234567…)</em>",
        "too long: 1,234,567 bytes</em>",
        "unknown</em>",
    ] {
        assert!(page.text().contains(words), "{words} in {}", page.text());
    }
}

#[tokio::test]
async fn older_pages_follow_by_older_than() {
    let event = of_acme(1);
    let changes = (1..=3).map(|n| {
        let name = format!("name {n}");
        update(&event, n, json!({"name": "x"}), json!({"name": name}))
    });
    let site = site(std::slice::from_ref(&event), changes.collect()).await;
    let first = format!("{}?limit=2", path(&event));
    let first = site.get("acme", &first).await.json();
    assert_eq!(names(&first), ["name 3", "name 2"]);
    let older = first["older"].as_str().unwrap();
    let second = format!("{}?limit=2&older_than={older}", path(&event));
    let second = site.get("acme", &second).await.json();
    assert_eq!(
        (names(&second), &second["older"]),
        (vec!["name 1"], &Value::Null)
    );
}

#[tokio::test]
async fn a_position_that_is_none_is_answered_with_what_to_give() {
    let event = of_acme(1);
    let site = site(std::slice::from_ref(&event), Vec::new()).await;
    for wrong in ["x", "", "1_x", "99999999999999999999_0"] {
        let path = format!("{}?older_than={wrong}", path(&event));
        let answer = site.get("acme", &path).await;
        assert_eq!(answer.status, 400, "{wrong}");
        let problem = answer.json();
        assert_eq!(problem["parameter"], "older_than");
        assert_eq!(problem["hint"], "take it from the page before, as it is");
    }
}

#[tokio::test]
async fn without_a_reader_the_route_is_not_there() {
    let event = of_acme(1);
    let without = Site::with(std::slice::from_ref(&event)).await;
    let answer = without.get("acme", &path(&event)).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["type"], "urn:tower-audit:no-such-page");
    assert_eq!(without.get("acme", &view(&event)).await.status, 200);
    let with = site(std::slice::from_ref(&event), Vec::new()).await;
    for (site, is_there) in [(without, false), (with, true)] {
        let document = site.get("acme", "/openapi.json").await.json();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.contains_key("/events/{id}/changes"), is_there);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert_eq!(schemas.contains_key("ColumnValue"), is_there);
    }
}

#[tokio::test]
async fn the_page_of_an_event_shows_what_was_before_and_after_as_text() {
    let event = of_acme(1);
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut changed = update(
        &event,
        5,
        json!({"plan": "free", "seats": 1, "note": "x"}),
        json!({"plan": "pro", "seats": null, "note": script}),
    );
    changed.table = TableName::new("public", script);
    changed.key = columns(json!({script: script}));
    if let Some(old) = &mut changed.old {
        old.insert(script.to_owned(), json!("a column that is gone"));
    }
    let site = site(std::slice::from_ref(&event), vec![changed]).await;
    let answer = site.get("acme", &view(&event)).await;
    let page = answer.text();
    for text in [
        "<h2>Rows that it changed</h2>",
        "<span class=\"badge update\">update</span>",
        "+5.000 ms",
        "<del class=\"value\">free</del>",
        "<ins class=\"value\">pro</ins>",
        "<del class=\"value\">1</del>",
        "<ins class=\"value\">null</ins>",
        "&#60;script&#62;alert(1)",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("<script>") && !page.contains("<img") && !page.contains(" style="));
}

#[tokio::test]
async fn a_row_that_was_not_there_has_no_side() {
    let event = of_acme(1);
    let mut inserted = change(&event, 1, Operation::Insert);
    inserted.new = columns(json!({"plan": "begun"}));
    let mut deleted = change(&event, 2, Operation::Delete);
    deleted.old = columns(json!({"plan": "ended"}));
    let mut first = change(&event, 3, Operation::Baseline);
    first.new = columns(json!({"plan": "found"}));
    let site = site(std::slice::from_ref(&event), vec![inserted, deleted, first]).await;
    let answer = site.get("acme", &view(&event)).await;
    let page = answer.text();
    assert!(page.contains("<ins class=\"value\">begun</ins>"), "{page}");
    assert!(page.contains("<del class=\"value\">ended</del>"), "{page}");
    // Nobody changed it.
    assert!(
        page.contains("<span class=\"value\">found</span>"),
        "{page}"
    );
    assert_eq!(page.matches("<td></td>").count(), 3, "{page}");
}

#[tokio::test]
async fn a_long_value_scrolls_in_its_cell_and_many_changes_are_elsewhere() {
    let event = of_acme(1);
    let long = "long ".repeat(100);
    let changes = (0..51).map(|n| update(&event, n, json!({"a": "x"}), json!({"a": long})));
    let site = site(std::slice::from_ref(&event), changes.collect()).await;
    let answer = site.get("acme", &view(&event)).await;
    let page = answer.text();
    assert_eq!(page.matches("<section class=\"change\">").count(), 50);
    let scrolls = "<div class=\"long\" tabindex=\"0\" role=\"group\" aria-label=\"a after\">";
    assert_eq!(page.matches(scrolls).count(), 50);
    let begin = format!("/events/{}/changes?older_than=", event.id());
    let (_, url) = page.split_once(&begin).unwrap();
    let (position, _) = url.split_once('"').unwrap();
    let others = format!("{}?older_than={position}", path(&event));
    let others = site.get("acme", &others).await.json();
    assert_eq!(others["changes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_that_changed_nothing_has_no_section() {
    let (event, other) = (of_acme(1), of_acme(2));
    let changed = update(&other, 5, json!({"a": 1}), json!({"a": 2}));
    let site = site(&[event.clone(), other.clone()], vec![changed]).await;
    for (event, has_one) in [(event, false), (other, true)] {
        let page = site.get("acme", &view(&event)).await;
        assert_eq!(page.text().contains("Rows that it changed"), has_one);
    }
}

#[tokio::test]
async fn a_look_at_changes_is_a_look_at_their_event() {
    let event = of_acme(1);
    let site = site(std::slice::from_ref(&event), Vec::new()).await;
    assert_eq!(site.get("root", &path(&event)).await.status, 200);
    let looks = site.looks().await;
    let id = event.id().to_string();
    assert_eq!(looks[0].target().id(), id.as_str());
}
