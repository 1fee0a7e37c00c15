//! Changes that are found again.

use serde_json::{Value, json};
use tower_audit::{Actor, changes::ChangeContext};
use tower_audit_core::{
    EventId, PageSize,
    changes::{ChangeFilter, ChangeReader as _},
};
use tower_audit_history::{AuditedTransaction, Track};

use super::support::{Tracked, jobs, name, now};

#[tokio::test]
async fn changes_are_found_by_row_request_event_actor_tenant_and_time() {
    let db = jobs().await;
    let event = EventId::now();
    let context = ChangeContext::new(Actor::user("alice"))
        .request_id("r-1")
        .event_id(event)
        .tenant_id("acme");
    let mut tx = AuditedTransaction::begin(&db.database.pool, context)
        .await
        .unwrap();
    sqlx::raw_sql("INSERT INTO jobs VALUES (1), (2); UPDATE jobs SET id = 3 WHERE id = 2")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let between = now(&db).await;
    db.run("UPDATE jobs SET name = 'b' WHERE id = 1").await;
    let all = ChangeFilter::new;
    let cases = [
        (all().row(name("jobs"), json!({"id": 1})), 2),
        // By the key that it had, and by the one that it got.
        (all().row(name("jobs"), json!({"id": 2})), 2),
        (all().row(name("jobs"), json!({"id": 3})), 1),
        (all().row(name("other"), json!({"id": 1})), 0),
        (all().event(event), 3),
        (all().request("r-1"), 3),
        (all().actor("alice"), 3),
        (all().actor("system"), 1),
        (all().tenant("acme"), 3),
        (all().since(between), 1),
        (all().until(between), 3),
        (all().table(name("jobs")), 4),
    ];
    for (filter, expected) in cases {
        let page = db
            .history
            .changes(&filter, None, PageSize::MAX)
            .await
            .unwrap();
        assert_eq!(page.changes.len(), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let db = jobs().await;
    db.run("INSERT INTO jobs SELECT generate_series(1, 25)")
        .await;
    let (mut older, mut keys) = (None, Vec::new());
    loop {
        let filter = ChangeFilter::new().table(name("jobs"));
        let page = db
            .history
            .changes(&filter, older, PageSize::new(10).unwrap())
            .await
            .unwrap();
        keys.extend(
            page.changes
                .iter()
                .map(|change| change.key.clone().unwrap()["id"].as_i64().unwrap()),
        );
        older = page.older;
        if older.is_none() {
            break;
        }
    }
    assert_eq!(keys, (1..=25).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn questions_about_a_row_a_request_and_an_actor_are_answered_by_an_index() {
    let db = jobs().await;
    let cases = [
        "hashtextextended(table_name, jsonb_hash_extended(key, 0)) = hashtextextended('jobs', jsonb_hash_extended('{\"id\": 1}'::jsonb, 0)) AND key = '{\"id\": 1}'",
        "audit_id = '7f3c0000-0000-7000-8000-000000000000'",
        "actor_id = 'alice'",
    ];
    for condition in cases {
        let explain = format!(
            "EXPLAIN SELECT * FROM control_plane.row_changes WHERE {condition} ORDER BY at DESC, id DESC LIMIT 50"
        );
        let mut connection = db.session().await;
        sqlx::raw_sql("SET enable_seqscan = off")
            .execute(&mut connection)
            .await
            .unwrap();
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(
            plan.contains("Index") && !plan.contains("Seq Scan"),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn one_value_that_no_reader_takes_hides_no_other() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, name text, doc jsonb)").await;
    db.track("t", Track::new()).await;
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    for (id, doc) in [
        (1, "1e400"),
        (2, deep.as_str()),
        (3, "{\"n\": 12345678901234567890.123456789}"),
    ] {
        db.run(&format!("INSERT INTO t VALUES ({id}, 'a', '{doc}')"))
            .await;
    }
    let changes = db.changes().await;
    let docs: Vec<&Value> = changes
        .iter()
        .map(|change| &change.new.as_ref().unwrap()["doc"])
        .collect();
    assert!(
        docs[0].as_str().unwrap().starts_with("1000000"),
        "{}",
        docs[0]
    );
    assert_eq!(docs[1], &json!(deep));
    // Not a digit is lost.
    assert_eq!(docs[2], "{\"n\": 12345678901234567890.123456789}");
    assert_eq!(changes[0].new.as_ref().unwrap()["name"], "a");
    for change in &changes {
        db.history.revert(change.id).await.unwrap();
    }
}
