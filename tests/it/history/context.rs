//! On whose behalf rows are changed.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::post};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor as _, PgPool, postgres::PgPoolOptions};
use tower_audit::{
    Actor, AuditContext, AuditLayer, Auditor, MemoryStore, changes::ChangeContext, identify,
};
use tower_audit_core::{ActorKind, EventId};
use tower_audit_history::{AuditedTransaction, Begin as _, Track, Triggers, WithoutContext};

use super::support::Tracked;
use crate::support::{server::Server, soon};

async fn jobs(track: Track) -> Tracked {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, note text)").await;
    db.track("jobs", track).await;
    db
}

async fn begin(pool: &PgPool, context: ChangeContext) -> AuditedTransaction {
    AuditedTransaction::begin(pool, context).await.unwrap()
}

#[tokio::test]
async fn a_change_says_on_whose_behalf_it_was_made() {
    let db = jobs(Track::new()).await;
    let event = EventId::now();
    let context = ChangeContext::new(Actor::api_key("k'\\-1\u{0}é"))
        .request_id("r-1")
        .event_id(event)
        .tenant_id("acme");
    let mut tx = begin(&db.database.pool, context).await;
    tx.execute("INSERT INTO jobs VALUES (1)").await.unwrap();
    tx.commit().await.unwrap();
    let change = &db.changes().await[0];
    assert_eq!(
        (change.actor.kind(), change.actor.id()),
        (ActorKind::ApiKey, "k'\\-1\u{FFFD}é")
    );
    assert_eq!(change.request_id.as_deref(), Some("r-1"));
    assert_eq!(
        (change.event_id, change.tenant_id.as_deref()),
        (Some(event), Some("acme"))
    );
    assert_eq!(
        (change.database_user.as_str(), &change.database_role),
        ("tower_audit", &None)
    );
}

#[tokio::test]
async fn a_change_past_the_app_is_the_systems_with_the_database_user_and_role() {
    let db = jobs(Track::new()).await;
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    db.run(&format!("CREATE ROLE {role}; GRANT ALL ON jobs TO {role}; SET ROLE {role}; INSERT INTO jobs VALUES (1); RESET ROLE")).await;
    let change = db.changes().await.remove(0);
    db.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    assert_eq!(
        (change.actor.kind(), change.actor.id()),
        (ActorKind::System, "system")
    );
    assert_eq!(
        (change.event_id, change.tenant_id, change.request_id),
        (None, None, None)
    );
    assert_eq!(
        (change.database_user.as_str(), change.database_role),
        ("tower_audit", Some(role))
    );
}

#[tokio::test]
async fn a_context_that_claims_nonsense_hides_no_change() {
    let db = jobs(Track::new()).await;
    db.run(r#"SET tower_audit.context = '{"actor_type": "weird", "actor_id": "x"}'; INSERT INTO jobs VALUES (1); RESET tower_audit.context"#).await;
    assert_eq!(db.changes().await[0].actor.kind(), ActorKind::Anonymous);
}

#[tokio::test]
async fn the_context_ends_with_its_transaction() {
    let db = jobs(Track::new()).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(&db.database.url)
        .await
        .unwrap();
    for end in ["commit", "rollback", "drop"] {
        let mut tx = begin(&pool, ChangeContext::new(Actor::user("alice"))).await;
        tx.execute("SELECT 1").await.unwrap();
        match end {
            "commit" => tx.commit().await.unwrap(),
            "rollback" => tx.rollback().await.unwrap(),
            _ => drop(tx),
        }
        pool.execute(AssertSqlSafe(format!(
            "INSERT INTO jobs (SELECT count(*), '{end}' FROM jobs)"
        )))
        .await
        .unwrap();
    }
    let actors: Vec<_> = db
        .changes()
        .await
        .into_iter()
        .map(|change| change.actor.id().to_owned())
        .collect();
    assert_eq!(actors, ["system"; 3]);
}

#[tokio::test]
async fn what_the_session_had_set_is_not_of_the_transaction() {
    let db = jobs(Track::new()).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(&db.database.url)
        .await
        .unwrap();
    pool.execute(r#"SET tower_audit.context = '{"tenant_id": "other", "request_id": "other"}'"#)
        .await
        .unwrap();
    let mut tx = begin(&pool, ChangeContext::new(Actor::user("alice"))).await;
    tx.execute("INSERT INTO jobs VALUES (1)").await.unwrap();
    tx.commit().await.unwrap();
    let change = db.changes().await.remove(0);
    assert_eq!((change.tenant_id, change.request_id), (None, None));
}

#[tokio::test]
async fn a_table_that_requires_a_context_refuses_a_change_without_one() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = jobs(
            Track::new()
                .without_context(WithoutContext::Require)
                .triggers(triggers),
        )
        .await;
        for sql in ["INSERT INTO jobs VALUES (1)", "TRUNCATE jobs"] {
            let refused = db.try_run(sql).await.unwrap_err();
            let refused = refused.into_database_error().unwrap();
            assert_eq!(
                refused.message(),
                "public.jobs was changed without a context"
            );
            assert_eq!(refused.code().as_deref(), Some("42501"));
        }
        // What changes nothing needs none.
        db.run("DELETE FROM jobs").await;
        let mut tx = begin(&db.database.pool, ChangeContext::new(Actor::user("alice"))).await;
        tx.execute("INSERT INTO jobs VALUES (1); UPDATE jobs SET note = 'a'")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(db.changes().await.len(), 2);
    }
}

#[tokio::test]
async fn a_table_that_warns_takes_a_change_without_a_context() {
    let db = jobs(Track::new().without_context(WithoutContext::Warn)).await;
    db.run("INSERT INTO jobs VALUES (1)").await;
    assert_eq!(db.changes().await[0].actor.id(), "system");
}

#[tokio::test]
async fn in_a_handler_the_context_is_that_of_the_request() {
    let db = jobs(Track::new().without_context(WithoutContext::Require)).await;
    let auditor = Auditor::new(MemoryStore::new());
    #[derive(Clone)]
    struct User(&'static str);
    async fn create(State((auditor, pool)): State<(Auditor, PgPool)>, audit: AuditContext) {
        audit.tenant("acme");
        let mut tx = auditor.begin(&pool, &audit).await.unwrap();
        tx.execute("INSERT INTO jobs VALUES (1)").await.unwrap();
        tx.commit().await.unwrap();
    }
    let app = Router::new()
        .route("/jobs", post(create))
        .with_state((auditor.clone(), db.database.pool.clone()))
        .layer(identify::<User>(|user| Actor::user(user.0)))
        .layer(axum::Extension(User("alice")))
        .layer(AuditLayer::new(auditor.clone()));
    let server = Server::start(app).await;
    let answer = server
        .client()
        .await
        .call("POST", "/jobs", &["x-request-id: r-9"], "")
        .await;
    assert_eq!(answer.status, 200);
    auditor.flush().await;
    let event = auditor.store::<MemoryStore>().unwrap().events().remove(0);
    let change = db.changes().await.remove(0);
    assert_eq!(change.event_id, Some(event.id()));
    assert_eq!(
        (change.actor.id(), change.request_id.as_deref()),
        ("alice", Some("r-9"))
    );
    assert_eq!(change.tenant_id.as_deref(), Some("acme"));
}

// A thousand transactions over four connections, some of which are rolled back, dropped or cancelled in the middle of a statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_credited_to_the_actor_of_another_request() {
    let db = jobs(Track::new()).await;
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .connect(&db.database.url)
        .await
        .unwrap();
    let committed = Arc::new(std::sync::Mutex::new(Vec::new()));
    let work = (0..1_000_i32).map(|number| {
        let (pool, committed) = (pool.clone(), Arc::clone(&committed));
        tokio::spawn(async move {
            if one(&pool, number).await {
                committed.lock().unwrap().push(number);
            }
        })
    });
    let work: Vec<_> = work.collect();
    for task in work {
        soon(task).await.unwrap();
    }
    let mut committed = std::mem::take(&mut *committed.lock().unwrap());
    committed.sort_unstable();
    let rows: Vec<(serde_json::Value, String, String)> = sqlx::query_as(
        "SELECT key, actor_id, coalesce(request_id, '-') FROM control_plane.row_changes WHERE operation = 'insert' ORDER BY (key->>'id')::int",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let expected: Vec<_> = committed
        .iter()
        .map(|number| match number % 5 {
            4 => (json!({"id": number}), "system".to_owned(), "-".to_owned()),
            _ => (
                json!({"id": number}),
                format!("user-{number}"),
                format!("request-{number}"),
            ),
        })
        .collect();
    assert_eq!(rows, expected);
    assert!(rows.len() >= 500, "{}", rows.len());
}

/// Inserts a row on behalf of a user of this number; returns whether it was committed.
async fn one(pool: &PgPool, number: i32) -> bool {
    let insert = AssertSqlSafe(format!("INSERT INTO jobs VALUES ({number})"));
    if number % 5 == 4 {
        // Whoever comes after somebody else on the same connection.
        pool.execute(insert).await.unwrap();
        return true;
    }
    let context = ChangeContext::new(Actor::user(format!("user-{number}")))
        .request_id(format!("request-{number}"));
    let mut tx = begin(pool, context).await;
    tx.execute(insert).await.unwrap();
    match number % 5 {
        1 => {
            tx.rollback().await.unwrap();
            false
        }
        2 => {
            drop(tx);
            false
        }
        3 if number % 2 == 0 => {
            // Cancelled in the middle of a statement.
            let sleep = tx.execute("SELECT pg_sleep(0.02)");
            let _ = tokio::time::timeout(Duration::from_millis(1), sleep).await;
            false
        }
        _ => {
            tx.commit().await.unwrap();
            true
        }
    }
}
