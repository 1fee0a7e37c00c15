//! The rows that a table has when its history begins.

use serde_json::json;
use tower_audit_core::{
    PageSize,
    changes::{ChangeFilter, ChangeReader as _, Operation},
};
use tower_audit_history::{HistoryError, Track};

use super::support::{Tracked, columns, jobs, name, now, row};

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
