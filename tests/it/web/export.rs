//! Exports: whole, in many forms, and only as fast as they are taken.

use std::{
    io::Read,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::Router;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tower_audit::{Actor, AuditEvent, Auditor, EventWriter, MemoryStore, Outcome, Target};
use tower_audit_web::{Access, AuditWeb};

use super::{readers::Endless, site::Site};
use crate::support::{
    events::{event, full},
    soon,
};

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn an_export_is_what_the_search_shows() {
    let events: Vec<AuditEvent> = (0..600).map(event).collect();
    let site = Site::with(&events).await;
    let search = "q=-target:8%20created:2026..";
    let view = site
        .get("root", &format!("/events?limit=1000&{search}"))
        .await
        .json();
    let export = site.get("root", &format!("/export?{search}")).await;
    assert_eq!(Value::from(lines(export.text())), view["events"]);
    assert_eq!(view["events"].as_array().unwrap().len(), 600);
    assert!(
        export
            .header("content-disposition")
            .starts_with("attachment; filename=\"audit-")
    );
}

#[tokio::test]
async fn an_export_may_be_compressed() {
    let events: Vec<AuditEvent> = (0..600).map(event).collect();
    let site = Site::with(&events).await;
    let plain = site.get("root", "/export").await;
    let gzip = site.get("root", "/export?compression=gzip").await;
    let zstd = site.get("root", "/export?compression=zstd").await;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&gzip.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain.text());
    assert_eq!(
        zstd::stream::decode_all(&zstd.body[..]).unwrap(),
        plain.body
    );
    assert_eq!(
        (gzip.header("content-type"), zstd.header("content-type")),
        ("application/gzip", "application/zstd")
    );
    assert!(gzip.body.len() * 5 < plain.body.len() && zstd.body.len() * 5 < plain.body.len());
}

#[tokio::test]
async fn csv_has_a_column_for_everything_and_no_formula() {
    let hostile = AuditEvent::builder(
        Actor::user("=cmd|' /C calc'!A0"),
        "@SUM(1)",
        Target::new("+1", "-2\",\r\n\"x"),
    );
    let site = Site::with(&[full(), hostile.build()]).await;
    let answer = site.get("root", "/export?format=csv").await;
    assert!(answer.header("content-type").starts_with("text/csv"));
    let mut reader = csv::Reader::from_reader(&answer.body[..]);
    let columns = reader.headers().unwrap().clone();
    let all = serde_json::to_value(full()).unwrap();
    for column in all.as_object().unwrap().keys() {
        assert!(columns.iter().any(|found| found == column), "{column}");
    }
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert!(
            row.iter()
                .all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])),
            "{row:?}"
        );
    }
    let cell = |row: usize, column: &str| {
        &rows[row][columns.iter().position(|found| found == column).unwrap()]
    };
    assert_eq!(cell(0, "actor_id"), "'=cmd|' /C calc'!A0");
    assert_eq!(cell(1, "target_id"), full().target().id());
    assert_eq!(
        serde_json::from_str::<Value>(cell(1, "metadata")).unwrap()["plan"],
        "pro"
    );
}

/// Returns the one event of an export.
async fn mapped(format: &str) -> Value {
    let site = Site::with(&[full()]).await;
    let answer = site.get("root", &format!("/export?format={format}")).await;
    lines(answer.text()).remove(0)
}

/// Makes sure of what stands where, by JSON pointer.
fn assert_has(value: &Value, expected: &[(&str, Value)]) {
    for (pointer, expected) in expected {
        assert_eq!(
            value.pointer(pointer),
            Some(expected),
            "{pointer} of {value}"
        );
    }
}

#[tokio::test]
async fn an_export_in_ocsf_is_an_api_activity() {
    let expected = [
        ("/class_uid", 6003.into()),
        ("/type_uid", 600_304.into()),
        ("/activity_name", "Delete".into()),
        ("/status", "Failure".into()),
        ("/time", 1_793_527_200_123_i64.into()),
        ("/actor/user/uid", "key-1".into()),
        ("/api/operation", "project.delete".into()),
        ("/src_endpoint/ip", "192.0.2.1".into()),
        ("/metadata/version", "1.3.0".into()),
        ("/http_request/url/path", "/projects/7".into()),
        ("/unmapped/metadata/none", Value::Null),
    ];
    assert_has(&mapped("ocsf").await, &expected);
}

#[tokio::test]
async fn an_export_in_ecs_has_the_fields_of_the_schema() {
    let expected = [
        ("/@timestamp", "2026-11-01T10:00:00.123456Z".into()),
        ("/event/outcome", "failure".into()),
        ("/event/action", "project.delete".into()),
        ("/event/duration", 1_500_000.into()),
        ("/service/version", "1.0.0".into()),
        ("/source/ip", "192.0.2.1".into()),
        ("/tower_audit/metadata/none", Value::Null),
    ];
    assert_has(&mapped("ecs").await, &expected);
}

#[tokio::test]
async fn an_export_in_cloudevents_carries_the_whole_event() {
    let expected = [
        ("/specversion", "1.0".into()),
        ("/id", full().id().to_string().into()),
        ("/type", "tower-audit.project.delete".into()),
        ("/source", "urn:tower-audit:shop@1.0.0".into()),
        ("/data/actor_id", "key-1".into()),
        ("/data/metadata/none", Value::Null),
    ];
    assert_has(&mapped("cloudevents").await, &expected);
}

#[tokio::test]
async fn an_export_is_recorded_before_it_begins_and_when_it_ends() {
    let events: Vec<AuditEvent> = (0..600).map(event).collect();
    let site = Site::with(&events).await;
    let mut body = site
        .open("root", "/export?format=csv&q=actor:alice", &[])
        .await;
    let pending = &site.looks().await[0];
    assert_eq!(
        (pending.action(), pending.outcome(), pending.actor().id()),
        ("audit.export.create", Outcome::Pending, "root")
    );
    while soon(body.frame()).await.is_some() {}
    drop(body);
    let looks = site.looks().await;
    assert_eq!((looks.len(), looks[0].outcome()), (1, Outcome::Success));
    let said = looks[0].metadata();
    assert_eq!(said.get("rows").unwrap(), 600);
    assert_eq!(said.get("format").unwrap(), "csv");
    let captured = looks[0].captured().unwrap();
    assert_eq!(captured.get("search").unwrap(), "actor:alice");
}

#[tokio::test]
async fn an_export_does_not_hold_the_row_about_itself() {
    let store = MemoryStore::new();
    store.append(&[event(1)]).await.unwrap();
    let auditor = Auditor::new(store.clone());
    let all = |_: &http::request::Parts| Ok(Access::all_tenants(Actor::system()).with_export());
    let app = AuditWeb::new(store.clone(), all, &auditor).router();
    let body = get(&app, "/export").await.into_body();
    let body = soon(body.collect()).await.unwrap().to_bytes();
    let found = lines(std::str::from_utf8(&body).unwrap());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["action"], "project.update");
    auditor.flush().await;
    let about: Vec<_> = store
        .events()
        .into_iter()
        .filter(|event| event.action() == "audit.export.create")
        .collect();
    assert_eq!(about[0].metadata().get("rows").unwrap(), 1);
}

#[tokio::test]
async fn the_head_of_an_export_is_no_export() {
    let site = Site::with(&[event(1)]).await;
    let req = http::Request::head("/admin/audit/export").header("x-who", "root");
    let answer = site
        .call(req.body(axum::body::Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-disposition")
            .starts_with("attachment")
    );
    assert!(site.looks().await.is_empty());
}

#[tokio::test]
async fn an_export_whose_client_leaves_is_recorded_as_aborted() {
    let events: Vec<AuditEvent> = (0..600).map(event).collect();
    let site = Site::with(&events).await;
    let mut body = site.open("root", "/export", &[]).await;
    soon(body.frame()).await.unwrap().unwrap();
    drop(body);
    let looks = site.looks().await;
    assert_eq!(
        (looks[0].outcome(), looks[0].metadata().get("rows").unwrap()),
        (Outcome::Aborted, &250.into())
    );
}

fn export_of(
    endless: Endless,
    set: impl FnOnce(AuditWeb) -> AuditWeb,
) -> (Router, MemoryStore, Auditor) {
    let looks = MemoryStore::new();
    let auditor = Auditor::new(looks.clone());
    let all = |_: &http::request::Parts| Ok(Access::all_tenants(Actor::system()).with_export());
    let web = AuditWeb::new(endless, all, &auditor);
    (set(web).router(), looks, auditor)
}

async fn get(app: &Router, path: &str) -> http::Response<axum::body::Body> {
    let req = http::Request::get(path)
        .body(axum::body::Body::empty())
        .unwrap();
    soon(app.clone().oneshot(req)).await.unwrap()
}

#[tokio::test]
async fn an_export_reads_only_what_its_client_takes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (app, _, _) = export_of(
        Endless {
            asked: asked.clone(),
            fails_after: usize::MAX,
        },
        |web| web.max_exports(1),
    );
    let mut body = get(&app, "/export").await.into_body();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    for taken in 1..=20 {
        soon(body.frame()).await.unwrap().unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), taken);
    }
    drop(body);
    assert_eq!(asked.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn one_export_too_many_is_told_to_come_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (app, _, _) = export_of(
        Endless {
            asked,
            fails_after: usize::MAX,
        },
        |web| web.max_exports(1),
    );
    let first = get(&app, "/export").await;
    let second = get(&app, "/export").await;
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (200, 503)
    );
    assert!(second.headers().contains_key("retry-after"));
    drop(first);
    assert_eq!(get(&app, "/export").await.status(), 200);
}

#[tokio::test]
async fn an_export_whose_client_stalls_gives_its_place_to_the_next() {
    let asked = Arc::new(AtomicUsize::new(0));
    let endless = Endless {
        asked,
        fails_after: usize::MAX,
    };
    let set = |web: AuditWeb| web.max_exports(1).stalled_after(Duration::ZERO);
    let (app, looks, auditor) = export_of(endless, set);
    let mut first = get(&app, "/export").await.into_body();
    soon(first.frame()).await.unwrap().unwrap();
    let mut second = get(&app, "/export").await.into_body();
    soon(second.frame()).await.unwrap().unwrap();
    assert!(soon(first.frame()).await.unwrap().is_err());
    drop(first);
    soon(second.frame()).await.unwrap().unwrap();
    auditor.flush().await;
    let mut outcomes: Vec<Outcome> = looks.events().iter().map(AuditEvent::outcome).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, [Outcome::Failure, Outcome::Pending]);
}

#[tokio::test]
async fn half_an_export_does_not_look_like_a_whole_one() {
    for compression in ["none", "gzip", "zstd"] {
        let asked = Arc::new(AtomicUsize::new(0));
        let (app, looks, auditor) = export_of(
            Endless {
                asked,
                fails_after: 3,
            },
            |web| web.max_exports(1),
        );
        let body = get(&app, &format!("/export?compression={compression}"))
            .await
            .into_body();
        assert!(soon(body.collect()).await.is_err(), "{compression}");
        auditor.flush().await;
        assert_eq!(looks.events()[0].outcome(), Outcome::Failure);
    }
}

#[tokio::test]
async fn an_export_that_cannot_be_recorded_is_not_made() {
    let store = MemoryStore::new();
    store.append(&[event(1)]).await.unwrap();
    let auditor = Auditor::new(MemoryStore::new());
    let all = |_: &http::request::Parts| Ok(Access::all_tenants(Actor::system()).with_export());
    let app = AuditWeb::new(store, all, &auditor).router();
    auditor.shutdown(Duration::from_secs(5)).await;
    let answer = get(&app, "/export").await;
    assert_eq!(answer.status(), 503);
    let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["type"],
        "urn:tower-audit:not-recorded"
    );
}
