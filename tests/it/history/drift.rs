//! Tables that change after they are tracked.

use std::process::Command;

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgPoolOptions};
use tower_audit_core::changes::TableName;
use tower_audit_history::{Finding, History, HistoryError, Track, Triggers, WithoutContext};

use super::support::{Tracked, name};
use crate::support::database::Postgres;

const BOTH: [Triggers; 2] = [Triggers::Row, Triggers::Statement];

async fn jobs(triggers: Triggers) -> Tracked {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text, token text)").await;
    db.track("jobs", Track::new().mask(["token"]).triggers(triggers))
        .await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 's3cr3t')").await;
    db
}

async fn findings(db: &Tracked) -> Vec<Finding> {
    let found = db.history.verify().await.unwrap();
    found.into_iter().map(|(_, finding)| finding).collect()
}

#[tokio::test]
async fn a_column_that_was_renamed_breaks_no_write_and_is_found() {
    for triggers in BOTH {
        let db = jobs(triggers).await;
        db.run("ALTER TABLE jobs RENAME name TO title").await;
        db.run("UPDATE jobs SET title = 'b'; INSERT INTO jobs VALUES (2, 'c'); DELETE FROM jobs WHERE id = 2").await;
        let unknown = json!({"tower_audit": "unknown"});
        let told = db.told().await;
        assert_eq!(
            told[1],
            json!({"update": {"id": 1}, "old": {"title": unknown}, "new": {"title": unknown}})
        );
        assert_eq!(
            told[2]["new"],
            json!({"id": 2, "title": unknown, "token": null})
        );
        assert_eq!(
            told[3]["old"],
            json!({"id": 2, "title": unknown, "token": null})
        );
        let renamed = Finding::RenamedColumn {
            from: "name".into(),
            to: "title".into(),
        };
        assert_eq!(findings(&db).await, [renamed]);
        db.track("jobs", Track::new().mask(["token"]).triggers(triggers))
            .await;
        db.run("UPDATE jobs SET title = 'd'").await;
        assert_eq!(db.told().await[4]["new"], json!({"title": "d"}));
        db.assert_well().await;
    }
}

#[tokio::test]
async fn a_masked_column_that_was_renamed_is_hidden() {
    for triggers in BOTH {
        let db = jobs(triggers).await;
        db.run("ALTER TABLE jobs RENAME token TO secret; UPDATE jobs SET name = 'b', secret = 's3cr3t 2'").await;
        let unknown = json!({"tower_audit": "unknown"});
        assert_eq!(
            db.told().await[1]["new"],
            json!({"name": "b", "secret": unknown})
        );
        let track = db
            .history
            .track(
                &name("jobs"),
                Track::new().mask(["token"]).triggers(triggers),
            )
            .await;
        let said = track.unwrap_err().to_string();
        assert_eq!(
            said,
            "public.jobs has no column token: it has id, name, secret"
        );
    }
}

#[tokio::test]
async fn columns_that_swapped_their_names_are_not_taken_for_each_other() {
    for triggers in BOTH {
        let db = jobs(triggers).await;
        db.run("INSERT INTO jobs VALUES (2, 's3cr3t', NULL); ALTER TABLE jobs RENAME name TO x; ALTER TABLE jobs RENAME token TO name; ALTER TABLE jobs RENAME x TO token")
            .await;
        let before = db.changes().await.len();
        // Rows of which both are the same pass for those that they are not.
        db.run("INSERT INTO jobs VALUES (3, NULL, NULL), (4, 'b', 's3cr3t 2'); UPDATE jobs SET name = 'b' WHERE id = 4").await;
        db.run("UPDATE jobs SET name = 's3cr3t 3'; DELETE FROM jobs WHERE id = 4")
            .await;
        let changes = db.changes().await;
        assert!(changes.len() > before);
        let of_then = &changes[before..];
        assert!(!format!("{of_then:?}").contains("s3cr3t"), "{of_then:#?}");
        let renamed = |from: &str, to: &str| Finding::RenamedColumn {
            from: from.into(),
            to: to.into(),
        };
        let expected = [renamed("name", "token"), renamed("token", "name")];
        assert_eq!(findings(&db).await, expected);
    }
}

#[tokio::test]
async fn a_masked_column_that_takes_the_name_of_one_that_goes_away_is_not_taken_for_it() {
    for triggers in BOTH {
        for kind in ["text", "int"] {
            let db = Tracked::with(&format!("CREATE TABLE jobs (id int PRIMARY KEY, token text, note {kind}); INSERT INTO jobs VALUES (1, 's3cr3t')")).await;
            let track = Track::new().mask(["token"]).triggers(triggers);
            db.track("jobs", track).await;
            db.run("ALTER TABLE jobs DROP note; ALTER TABLE jobs RENAME token TO note; ALTER TABLE jobs ADD token text").await;
            db.run("UPDATE jobs SET note = 's3cr3t 2', token = 'x'; INSERT INTO jobs VALUES (2, 's3cr3t 3', 'y')").await;
            assert!(!db.everything().await.contains("s3cr3t"));
            let found = findings(&db).await;
            let renamed = Finding::RenamedColumn {
                from: "token".into(),
                to: "note".into(),
            };
            assert!(found.contains(&renamed), "{found:?}");
            assert_eq!(found.len(), 3, "{found:?}");
        }
    }
}

#[tokio::test]
async fn a_column_that_was_renamed_is_told_from_one_that_was_dropped() {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, a int, b int, c int)").await;
    db.track("jobs", Track::new()).await;
    db.run("ALTER TABLE jobs DROP a; ALTER TABLE jobs RENAME b TO d; ALTER TABLE jobs ADD e int")
        .await;
    let expected = [
        Finding::DroppedColumn { column: "a".into() },
        Finding::RenamedColumn {
            from: "b".into(),
            to: "d".into(),
        },
        Finding::AddedColumn { column: "e".into() },
    ];
    assert_eq!(findings(&db).await, expected);
}

#[tokio::test]
async fn a_column_that_was_made_anew_under_its_old_name_is_found() {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, note text, token text, other text GENERATED ALWAYS AS (note) STORED)").await;
    db.track("jobs", Track::new().mask(["token"])).await;
    db.run("ALTER TABLE jobs DROP other, ADD other text GENERATED ALWAYS AS (token) STORED")
        .await;
    let dropped = |column: &str| Finding::DroppedColumn {
        column: column.into(),
    };
    let added = |column: &str| Finding::AddedColumn {
        column: column.into(),
    };
    assert_eq!(findings(&db).await, [dropped("other"), added("other")]);
    db.track("jobs", Track::new().mask(["token"])).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 's3cr3t')").await;
    assert!(!db.everything().await.contains("s3cr3t"));
    // Right behind the one whose name it takes.
    db.run("ALTER TABLE jobs DROP other; ALTER TABLE jobs DROP note; ALTER TABLE jobs RENAME token TO note; ALTER TABLE jobs ADD token text")
        .await;
    let renamed = Finding::RenamedColumn {
        from: "token".into(),
        to: "note".into(),
    };
    let expected = [dropped("note"), renamed, dropped("other"), added("token")];
    assert_eq!(findings(&db).await, expected);
}

#[tokio::test]
async fn a_column_that_was_added_is_not_overlooked() {
    for triggers in BOTH {
        let db = jobs(triggers).await;
        db.run("ALTER TABLE jobs ADD plan text; UPDATE jobs SET plan = 'pro'; UPDATE jobs SET plan = 'max', name = 'b'").await;
        let unknown = json!({"tower_audit": "unknown"});
        let told = db.told().await;
        assert_eq!(
            told[1],
            json!({"update": {"id": 1}, "old": {"plan": null}, "new": {"plan": unknown}})
        );
        assert_eq!(told[2]["new"], json!({"name": "b", "plan": unknown}));
        let added = Finding::AddedColumn {
            column: "plan".into(),
        };
        assert_eq!(findings(&db).await, [added]);
    }
}

#[tokio::test]
async fn a_column_that_was_dropped_or_has_another_type_breaks_no_write_and_is_found() {
    for triggers in BOTH {
        let db = jobs(triggers).await;
        db.run("ALTER TABLE jobs DROP name; UPDATE jobs SET token = 'x'")
            .await;
        assert_eq!(db.told().await.len(), 2);
        assert_eq!(
            findings(&db).await,
            [Finding::DroppedColumn {
                column: "name".into()
            }]
        );
        db.track("jobs", Track::new().mask(["token"]).triggers(triggers))
            .await;
        db.run("ALTER TABLE jobs ALTER token TYPE json USING '1', ALTER id TYPE text; UPDATE jobs SET token = '{\"a\": \"\\u0000\"}'").await;
        let changes = db.changes().await;
        assert_eq!(changes.len(), 3);
        assert!(!db.everything().await.contains("\\u0000"));
        let types: Vec<_> = findings(&db).await;
        assert!(
            types.contains(&Finding::OtherType {
                column: "token".into()
            }),
            "{types:?}"
        );
    }
}

#[tokio::test]
async fn a_value_that_json_has_no_room_for_breaks_no_write() {
    for triggers in BOTH {
        let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, note text)").await;
        let track = Track::new().triggers(triggers).longest_value(u32::MAX);
        db.track("jobs", track).await;
        // A string of jsonb has at most 256 MB less a byte.
        db.run("INSERT INTO jobs VALUES (1, repeat('x', 268435456))")
            .await;
        assert_eq!(db.told().await, [json!({"insert": null})]);
    }
}

#[tokio::test]
async fn a_value_of_which_the_text_has_no_room_breaks_no_write() {
    for triggers in BOTH {
        let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, note jsonb)").await;
        db.track("jobs", Track::new().triggers(triggers)).await;
        // Written as `\u0001` it takes more than the gigabyte that a text may have.
        db.run("INSERT INTO jobs VALUES (1, to_jsonb(repeat(chr(1), 180000000)))")
            .await;
        assert_eq!(
            db.told().await,
            [json!({"insert": {"id": 1}, "new": {"id": 1, "note": {"tower_audit": "unknown"}}})]
        );
    }
}

#[tokio::test]
async fn a_text_of_no_character_set_breaks_no_write() {
    for triggers in BOTH {
        let options = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'";
        let database = Postgres::fresh_with(options).await;
        let db = Tracked::of(
            database,
            "CREATE TABLE jobs (id int PRIMARY KEY, said text)",
        )
        .await;
        db.track("jobs", Track::new().triggers(triggers).longest_value(3))
            .await;
        db.run("INSERT INTO jobs VALUES (1, convert_from('\\xfffefdfc', 'SQL_ASCII')); UPDATE jobs SET said = convert_from('\\xfdfe', 'SQL_ASCII')").await;
        db.run("UPDATE jobs SET said = 'fine'").await;
        let told: i64 = sqlx::query_scalar("SELECT count(*) FROM control_plane.row_changes")
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
        assert_eq!(told, 3);
    }
}

#[tokio::test]
async fn a_table_that_was_renamed_is_recorded_and_keeps_its_history() {
    let db = jobs(Triggers::Row).await;
    db.run("ALTER TABLE jobs RENAME TO tasks; UPDATE tasks SET name = 'b'")
        .await;
    assert_eq!(db.changes().await[1].table, name("jobs"));
    let renamed = Finding::RenamedTable { to: name("tasks") };
    assert_eq!(findings(&db).await, [renamed]);
    db.track("tasks", Track::new().mask(["token"])).await;
    db.assert_well().await;
    db.run("UPDATE tasks SET name = 'c'").await;
    assert_eq!(db.changes().await.len(), 3);
    assert_eq!(
        db.history.status().await.unwrap()[0].former_names,
        [name("jobs")]
    );
}

#[tokio::test]
async fn missing_and_disabled_triggers_are_found_and_mended() {
    for triggers in BOTH {
        let db = jobs(triggers).await;
        let all: Vec<String> = sqlx::query_scalar("SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'jobs'::regclass")
            .fetch_all(&db.database.pool)
            .await
            .unwrap();
        assert_eq!(all.len(), if triggers == Triggers::Row { 2 } else { 4 });
        for trigger in all {
            let on = name("jobs");
            db.run(&format!("ALTER TABLE jobs DISABLE TRIGGER \"{trigger}\""))
                .await;
            let disabled = Finding::DisabledTrigger {
                on: on.clone(),
                trigger: trigger.clone(),
            };
            assert_eq!(findings(&db).await, [disabled]);
            db.run(&format!("DROP TRIGGER \"{trigger}\" ON jobs")).await;
            assert_eq!(
                findings(&db).await,
                [Finding::MissingTrigger { on, trigger }]
            );
            db.track("jobs", Track::new().mask(["token"]).triggers(triggers))
                .await;
            db.assert_well().await;
        }
    }
}

#[tokio::test]
async fn a_function_that_somebody_changed_is_found() {
    let db = jobs(Triggers::Row).await;
    let function: String =
        sqlx::query_scalar("SELECT function FROM control_plane.row_changes_tracked")
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
    db.run(&format!("CREATE OR REPLACE FUNCTION control_plane.{function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'")).await;
    assert_eq!(findings(&db).await, [Finding::OtherFunction]);
    db.track("jobs", Track::new().mask(["token"])).await;
    db.assert_well().await;
    for change in [
        "SECURITY INVOKER",
        "SET search_path = public",
        "SET jit = off",
    ] {
        db.run(&format!(
            "ALTER FUNCTION control_plane.{function}() {change}"
        ))
        .await;
        assert_eq!(findings(&db).await, [Finding::OtherFunction], "{change}");
        db.track("jobs", Track::new().mask(["token"])).await;
        db.assert_well().await;
    }
}

const PARTITIONED: &str = "\
    CREATE TABLE t (id int, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')";

#[tokio::test]
async fn a_new_partition_is_covered_by_triggers_for_rows() {
    let db = Tracked::with(PARTITIONED).await;
    db.track("t", Track::new()).await;
    db.run("CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        CREATE TABLE t_3 (note text, gone int, at date NOT NULL, id int NOT NULL); ALTER TABLE t_3 DROP gone;
        ALTER TABLE t ATTACH PARTITION t_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')").await;
    db.run("INSERT INTO t_2 VALUES (1, '2026-02-05', 'a'); INSERT INTO t VALUES (2, '2026-03-05', 'b'); UPDATE t SET note = 'c'").await;
    let mut told = db.told().await;
    told.sort_by_key(ToString::to_string);
    assert_eq!(
        told[0]["new"],
        json!({"id": 1, "at": "2026-02-05", "note": "a"})
    );
    // Its columns have another order.
    assert_eq!(
        told[1]["new"],
        json!({"id": 2, "at": "2026-03-05", "note": "b"})
    );
    assert_eq!(
        told[3],
        json!({"update": {"id": 2, "at": "2026-03-05"}, "old": {"note": "b"}, "new": {"note": "c"}})
    );
    // TRUNCATE of a partition alone would not be seen.
    let missing = findings(&db).await;
    assert_eq!(missing.len(), 2, "{missing:?}");
    db.track("t", Track::new()).await;
    db.assert_well().await;
}

#[tokio::test]
async fn a_new_partition_is_found_where_triggers_for_statements_do_not_cover_it() {
    let db = Tracked::with(PARTITIONED).await;
    db.track("t", Track::new().triggers(Triggers::Statement))
        .await;
    db.run("CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
        .await;
    db.run("INSERT INTO t VALUES (1, '2026-02-05', 'a')").await;
    assert_eq!(db.changes().await.len(), 1);
    let missing = findings(&db).await;
    assert_eq!(missing.len(), 4);
    assert!(
        missing[0]
            .to_string()
            .starts_with("public.t_2 has no trigger"),
        "{}",
        missing[0]
    );
    db.track("t", Track::new().triggers(Triggers::Statement))
        .await;
    db.run("UPDATE t_2 SET note = 'b'").await;
    assert_eq!(db.changes().await.len(), 2);
    db.assert_well().await;
}

#[tokio::test]
async fn tracking_again_changes_nothing_and_in_another_way_everything() {
    let db = jobs(Triggers::Row).await;
    let ids = "SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_trigger WHERE tgrelid = 'jobs'::regclass";
    let before: String = sqlx::query_scalar(ids)
        .fetch_one(&db.database.pool)
        .await
        .unwrap();
    let since = db.history.status().await.unwrap()[0].tracked_at;
    // A writer is not waited for, because the table is not locked.
    let mut writer = db.session().await;
    let mut tx = writer.begin().await.unwrap();
    tx.execute("UPDATE jobs SET name = 'b'").await.unwrap();
    db.track("jobs", Track::new().mask(["token"])).await;
    tx.rollback().await.unwrap();
    let after: String = sqlx::query_scalar(ids)
        .fetch_one(&db.database.pool)
        .await
        .unwrap();
    assert_eq!(before, after);
    assert_eq!(db.history.status().await.unwrap()[0].tracked_at, since);
    db.track("jobs", Track::new().triggers(Triggers::Statement))
        .await;
    db.run("UPDATE jobs SET token = 'shown'").await;
    assert_eq!(
        db.told().await.last().unwrap()["new"],
        json!({"token": "shown"})
    );
    db.assert_well().await;
}

#[tokio::test]
async fn a_table_that_is_in_use_is_not_waited_for_for_long() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut writer = db.session().await;
    let mut tx = writer.begin().await.unwrap();
    tx.execute("INSERT INTO t VALUES (1)").await.unwrap();
    let refused = db
        .history
        .track(&name("t"), Track::new())
        .await
        .unwrap_err();
    assert!(matches!(refused, HistoryError::Locked(_)), "{refused:?}");
    tx.commit().await.unwrap();
    db.track("t", Track::new()).await;
}

#[tokio::test]
async fn every_replica_may_track_at_once() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY)").await;
    let replicas = (0..8).map(|_| {
        let history = db.history.clone();
        tokio::spawn(async move {
            history.migrate().await.unwrap();
            history.track(&name("t"), Track::new()).await.unwrap();
        })
    });
    for replica in replicas.collect::<Vec<_>>() {
        replica.await.unwrap();
    }
    db.assert_well().await;
}

#[tokio::test]
async fn what_cannot_be_tracked_is_refused_with_what_to_do() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT 1").await;
    let cases = [
        ("nothing", Track::new(), "there is no table public.nothing"),
        ("v", Track::new(), "public.v is a view: only tables"),
        (
            "t",
            Track::new().ignore(["x"]).mask(["y"]),
            "public.t has no column x, y: it has id",
        ),
        ("t", Track::new().ignore(["id"]), "do not ignore id"),
    ];
    for (table, track, expected) in cases {
        let said = db
            .history
            .track(&name(table), track)
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains(expected), "{said}");
    }
    let said = db
        .history
        .untrack(&name("t"))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(said, "public.t is not tracked");
}

#[tokio::test]
async fn an_untracked_table_is_not_recorded_and_keeps_its_history() {
    let db = jobs(Triggers::Row).await;
    db.history.untrack(&name("jobs")).await.unwrap();
    db.run("UPDATE jobs SET name = 'b'; TRUNCATE jobs").await;
    assert_eq!(db.changes().await.len(), 1);
    assert!(db.history.status().await.unwrap().is_empty());
    let functions = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'row_changes_of_%'";
    let functions: i64 = sqlx::query_scalar(functions)
        .fetch_one(&db.database.pool)
        .await
        .unwrap();
    assert_eq!(functions, 0);
}

#[tokio::test]
async fn a_partition_that_was_detached_is_found_if_it_is_still_recorded_under_the_name_of_its_table()
 {
    let db = Tracked::with(PARTITIONED).await;
    let track = || Track::new().triggers(Triggers::Statement);
    db.track("t", track()).await;
    db.run("ALTER TABLE t DETACH PARTITION t_1").await;
    let stray = |event: &str| Finding::StrayTrigger {
        on: name("t_1"),
        trigger: format!("00_tower_audit_row_changes_{event}"),
    };
    let expected = ["truncate", "insert", "update", "delete"].map(stray);
    assert_eq!(findings(&db).await, expected);
    db.track("t", track()).await;
    db.run("INSERT INTO t_1 VALUES (1, '2026-01-05'); DELETE FROM t_1; TRUNCATE t_1")
        .await;
    assert_eq!(db.told().await.len(), 0);
    db.assert_well().await;
}

#[tokio::test]
async fn a_database_that_was_dumped_and_restored_goes_on() {
    let db = Tracked::with(PARTITIONED).await;
    db.run(
        "CREATE TABLE jobs (id int PRIMARY KEY, gone int, token text); ALTER TABLE jobs DROP gone",
    )
    .await;
    db.track(
        "jobs",
        Track::new()
            .mask(["token"])
            .without_context(WithoutContext::Warn),
    )
    .await;
    db.track("t", Track::new().triggers(Triggers::Statement))
        .await;
    db.run("INSERT INTO jobs VALUES (1, 's3cr3t'); INSERT INTO t VALUES (1, '2026-01-05', 'a')")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    let restored = Postgres::fresh().await;
    let bin = xtask::postgres::programs().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(bin.join(program))
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let file = dump.display().to_string();
    run("pg_dump", &["--file", &file, &db.database.url]);
    run(
        "psql",
        &[
            "-q",
            "-X",
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            &file,
            &restored.url,
        ],
    );
    let pool = PgPoolOptions::new().connect(&restored.url).await.unwrap();
    let restored = Tracked {
        history: History::new(pool),
        database: restored,
    };
    // Restoring is no change.
    assert_eq!(restored.told().await, db.told().await);
    restored.assert_well().await;
    restored.history.migrate().await.unwrap();
    restored
        .run("UPDATE jobs SET token = 's3cr3t 2'; UPDATE t SET note = 'b'")
        .await;
    assert_eq!(restored.told().await.len(), 4);
    assert!(!restored.everything().await.contains("s3cr3t"));
}

#[tokio::test]
async fn a_table_of_which_the_columns_have_other_numbers_is_recorded_as_before() {
    // As after a restore: a column that was dropped leaves no gap there.
    let create = "CREATE TABLE t (id int, x int, {gone} note text, PRIMARY KEY (id)) PARTITION BY RANGE (id); \
         CREATE TABLE t_1 (note text, id int NOT NULL, x int); ALTER TABLE t ATTACH PARTITION t_1 DEFAULT";
    let db = Tracked::with(&create.replace("{gone}", "")).await;
    db.track("t", Track::new()).await;
    let books = "UPDATE control_plane.row_changes_tracked SET columns = jsonb_set(columns, '{2,number}', '9'), relation = 1";
    db.run(books).await;
    db.assert_well().await;
    db.run("INSERT INTO t VALUES (1, 1, 'a'); UPDATE t SET note = 'b'")
        .await;
    let told = db.told().await;
    assert_eq!(told[1]["update"], json!({"id": 1}));
    assert_eq!(told[1]["new"], json!({"note": "b"}));
    // Tracking it again, as a service does when it starts, notes the numbers of now.
    db.track("t", Track::new()).await;
    db.run("ALTER TABLE t DROP x; ALTER TABLE t RENAME note TO said")
        .await;
    let expected = [
        Finding::DroppedColumn { column: "x".into() },
        Finding::RenamedColumn {
            from: "note".into(),
            to: "said".into(),
        },
    ];
    assert_eq!(findings(&db).await, expected);
}

#[tokio::test]
async fn a_history_that_is_not_there_says_what_to_do() {
    let database = Postgres::fresh().await;
    let history = History::new(database.pool.clone());
    let said = history.status().await.unwrap_err().to_string();
    assert!(said.contains("run `History::migrate`"), "{said}");
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    connection.execute("CREATE TABLE t (id int)").await.unwrap();
    let said = history
        .track(&TableName::new("public", "t"), Track::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("run `History::migrate`"), "{said}");
}
