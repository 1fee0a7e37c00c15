//! The rows that a table has when its history begins.

use serde_json::json;
use tower_audit_core::{
    PageSize,
    changes::{ChangeFilter, ChangeReader as _, Operation},
};
use tower_audit_history::{AsOf, HistoryError, Track};

use super::support::{Tracked, as_of, columns, jobs, name, now, row};

#[tokio::test]
async fn a_baseline_tells_what_every_row_was() {
    let db = Tracked::with(
        "CREATE TABLE jobs (id int, part text, name text, token text, PRIMARY KEY (part, id));
         INSERT INTO jobs SELECT n, 'p' || n % 3, 'name ' || n, 's3cr3t' FROM generate_series(1, 1234) AS n",
    )
    .await;
    db.track("jobs", Track::new().mask(["token"])).await;
    assert_eq!(db.history.baseline(&name("jobs")).await.unwrap(), 1_234);
    let rows: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT key) FROM control_plane.row_changes WHERE operation = 'baseline'",
    )
    .fetch_one(&db.database.pool)
    .await
    .unwrap();
    assert_eq!(rows, 1_234);
    let time = now(&db).await;
    db.run("TRUNCATE jobs").await;
    let key = columns(json!({"id": 7, "part": "p1"}));
    let found = db.history.as_of(&name("jobs"), &key, time).await.unwrap();
    assert_eq!(
        found,
        row(json!({"id": 7, "part": "p1", "name": "name 7", "token": {"tower_audit": "masked"}}))
    );
    assert!(!db.everything().await.contains("s3cr3t"));
    assert!(matches!(
        db.history.baseline(&name("x")).await,
        Err(HistoryError::NotTracked(_))
    ));
}

// A writer that holds a row while the baseline comes to it: what is recorded is what the writer left.
#[tokio::test]
async fn a_baseline_has_its_place_among_the_changes() {
    let db = jobs().await;
    db.run("INSERT INTO jobs SELECT n, 'a' FROM generate_series(1, 700) AS n")
        .await;
    let mut writer = db.database.pool.begin().await.unwrap();
    sqlx::raw_sql("UPDATE jobs SET name = 'b' WHERE id = 600")
        .execute(&mut *writer)
        .await
        .unwrap();
    let history = db.history.clone();
    let baseline = tokio::spawn(async move { history.baseline(&name("jobs")).await.unwrap() });
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%baseline%' AND query LIKE 'WITH%')";
    crate::support::soon(async {
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&db.database.pool)
            .await
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    writer.commit().await.unwrap();
    assert_eq!(crate::support::soon(baseline).await.unwrap(), 700);
    let filter = ChangeFilter::new().row(name("jobs"), json!({"id": 600}));
    let changes = db
        .history
        .changes(&filter, None, PageSize::MAX)
        .await
        .unwrap()
        .changes;
    assert_eq!(changes[0].operation, Operation::Baseline);
    assert_eq!(changes[0].new.as_ref().unwrap()["name"], "b");
    assert_eq!(changes[1].operation, Operation::Update);
}

#[tokio::test]
async fn a_key_that_more_than_one_row_may_have_is_refused() {
    for (create, is_refused) in [
        ("CREATE TABLE t (k int UNIQUE, v int)", true),
        ("CREATE TABLE t (k int NOT NULL, v int)", true),
        (
            "CREATE TABLE t (k int NOT NULL, v int NOT NULL, UNIQUE (k, v))",
            true,
        ),
        (
            "CREATE TABLE t (k int NOT NULL, v int); CREATE UNIQUE INDEX ON t (k) WHERE v > 0",
            true,
        ),
        ("CREATE TABLE t (k int NOT NULL UNIQUE, v int)", false),
    ] {
        let db = Tracked::with(create).await;
        db.track("t", Track::new().key(["k"])).await;
        db.run("INSERT INTO t VALUES (1, 1), (2, 2)").await;
        let done = db.history.baseline(&name("t")).await;
        match is_refused {
            true => assert!(
                matches!(done, Err(HistoryError::LooseKey(_))),
                "{create}: {done:?}"
            ),
            false => assert_eq!(done.unwrap(), 2),
        }
    }
}

#[tokio::test]
async fn the_rows_of_a_table_that_inherits_are_its_own() {
    let db = Tracked::with(
        "CREATE TABLE jobs (id int PRIMARY KEY, name text); CREATE TABLE child () INHERITS (jobs); \
         INSERT INTO jobs VALUES (1, 'p'); INSERT INTO child VALUES (3, 'c')",
    )
    .await;
    db.track("jobs", Track::new()).await;
    assert_eq!(db.history.baseline(&name("jobs")).await.unwrap(), 1);
    let time = now(&db).await;
    assert_eq!(as_of(&db, 3, time).await, AsOf::NoRow);
    db.run("INSERT INTO jobs VALUES (7, 'p'); INSERT INTO child VALUES (7, 'p')")
        .await;
    let change = db.changes().await.pop().unwrap();
    let revert = db.history.revert(change.id).await.unwrap();
    db.run(&revert.sql()).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM child")
        .fetch_one(&db.database.pool)
        .await
        .unwrap();
    assert_eq!(rows, 2);
}
