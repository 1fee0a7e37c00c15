//! A new operator, from an empty database to partitions, with a service that writes all the while.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use chrono::Utc;
use tower_audit::{Actor, AuditEvent, EventWriter as _, PgStore, Target};

use super::{Operator, old};
use crate::support::{database::Postgres, soon};

#[tokio::test]
async fn a_new_operator_gets_from_an_empty_database_to_partitions_under_load() {
    let database = Postgres::fresh().await;
    let operator = Operator::of(&database.url);
    let nothing = operator.runs(&["doctor"]).await;
    assert_eq!(nothing.code, 3, "{nothing:?}");
    assert!(nothing.out.contains("tower-audit migrate"), "{nothing:?}");
    operator.does(&["migrate"]).await;
    operator.does(&["migrate", "--verify"]).await;
    operator.does(&["doctor"]).await;

    let lines = (0..60).map(|days| serde_json::to_string(&old(days, "alice")).unwrap() + "\n");
    std::fs::write(operator.path().join("old.jsonl"), lines.collect::<String>()).unwrap();
    let imported = operator.does(&["import", "old.jsonl"]).await;
    assert!(imported.out.contains("60 are new"), "{imported:?}");
    let found = operator
        .does(&[
            "search",
            "actor:alice",
            "--since",
            "10d",
            "-n",
            "100",
            "--json",
        ])
        .await;
    assert_eq!(found.objects().len(), 10);
    operator
        .does(&["export", "actor:alice", "--to", "all.jsonl.gz"])
        .await;
    let readable = operator
        .does(&["import", "--dry-run", "all.jsonl.gz"])
        .await;
    assert!(
        readable.out.contains("60 events could be read"),
        "{readable:?}"
    );
    std::fs::write(operator.path().join("policy.toml"), "default = \"45d\"").unwrap();
    let would = operator
        .does(&["prune", "--policy", "policy.toml", "--dry-run"])
        .await;
    assert!(would.out.contains("15 rows would go"), "{would:?}");

    converts_while_somebody_writes(&operator, &database).await;
    operator.does(&["doctor"]).await;
    operator.does(&["migrate", "--verify"]).await;
}

/// Nothing is lost or doubled.
async fn converts_while_somebody_writes(operator: &Operator, database: &Postgres) {
    let count = || sqlx::query_scalar("SELECT count(*) FROM control_plane.audit_logs");
    let before: i64 = count().fetch_one(&database.pool).await.unwrap();
    let (written, done) = (AtomicI64::new(0), AtomicBool::new(false));
    let store = PgStore::new(database.pool.clone());
    let write = async {
        while !done.load(Ordering::Relaxed) {
            let event = AuditEvent::builder(
                Actor::user("bob"),
                "project.update",
                Target::new("project", 1),
            );
            store
                .append(&[event.created_at(Utc::now()).build()])
                .await
                .unwrap();
            written.fetch_add(1, Ordering::Relaxed);
        }
    };
    let convert = async {
        while written.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
        operator
            .does(&["partitions", "convert", "--to", "monthly"])
            .await;
        let so_far = written.load(Ordering::Relaxed);
        while written.load(Ordering::Relaxed) < so_far + 20 {
            tokio::task::yield_now().await;
        }
        done.store(true, Ordering::Relaxed);
    };
    soon(async { tokio::join!(write, convert) }).await;
    let after: i64 = count().fetch_one(&database.pool).await.unwrap();
    assert_eq!(after, before + written.into_inner());
    let there = operator.does(&["partitions", "--json"]).await.objects();
    assert!(there.len() >= 3, "{there:?}");
}
