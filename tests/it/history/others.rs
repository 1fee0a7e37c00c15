//! Tables that take the place of others, and what others make on a table.

use serde_json::json;
use tower_audit_history::{AsOf, Finding, HistoryError, Track, Triggers, WithoutContext};

use super::support::{Tracked, columns, name, now};
use crate::support::soon;

/// Two tables, of which each has what the other one hides.
async fn two() -> Tracked {
    let db = Tracked::with(
        "CREATE TABLE x (id int PRIMARY KEY, a text, s text); CREATE TABLE y (LIKE x INCLUDING ALL);
         INSERT INTO x VALUES (1, 'v1', 's3cr3t'); INSERT INTO y VALUES (1, 'v2', 'plain'), (7, 's3cr3t', 'plain')",
    )
    .await;
    db.track("x", Track::new().mask(["s"])).await;
    db.track("y", Track::new().mask(["a"])).await;
    db
}

#[tokio::test]
async fn a_table_that_has_the_name_of_another_is_not_taken_for_it() {
    let db = two().await;
    db.run("UPDATE x SET a = 'v2' WHERE id = 1").await;
    let change = db.changes().await.remove(0);
    db.run(
        "ALTER TABLE x RENAME TO was_x; ALTER TABLE y RENAME TO x; ALTER TABLE was_x RENAME TO y",
    )
    .await;
    let key = columns(json!({"id": 7}));
    let refused = [
        db.history.baseline(&name("x")).await.map(drop),
        db.history
            .as_of(&name("x"), &key, now(&db).await)
            .await
            .map(drop),
        db.history.revert(change.id).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(
            refused.unwrap_err().to_string(),
            "public.y was called public.x when it was tracked: track it under its new name first, or untrack public.x"
        );
    }
    assert!(!db.everything().await.contains("s3cr3t"));
}

#[tokio::test]
async fn a_table_in_the_place_of_one_that_was_dropped_is_not_taken_for_it() {
    let db = two().await;
    db.run("DROP TABLE x; ALTER TABLE y RENAME TO x").await;
    let key = columns(json!({"id": 7}));
    let refused = [
        db.history.baseline(&name("x")).await.map(drop),
        db.history
            .as_of(&name("x"), &key, now(&db).await)
            .await
            .map(drop),
    ];
    for refused in refused {
        assert!(
            matches!(&refused, Err(HistoryError::NotCovered(table)) if *table == name("x")),
            "{refused:?}"
        );
    }
    assert!(!db.everything().await.contains("s3cr3t"));
    // Tracked again it is the one that it was.
    db.track("x", Track::new().mask(["a"])).await;
    db.assert_well().await;
    db.history.baseline(&name("x")).await.unwrap();
    assert!(!db.everything().await.contains("s3cr3t"));
}

#[tokio::test]
async fn a_partition_that_was_detached_leaves_its_table_tracked() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with(
            "CREATE TABLE t (id int PRIMARY KEY, secret text) PARTITION BY RANGE (id); \
             CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
        )
        .await;
        let track = Track::new().mask(["secret"]).triggers(triggers);
        db.track("t", track.clone().without_context(WithoutContext::Require))
            .await;
        db.run("ALTER TABLE t DETACH PARTITION t_1").await;
        db.track("t_1", track).await;
        let refused = db.try_run("INSERT INTO t VALUES (11, 's3cr3t')").await;
        assert!(refused.unwrap_err().to_string().contains("context"));
        db.run("INSERT INTO t_1 VALUES (1, 's3cr3t')").await;
        let told = db.changes().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].table, name("t_1"));
        db.assert_well().await;
    }
}

#[tokio::test]
async fn a_trigger_with_the_function_of_another_table_makes_no_table_the_other() {
    let db = two().await;
    db.run(
        "DO $$DECLARE f text; BEGIN SELECT tgfoid::regproc INTO f FROM pg_trigger WHERE tgrelid = 'x'::regclass LIMIT 1; \
         EXECUTE format('CREATE TRIGGER zz AFTER INSERT ON y FOR EACH ROW EXECUTE FUNCTION %s()', f); END$$",
    )
    .await;
    let found = db.history.verify().await.unwrap();
    let extra = Finding::ExtraTrigger {
        on: name("y"),
        trigger: "zz".to_owned(),
    };
    assert!(found.contains(&(Some(name("y")), extra)), "{found:?}");
    db.track("y", Track::new().mask(["a"])).await;
    db.assert_well().await;
    db.run("INSERT INTO x VALUES (2, 'a', 's3cr3t'); INSERT INTO y VALUES (2, 's3cr3t', 'plain')")
        .await;
    let tables: Vec<_> = db
        .changes()
        .await
        .into_iter()
        .map(|change| change.table)
        .collect();
    assert_eq!(tables, [name("x"), name("y")]);
}

#[tokio::test]
async fn a_trigger_that_records_twice_is_found_and_dropped() {
    let db = two().await;
    db.run(
        "DO $$DECLARE f text; BEGIN SELECT tgfoid::regproc INTO f FROM pg_trigger WHERE tgrelid = 'x'::regclass LIMIT 1; \
         EXECUTE format('CREATE TRIGGER again AFTER INSERT ON x FOR EACH ROW EXECUTE FUNCTION %s()', f); END$$",
    )
    .await;
    let found = db.history.verify().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].1.to_string(),
        "public.x has a trigger again too many, which records its changes again or for another table: track the table again"
    );
    db.track("x", Track::new().mask(["s"])).await;
    db.assert_well().await;
    db.run("INSERT INTO x VALUES (2, 'a', 's3cr3t')").await;
    assert_eq!(db.changes().await.len(), 1);
}

#[tokio::test]
async fn what_is_masked_while_a_baseline_waits_is_masked_in_it() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, secret text); INSERT INTO t VALUES (1, 's3cr3t'), (2, 's3cr3t')").await;
    db.track("t", Track::new()).await;
    let mut writer = db.database.pool.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM t WHERE id = 1 FOR UPDATE")
        .execute(&mut *writer)
        .await
        .unwrap();
    let baseline = start_baseline(&db).await;
    db.track("t", Track::new().mask(["secret"])).await;
    writer.commit().await.unwrap();
    assert_eq!(soon(baseline).await.unwrap(), 2);
    assert!(!db.everything().await.contains("s3cr3t"));
}

#[tokio::test]
async fn who_truncates_what_a_baseline_waits_for_is_not_the_one_that_fails() {
    let db =
        Tracked::with("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await;
    db.track("t", Track::new()).await;
    let mut writer = db.database.pool.begin().await.unwrap();
    sqlx::raw_sql("UPDATE t SET id = 3 WHERE id = 1")
        .execute(&mut *writer)
        .await
        .unwrap();
    let baseline = start_baseline(&db).await;
    soon(sqlx::raw_sql("TRUNCATE t").execute(&mut *writer))
        .await
        .unwrap();
    writer.commit().await.unwrap();
    assert_eq!(soon(baseline).await.unwrap(), 0);
}

/// Starts a baseline; returns when it has waited for a row in vain, and waits for it again.
async fn start_baseline(db: &Tracked) -> tokio::task::JoinHandle<u64> {
    let history = db.history.clone();
    let baseline = tokio::spawn(async move { history.baseline(&name("t")).await.unwrap() });
    for state in [
        "query LIKE '%pg_sleep%'",
        "wait_event_type = 'Lock' AND query LIKE 'WITH%'",
    ] {
        let is_there = format!(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND {state})"
        );
        soon(async {
            while !sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(is_there.clone()))
                .fetch_one(&db.database.pool)
                .await
                .unwrap()
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    baseline
}

#[tokio::test]
async fn statements_that_name_a_table_from_which_another_inherits_are_not_missed() {
    let db = Tracked::with(
        "CREATE TABLE par (id int, a text); CREATE TABLE t (id int PRIMARY KEY, a text)",
    )
    .await;
    let of_statements = || Track::new().triggers(Triggers::Statement);
    db.track("t", of_statements()).await;
    db.run("ALTER TABLE t INHERIT par").await;
    let found = db.history.verify().await.unwrap();
    assert_eq!(
        found[0].1,
        Finding::StatementsOfPartition { of: name("par") }
    );
    let refused = db.history.track(&name("t"), of_statements()).await;
    assert!(matches!(
        refused,
        Err(HistoryError::StatementsOfPartition { .. })
    ));
    db.track("t", Track::new()).await;
    db.assert_well().await;
    db.run("INSERT INTO t VALUES (1, 'old'); UPDATE par SET a = 'new'")
        .await;
    assert_eq!(db.changes().await.len(), 2);
}

#[tokio::test]
async fn no_check_of_an_owner_of_types_runs_for_who_looks_rows_up() {
    for (types, key) in [
        ("CREATE DOMAIN d AS text CHECK (public.note(VALUE))", "d[]"),
        (
            "CREATE DOMAIN d AS text CHECK (public.note(VALUE)); CREATE TYPE c AS (x d)",
            "c",
        ),
        (
            "CREATE DOMAIN d AS int CHECK (public.note(VALUE::text)); CREATE TYPE r AS RANGE (SUBTYPE = d)",
            "r",
        ),
    ] {
        let db = Tracked::with(&format!(
            "CREATE TABLE ran (n int); CREATE FUNCTION note(text) RETURNS boolean LANGUAGE plpgsql AS \
             $$BEGIN INSERT INTO public.ran VALUES (1); RETURN true; END$$; {types}; CREATE TABLE t (k {key} PRIMARY KEY, v text)"
        ))
        .await;
        db.track("t", Track::new()).await;
        let key = columns(json!({"k": "{a}"}));
        let refused = [
            db.history
                .as_of(&name("t"), &key, now(&db).await)
                .await
                .map(drop),
            db.history.spelled_key(&name("t"), &key).await.map(drop),
            db.history.baseline(&name("t")).await.map(drop),
        ];
        for refused in refused {
            assert!(
                matches!(&refused, Err(HistoryError::KeyOfTypes { column, .. }) if column == "k"),
                "{refused:?}"
            );
        }
        let ran: i64 = sqlx::query_scalar("SELECT count(*) FROM ran")
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
        assert_eq!(ran, 0);
    }
}

#[tokio::test]
async fn a_partition_that_computes_a_column_from_a_masked_one_is_found() {
    let db = Tracked::with(
        "CREATE TABLE t (id int PRIMARY KEY, a text, secret text) PARTITION BY RANGE (id)",
    )
    .await;
    db.track("t", Track::new().mask(["secret"])).await;
    db.run(
        "CREATE TABLE t_1 (id int NOT NULL, a text GENERATED ALWAYS AS (secret || '!') STORED, secret text); \
         ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES FROM (0) TO (10)",
    )
    .await;
    let found = db.history.verify().await.unwrap();
    assert!(
        found.contains(&(Some(name("t")), Finding::OtherFunction)),
        "{found:?}"
    );
    db.track("t", Track::new().mask(["secret"])).await;
    db.assert_well().await;
    db.run("INSERT INTO t (id, secret) VALUES (1, 's3cr3t')")
        .await;
    assert!(!db.everything().await.contains("s3cr3t"));
    let found = db
        .history
        .as_of(&name("t"), &columns(json!({"id": 1})), now(&db).await)
        .await;
    assert_ne!(found.unwrap(), AsOf::Unknown);
}
