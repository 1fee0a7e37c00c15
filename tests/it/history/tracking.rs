//! What can be tracked, by how many histories, and what is refused.

use tower_audit_core::changes::TableName;
use tower_audit_history::{Finding, History, HistoryError, Track, Triggers};

use super::support::{Tracked, name};

const BOTH: [Triggers; 2] = [Triggers::Row, Triggers::Statement];
const PARTITIONED: &str = "CREATE TABLE t (id int PRIMARY KEY, secret text) PARTITION BY RANGE (id); \
     CREATE TABLE t_1 PARTITION OF t DEFAULT PARTITION BY RANGE (id); CREATE TABLE t_1_1 PARTITION OF t_1 DEFAULT";

#[tokio::test]
async fn a_partition_of_a_table_that_is_tracked_is_refused_and_the_table_stays_tracked() {
    for triggers in BOTH {
        let db = Tracked::with(PARTITIONED).await;
        db.track("t", Track::new().mask(["secret"]).triggers(triggers))
            .await;
        for partition in ["t_1", "t_1_1"] {
            let refused = db.history.track(&name(partition), Track::new()).await;
            assert!(
                matches!(&refused, Err(HistoryError::TrackedWith { of, .. }) if *of == name("t") || *of == name("t_1")),
                "{refused:?}"
            );
        }
        db.assert_well().await;
        db.run("INSERT INTO t VALUES (1, 's3cr3t')").await;
        assert_eq!(db.changes().await.len(), 1);
        assert!(!db.everything().await.contains("s3cr3t"));
    }
}

#[tokio::test]
async fn a_table_with_a_partition_that_is_tracked_by_itself_is_refused() {
    for triggers in BOTH {
        // Triggers for statements are there if it became a partition later.
        let db = Tracked::with(&format!(
            "{PARTITIONED}; ALTER TABLE t_1 DETACH PARTITION t_1_1"
        ))
        .await;
        db.track("t_1_1", Track::new().mask(["secret"]).triggers(triggers))
            .await;
        db.run("ALTER TABLE t_1 ATTACH PARTITION t_1_1 DEFAULT")
            .await;
        let refused = db.history.track(&name("t"), Track::new()).await;
        assert_eq!(
            refused.unwrap_err().to_string(),
            "public.t_1_1, a partition of public.t, is tracked by itself: untrack it first"
        );
        db.history.untrack(&name("t_1_1")).await.unwrap();
        db.track("t", Track::new()).await;
        db.assert_well().await;
    }
}

#[tokio::test]
async fn the_history_itself_is_refused() {
    let db = Tracked::with("").await;
    for table in [
        "row_changes",
        "row_changes_default",
        "row_changes_tracked",
        "row_changes_keys",
        "row_changes_migrations",
    ] {
        let own = TableName::new("control_plane", table);
        let refused = db.history.track(&own, Track::new()).await.unwrap_err();
        assert!(
            matches!(refused, HistoryError::OwnTable(_)),
            "{table}: {refused}"
        );
    }
}

#[tokio::test]
async fn histories_beside_each_other_leave_the_triggers_of_each_other_alone() {
    let db =
        Tracked::with("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE t2 (id int PRIMARY KEY)")
            .await;
    let beside = |schema: &str, table: &str| {
        let builder = History::builder(db.database.pool.clone());
        builder.schema(schema).table(table).build().unwrap()
    };
    let others = [
        beside("control_plane", "row_changes_2"),
        beside("elsewhere", "row_changes"),
        beside("elsewhere", "row_changes_row"),
    ];
    for triggers in BOTH {
        db.track("t", Track::new().triggers(triggers)).await;
        for other in &others {
            other.migrate().await.unwrap();
            let track = Track::new().triggers(triggers);
            other.track(&name("t"), track).await.unwrap();
        }
        db.run("INSERT INTO t VALUES (1); DELETE FROM t").await;
        for history in others.iter().chain([&db.history]) {
            assert_eq!(history.verify().await.unwrap(), []);
        }
    }
    others[0].untrack(&name("t")).await.unwrap();
    db.assert_well().await;
    for table in [
        "control_plane.row_changes",
        "control_plane.row_changes_2",
        "elsewhere.row_changes",
        "elsewhere.row_changes_row",
    ] {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count: i64 = sqlx::query_scalar(count)
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
        assert_eq!(count, 4, "{table}");
    }
}

#[tokio::test]
async fn a_column_with_the_name_of_whatever_a_function_uses_is_recorded() {
    let names = [
        "tg_op",
        "op",
        "o",
        "n",
        "k",
        "p",
        "r",
        "a",
        "b",
        "u",
        "c",
        "f",
        "one_row",
        "is_any",
        "old_rows",
        "new_rows",
        "tower_audit",
        "tg_relid",
        "tg_name",
    ];
    for triggers in BOTH {
        for (column, is_early) in names.iter().flat_map(|name| [(name, true), (name, false)]) {
            let db = Tracked::with(&match is_early {
                true => format!("CREATE TABLE t (id int PRIMARY KEY, {column} text)"),
                false => "CREATE TABLE t (id int PRIMARY KEY)".to_owned(),
            })
            .await;
            db.track("t", Track::new().mask(["id"]).triggers(triggers))
                .await;
            if !is_early {
                db.run(&format!("ALTER TABLE t ADD {column} text")).await;
            }
            db.run(&format!(
                "INSERT INTO t VALUES (1, 'x'); UPDATE t SET {column} = 'y'; DELETE FROM t"
            ))
            .await;
            let changes = db.changes().await;
            assert_eq!(changes.len(), 3, "{column}");
            let recorded = changes[1].new.as_ref().unwrap();
            assert_eq!(recorded.len(), 1, "{column}");
            assert_eq!(recorded[*column] == "y", is_early, "{column}");
        }
    }
}

#[tokio::test]
async fn a_table_whose_triggers_do_not_fire_has_no_baseline() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    db.track("t", Track::new()).await;
    db.run("ALTER TABLE t DISABLE TRIGGER ALL").await;
    let refused = db.history.baseline(&name("t")).await.unwrap_err();
    assert!(
        refused.to_string().ends_with("track it again first"),
        "{refused}"
    );
    let findings = db.history.verify().await.unwrap();
    assert!(matches!(findings[0].1, Finding::DisabledTrigger { .. }));
}

#[tokio::test]
async fn a_trigger_that_fires_for_less_is_found_and_made_anew() {
    let less = [
        "FOR EACH ROW WHEN (false)",
        "FOR EACH ROW",
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
    ];
    for (number, less) in less.iter().enumerate() {
        let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, x int)").await;
        db.track("t", Track::new()).await;
        let (kind, of) = [("", ""), ("", " OF id"), ("CONSTRAINT", "")][number];
        db.run(&format!(
            "DO $$BEGIN EXECUTE format('DROP TRIGGER %1$I ON t; CREATE {kind} TRIGGER %1$I AFTER INSERT OR DELETE OR UPDATE{of} ON t {less} \
             EXECUTE FUNCTION control_plane.%2$I()', '00_tower_audit_row_changes_row', (SELECT function FROM control_plane.row_changes_tracked)); END$$"
        ))
        .await;
        let found = db.history.verify().await.unwrap();
        assert!(
            matches!(found[0].1, Finding::MissingTrigger { .. }),
            "{less}: {found:?}"
        );
        db.track("t", Track::new()).await;
        db.assert_well().await;
        db.run("INSERT INTO t VALUES (1, 1); UPDATE t SET x = 2")
            .await;
        assert_eq!(db.changes().await.len(), 2, "{less}");
    }
}

#[tokio::test]
async fn a_trigger_that_got_another_name_is_found_and_no_change_is_recorded_twice() {
    for triggers in BOTH {
        let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY)").await;
        db.track("t", Track::new().triggers(triggers)).await;
        let event = if triggers == Triggers::Row {
            "row"
        } else {
            "insert"
        };
        db.run(&format!(
            "ALTER TRIGGER \"00_tower_audit_row_changes_{event}\" ON t RENAME TO foo"
        ))
        .await;
        assert_ne!(db.history.verify().await.unwrap(), []);
        db.track("t", Track::new().triggers(triggers)).await;
        db.run("INSERT INTO t VALUES (1)").await;
        assert_eq!(db.changes().await.len(), 1);
        db.run("ALTER TRIGGER \"00_tower_audit_row_changes_truncate\" ON t RENAME TO bar")
            .await;
        db.history.untrack(&name("t")).await.unwrap();
        let triggers: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass")
                .fetch_one(&db.database.pool)
                .await
                .unwrap();
        assert_eq!(triggers, 0);
    }
}

#[tokio::test]
async fn a_trigger_of_somebody_else_with_the_name_of_one_makes_room_for_it() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY); CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'").await;
    db.track("t", Track::new()).await;
    db.run("CREATE OR REPLACE TRIGGER \"00_tower_audit_row_changes_row\" AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing()")
        .await;
    let found = db.history.verify().await.unwrap();
    assert!(
        matches!(found[0].1, Finding::MissingTrigger { .. }),
        "{found:?}"
    );
    db.track("t", Track::new()).await;
    db.assert_well().await;
    db.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(db.changes().await.len(), 1);
}
