//! Partitions of the history: room for what comes, and an end for what is old.

use chrono::{DateTime, Months, Utc};
use sqlx::Executor as _;
use tower_audit_history::{Finding, Track};

use super::support::Tracked;
use crate::support::database::Postgres;

async fn jobs() -> Tracked {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY)").await;
    db.track("jobs", Track::new()).await;
    db
}

/// Drops the partitions of months, so that changes find none.
async fn without_partitions(db: &Tracked) {
    for partition in db.history.partitions().await.unwrap() {
        if partition.from.is_some() {
            db.run(&format!("DROP TABLE control_plane.{}", partition.name))
                .await;
        }
    }
}

#[tokio::test]
async fn there_is_a_partition_for_this_month_and_the_next_two() {
    let db = jobs().await;
    let partitions = db.history.partitions().await.unwrap();
    assert_eq!(partitions.len(), 4);
    let now = Utc::now();
    assert!(partitions[0].from.unwrap() <= now && now < partitions[0].until.unwrap());
    assert!(partitions[2].until.unwrap() > now + Months::new(2));
    assert_eq!(partitions[3].from, None);
    assert_eq!(db.history.create_partitions().await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_of_a_month_without_a_partition_is_kept_found_and_moved() {
    let db = jobs().await;
    without_partitions(&db).await;
    db.run("INSERT INTO jobs VALUES (1)").await;
    let found: Vec<_> = db
        .history
        .verify()
        .await
        .unwrap()
        .into_iter()
        .map(|(_, finding)| finding)
        .collect();
    assert_eq!(
        found,
        [Finding::ChangesWithoutPartition, Finding::NoPartitionAhead]
    );
    assert_eq!(db.history.create_partitions().await.unwrap(), 3);
    db.assert_well().await;
    assert_eq!(db.changes().await.len(), 1);
    // What was moved cannot be changed either.
    assert!(
        db.try_run("DELETE FROM control_plane.row_changes")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_is_old_goes_month_by_month() {
    let db = jobs().await;
    let old: DateTime<Utc> = "2024-02-10T00:00:00Z".parse().unwrap();
    let insert = "INSERT INTO control_plane.row_changes (at, operation, table_schema, table_name, actor_type, actor_id)
        SELECT $1, 'insert', 'public', 'jobs', 'system', 'system' FROM generate_series(1, 7)";
    for months in [0, 1] {
        sqlx::query(insert)
            .bind(old + Months::new(months))
            .execute(&db.database.pool)
            .await
            .unwrap();
    }
    db.run("INSERT INTO jobs VALUES (1)").await;
    assert_eq!(db.history.create_partitions().await.unwrap(), 2);
    let dropped = db
        .history
        .drop_before("2024-03-31T00:00:00Z".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(dropped.partitions, ["row_changes_202402"]);
    assert_eq!(db.changes().await.len(), 8);
    let dropped = db
        .history
        .drop_before(Utc::now() - Months::new(1))
        .await
        .unwrap();
    assert_eq!(dropped.partitions, ["row_changes_202403"]);
    assert_eq!(db.changes().await.len(), 1);
}

#[tokio::test]
async fn a_partition_that_somebody_reads_is_left_for_the_next_time() {
    let db = jobs().await;
    let insert = "INSERT INTO control_plane.row_changes (at, operation, table_schema, table_name, actor_type, actor_id)
        VALUES ('2024-02-10', 'insert', 'public', 'jobs', 'system', 'system')";
    db.run(insert).await;
    db.history.create_partitions().await.unwrap();
    let mut reader = db.session().await;
    reader
        .execute("BEGIN; SELECT * FROM control_plane.row_changes")
        .await
        .unwrap();
    let dropped = db
        .history
        .drop_before(Utc::now() - Months::new(1))
        .await
        .unwrap();
    assert_eq!(
        (dropped.partitions, dropped.left),
        (vec![], vec!["row_changes_202402".to_owned()])
    );
    reader.execute("COMMIT").await.unwrap();
    let dropped = db
        .history
        .drop_before(Utc::now() - Months::new(1))
        .await
        .unwrap();
    assert_eq!(dropped.partitions.len(), 1);
}

#[tokio::test]
async fn the_history_is_append_only_in_every_partition() {
    let db = jobs().await;
    db.run("INSERT INTO jobs VALUES (1)").await;
    let mut tables = vec!["row_changes".to_owned()];
    tables.extend(
        db.history
            .partitions()
            .await
            .unwrap()
            .into_iter()
            .map(|partition| partition.name),
    );
    for table in tables {
        let mut statements = vec![format!("TRUNCATE control_plane.{table}")];
        if table == "row_changes" || table.ends_with(&Utc::now().format("%Y%m").to_string()) {
            statements.push(format!("DELETE FROM control_plane.{table}"));
            statements.push(format!(
                "UPDATE control_plane.{table} SET actor_id = 'nobody'"
            ));
        }
        for sql in statements {
            let said = db.try_run(&sql).await.unwrap_err().to_string();
            assert!(said.contains("append-only"), "{sql}: {said}");
        }
    }
    assert_eq!(db.changes().await.len(), 1);
}

#[tokio::test]
async fn ids_are_of_version_seven_and_of_their_time() {
    let db = jobs().await;
    db.run("INSERT INTO jobs SELECT generate_series(1, 300)")
        .await;
    let changes = db.changes().await;
    for change in &changes {
        assert_eq!(change.id.get_version_num(), 7);
        let (seconds, _) = change.id.get_timestamp().unwrap().to_unix();
        assert!((i64::try_from(seconds).unwrap() - change.at.timestamp()).abs() <= 1);
        assert_eq!(
            db.history.change(change.id).await.unwrap().as_ref(),
            Some(change)
        );
    }
    assert_eq!(db.history.change(uuid::Uuid::now_v7()).await.unwrap(), None);
    assert_eq!(db.history.change(uuid::Uuid::nil()).await.unwrap(), None);
}

#[tokio::test]
async fn two_histories_in_one_database_do_not_get_in_each_others_way() {
    let database = Postgres::fresh().await;
    let of = |table: &str| {
        tower_audit_history::History::builder(database.pool.clone())
            .schema("audit")
            .table(table)
            .build()
            .unwrap()
    };
    let (first, second) = (of("first"), of("second"));
    database
        .pool
        .execute("CREATE TABLE jobs (id int PRIMARY KEY)")
        .await
        .unwrap();
    for history in [&first, &second] {
        history.migrate().await.unwrap();
        history
            .track(&super::support::name("jobs"), Track::new())
            .await
            .unwrap();
    }
    database
        .pool
        .execute("INSERT INTO jobs VALUES (1)")
        .await
        .unwrap();
    for history in [first, second] {
        let db = Tracked {
            database: Postgres::fresh().await,
            history,
        };
        assert_eq!(db.changes().await.len(), 1);
        db.assert_well().await;
    }
}
