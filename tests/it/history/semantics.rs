//! What of each statement is in the history, by triggers for rows and for statements.

use serde_json::json;
use tower_audit_history::{Track, Triggers};

use super::support::{Tracked, told};

macro_rules! for_each_kind_of_trigger {
    ($($name:ident,)*) => {
        mod rows { $(#[tokio::test] async fn $name() { super::$name(tower_audit_history::Triggers::Row).await; })* }
        mod statements { $(#[tokio::test] async fn $name() { super::$name(tower_audit_history::Triggers::Statement).await; })* }
    };
}

for_each_kind_of_trigger! {
    an_insert_is_recorded_as_a_whole,
    an_update_is_recorded_with_the_columns_that_changed,
    an_update_that_changes_nothing_is_none,
    a_delete_is_recorded_as_a_whole,
    a_column_that_is_ignored_is_not_there,
    a_truncate_is_recorded,
    a_composite_key_tells_rows_apart,
    a_key_that_changed_is_told_with_what_it_was,
    keys_that_are_swapped_in_one_statement_are_told_apart,
    a_table_without_a_key_is_recorded_with_whole_rows,
    json_stays_as_it_was_written,
    generated_columns_are_recorded,
    values_that_are_equal_and_look_different_are_changes,
    values_of_every_sort_are_recorded,
    no_digit_of_a_number_is_lost,
    rows_that_a_foreign_key_takes_along_are_recorded,
    merge_is_recorded_as_what_it_did,
    copy_is_recorded,
    on_conflict_is_recorded_as_what_it_did,
    partitions_are_recorded_under_the_name_of_their_table,
    a_row_that_moves_to_another_partition_is_deleted_and_inserted,
    a_row_that_is_refused_on_its_way_to_another_partition_upsets_no_other,
    a_table_of_many_columns_is_recorded,
    names_that_need_quotes_are_recorded,
    a_value_that_is_too_long_is_recorded_by_its_hash,
    what_was_rolled_back_is_not_there,
    a_value_is_written_the_same_whatever_the_session_has_set,
    a_row_that_a_trigger_of_the_app_changes_again_has_its_changes_in_order,
    what_a_trigger_of_the_app_makes_of_a_row_is_what_is_recorded,
}

async fn jobs(triggers: Triggers) -> Tracked {
    let db = Tracked::with(
        "CREATE TABLE jobs (id int PRIMARY KEY, name text, runs int, updated_at timestamptz)",
    )
    .await;
    db.track(
        "jobs",
        Track::new().ignore(["updated_at"]).triggers(triggers),
    )
    .await;
    db
}

async fn an_insert_is_recorded_as_a_whole(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', NULL), (2, 'b', 7)")
        .await;
    assert_eq!(
        db.told().await,
        [
            json!({"insert": {"id": 1}, "new": {"id": 1, "name": "a", "runs": null}}),
            json!({"insert": {"id": 2}, "new": {"id": 2, "name": "b", "runs": 7}}),
        ]
    );
    db.assert_well().await;
}

async fn an_update_is_recorded_with_the_columns_that_changed(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', NULL), (2, 'b', 7); UPDATE jobs SET runs = 8, updated_at = now()").await;
    assert_eq!(
        db.told().await[2..],
        [
            json!({"update": {"id": 1}, "old": {"runs": null}, "new": {"runs": 8}}),
            json!({"update": {"id": 2}, "old": {"runs": 7}, "new": {"runs": 8}}),
        ]
    );
}

async fn an_update_that_changes_nothing_is_none(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 1); UPDATE jobs SET name = 'a', runs = 1")
        .await;
    assert_eq!(db.told().await.len(), 1);
}

async fn a_delete_is_recorded_as_a_whole(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 1); DELETE FROM jobs")
        .await;
    assert_eq!(
        db.told().await[1],
        json!({"delete": {"id": 1}, "old": {"id": 1, "name": "a", "runs": 1}})
    );
}

async fn a_column_that_is_ignored_is_not_there(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 1, '1901-02-03'); UPDATE jobs SET updated_at = '1902-02-03'; DELETE FROM jobs").await;
    assert_eq!(db.told().await.len(), 2);
    assert!(!db.everything().await.contains("-02-03T"));
}

async fn a_truncate_is_recorded(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1); TRUNCATE jobs").await;
    assert_eq!(db.told().await[1], json!({"truncate": null}));
}

async fn a_composite_key_tells_rows_apart(triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE t (n int, a text, b int, PRIMARY KEY (b, a))").await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (0, 'x', 1); UPDATE t SET n = 1")
        .await;
    assert_eq!(
        db.told().await[1],
        json!({"update": {"a": "x", "b": 1}, "old": {"n": 0}, "new": {"n": 1}})
    );
}

async fn a_key_that_changed_is_told_with_what_it_was(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 1); UPDATE jobs SET id = 5")
        .await;
    assert_eq!(
        db.told().await[1],
        json!({"update": {"id": 5}, "old_key": {"id": 1}, "old": {"id": 1}, "new": {"id": 5}})
    );
}

async fn keys_that_are_swapped_in_one_statement_are_told_apart(triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, name text)").await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 300) AS n")
        .await;
    db.run("UPDATE t SET id = 301 - id, name = name || '!' WHERE id % 2 = 0 OR id % 2 = 1")
        .await;
    let changes = db.changes().await;
    for change in &changes[300..] {
        let told = told(change);
        let (before, after) = (
            told["old"]["id"].as_i64().unwrap(),
            told["new"]["id"].as_i64().unwrap(),
        );
        assert_eq!(before + after, 301);
        assert_eq!(told["old"]["name"], format!("name {before}"));
        assert_eq!(told["new"]["name"], format!("name {before}!"));
        assert_eq!(
            (&told["update"]["id"], &told["old_key"]["id"]),
            (&json!(after), &json!(before))
        );
    }
    assert_eq!(changes.len(), 600);
}

async fn a_table_without_a_key_is_recorded_with_whole_rows(triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE t (a int, b int)").await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (1, 2); UPDATE t SET b = 3; DELETE FROM t")
        .await;
    assert_eq!(
        db.told().await,
        [
            json!({"insert": null, "new": {"a": 1, "b": 2}}),
            json!({"update": null, "old": {"a": 1, "b": 2}, "new": {"b": 3}}),
            json!({"delete": null, "old": {"a": 1, "b": 3}}),
        ]
    );
}

async fn json_stays_as_it_was_written(triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, a json, b jsonb)").await;
    db.track("t", Track::new().triggers(triggers)).await;
    // What JSON takes and jsonb does not must not fail the write.
    db.run(r#"INSERT INTO t VALUES (1, '{"b": 1,  "a": "\u0000", "a": 2}', '{"x": [1, 1.0]}')"#)
        .await;
    db.run(r#"UPDATE t SET a = '{}', b = '{"x": [1, 1.00]}'"#)
        .await;
    let told = db.told().await;
    assert_eq!(
        told[0]["new"],
        json!({"id": 1, "a": r#"{"b": 1,  "a": "\u0000", "a": 2}"#, "b": {"x": [1, 1.0]}})
    );
    assert_eq!(told[1]["new"]["a"], "{}");
    assert!(db.everything().await.contains("1.00"));
}

async fn generated_columns_are_recorded(triggers: Triggers) {
    let db = Tracked::with(
        "CREATE TABLE t (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)",
    )
    .await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (1, 2); UPDATE t SET a = 3")
        .await;
    assert_eq!(
        db.told().await,
        [
            json!({"insert": {"id": 1}, "new": {"id": 1, "a": 2, "twice": 4}}),
            json!({"update": {"id": 1}, "old": {"a": 2, "twice": 4}, "new": {"a": 3, "twice": 6}}),
        ]
    );
}

async fn values_that_are_equal_and_look_different_are_changes(triggers: Triggers) {
    let db = Tracked::with(
        "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE t (id int PRIMARY KEY, a numeric, b float8, c interval, d text COLLATE any_case, e jsonb)",
    )
    .await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (1, 1.0, 0, '1 day', 'a', '1.0')")
        .await;
    for set in [
        "a = 1.00",
        "b = '-0'",
        "c = '24 hours'",
        "d = 'A'",
        "e = '1.00'",
    ] {
        db.run(&format!("UPDATE t SET {set}")).await;
    }
    let told = db.told().await;
    assert_eq!(told.len(), 6, "{told:#?}");
    assert_eq!(told[4]["new"], json!({"d": "A"}));
}

async fn no_digit_of_a_number_is_lost(triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE t (id int8 PRIMARY KEY, a numeric, b numeric[])").await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (9223372036854775807, 12345678901234567890.10, '{0.10}')")
        .await;
    let new = &db.told().await[0]["new"];
    assert_eq!(
        *new,
        json!({"id": i64::MAX, "a": "12345678901234567890.10", "b": "{0.10}"})
    );
}

async fn values_of_every_sort_are_recorded(triggers: Triggers) {
    let db = Tracked::with(
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a int, b json); CREATE DOMAIN short AS text CHECK (length(value) < 5);
         CREATE TABLE t (id int PRIMARY KEY, a mood, b pair, c short, d int[], e mood[], f pair[], g tstzrange, h bytea, i uuid, j xml,
             k json[], l inet, m point, n \"char\", o bit(3), p tsvector, q bool, r date, s money)",
    )
    .await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run(
        r#"INSERT INTO t VALUES (1, 'good', ROW(1, '{"a": "\u0000"}'), 'x', '{1,2}', '{good,bad}', ARRAY[ROW(1, '2')::pair],
            '[2026-01-01 00:00+00,)', '\x00ff', '7f3c0000-0000-0000-0000-000000000000', '<a/>', ARRAY['1', '"\u0000"']::json[], '10.0.0.1',
            '(1,2)', 'c', '101', 'a b', true, '2026-01-01', '1')"#,
    )
    .await;
    db.run("UPDATE t SET a = NULL, b = NULL, c = NULL, d = NULL, e = NULL, f = NULL, g = NULL, h = NULL, i = NULL, j = NULL, k = NULL,
        l = NULL, m = NULL, n = NULL, o = NULL, p = NULL, q = NULL, r = NULL, s = NULL").await;
    let told = db.told().await;
    let (inserted, old) = (
        told[0]["new"].as_object().unwrap(),
        told[1]["old"].as_object().unwrap(),
    );
    assert_eq!(old.len(), 19);
    for (column, value) in old {
        assert_eq!(inserted[column], *value, "{column}");
        assert_eq!(told[1]["new"][column], json!(null), "{column}");
        assert!(!value.is_null(), "{column}");
    }
    assert_eq!(
        (&inserted["a"], &inserted["d"], &inserted["q"]),
        (&json!("good"), &json!([1, 2]), &json!(true))
    );
    db.assert_well().await;
}

async fn rows_that_a_foreign_key_takes_along_are_recorded(triggers: Triggers) {
    let db = Tracked::with(
        "CREATE TABLE parents (id int PRIMARY KEY);
         CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE);
         CREATE TABLE guests (id int PRIMARY KEY, host int REFERENCES parents ON DELETE SET NULL)",
    )
    .await;
    for table in ["parents", "children", "guests"] {
        db.track(table, Track::new().triggers(triggers)).await;
    }
    db.run("INSERT INTO parents VALUES (1); INSERT INTO children VALUES (7, 1); INSERT INTO guests VALUES (9, 1)").await;
    db.run("DELETE FROM guests WHERE false; UPDATE guests SET host = NULL; UPDATE parents SET id = 2; DELETE FROM parents").await;
    let told = db.told().await;
    let expected = [
        json!({"update": {"id": 7}, "old": {"parent": 1}, "new": {"parent": 2}}),
        json!({"delete": {"id": 7}, "old": {"id": 7, "parent": 2}}),
    ];
    for expected in expected {
        assert!(told.contains(&expected), "{told:#?}");
    }
}

async fn merge_is_recorded_as_what_it_did(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 1), (2, 'b', 2)")
        .await;
    db.run(
        "MERGE INTO jobs USING (VALUES (1), (2), (3)) AS s (id) ON jobs.id = s.id
         WHEN MATCHED AND s.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET runs = 9 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'c')",
    )
    .await;
    let mut told: Vec<_> = db.told().await.drain(2..).collect();
    told.sort_by_key(ToString::to_string);
    assert_eq!(
        told,
        [
            json!({"delete": {"id": 1}, "old": {"id": 1, "name": "a", "runs": 1}}),
            json!({"insert": {"id": 3}, "new": {"id": 3, "name": "c", "runs": null}}),
            json!({"update": {"id": 2}, "old": {"runs": 2}, "new": {"runs": 9}}),
        ]
    );
}

async fn copy_is_recorded(triggers: Triggers) {
    let db = jobs(triggers).await;
    let mut session = db.session().await;
    let mut copy = session
        .copy_in_raw("COPY jobs (id, name) FROM STDIN")
        .await
        .unwrap();
    copy.send(&b"1\ta\n2\tb\n"[..]).await.unwrap();
    copy.finish().await.unwrap();
    let told = db.told().await;
    assert_eq!(
        told[1],
        json!({"insert": {"id": 2}, "new": {"id": 2, "name": "b", "runs": null}})
    );
    assert_eq!(told.len(), 2);
}

async fn on_conflict_is_recorded_as_what_it_did(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 1)").await;
    db.run("INSERT INTO jobs VALUES (1, 'x'), (2, 'y') ON CONFLICT (id) DO UPDATE SET name = excluded.name").await;
    db.run("INSERT INTO jobs VALUES (1, 'z') ON CONFLICT DO NOTHING")
        .await;
    let mut told: Vec<_> = db.told().await.drain(1..).collect();
    told.sort_by_key(ToString::to_string);
    assert_eq!(
        told,
        [
            json!({"insert": {"id": 2}, "new": {"id": 2, "name": "y", "runs": null}}),
            json!({"update": {"id": 1}, "old": {"name": "a"}, "new": {"name": "x"}}),
        ]
    );
}

const PARTITIONED: &str = "\
    CREATE TABLE t (id int, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')";

async fn partitions_are_recorded_under_the_name_of_their_table(triggers: Triggers) {
    let db = Tracked::with(PARTITIONED).await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (1, '2026-01-05', 'a'); UPDATE t_1 SET note = 'b'; DELETE FROM t; TRUNCATE t_2").await;
    let changes = db.changes().await;
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.table.to_string(), change.operation.as_str()))
        .collect();
    let of_t = |operation| ("public.t".to_owned(), operation);
    assert_eq!(told, ["insert", "update", "delete", "truncate"].map(of_t));
    db.assert_well().await;
}

async fn a_row_that_moves_to_another_partition_is_deleted_and_inserted(triggers: Triggers) {
    let db = Tracked::with(PARTITIONED).await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (1, '2026-01-05', 'a'); UPDATE t SET at = '2026-02-05'")
        .await;
    let told = db.told().await;
    if triggers == Triggers::Row {
        assert_eq!(told[1]["old"]["at"], "2026-01-05");
        assert_eq!(told[2]["new"]["at"], "2026-02-05");
    } else {
        // For the statement it is an update.
        assert_eq!(
            (&told[1]["old"]["at"], &told[1]["new"]["at"]),
            (&json!("2026-01-05"), &json!("2026-02-05"))
        );
    }
}

async fn a_row_that_is_refused_on_its_way_to_another_partition_upsets_no_other(triggers: Triggers) {
    let db = Tracked::with(
        "CREATE TABLE t (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
         CREATE TABLE t_a PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE t_b PARTITION OF t DEFAULT;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 21 THEN RETURN NULL; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON t_b FOR EACH ROW EXECUTE FUNCTION refuse();
         INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (11, 'eleven')",
    )
    .await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("UPDATE t SET id = id + 20, note = upper(note) WHERE id < 10")
        .await;
    let told = db.told().await;
    let mut left: Vec<_> = told
        .iter()
        .filter(|told| told["insert"].is_object())
        .map(|told| told["new"].clone())
        .collect();
    left.sort_by_key(|row| row["id"].as_i64());
    assert_eq!(
        left,
        [
            json!({"id": 22, "note": "TWO"}),
            json!({"id": 23, "note": "THREE"})
        ]
    );
    let gone = told.iter().filter(|told| told["delete"].is_object());
    assert_eq!(gone.count(), 3);
    assert_eq!(told.len(), 5, "{told:#?}");
}

async fn a_table_of_many_columns_is_recorded(triggers: Triggers) {
    let columns: Vec<String> = (0..250)
        .map(|column| format!("c{column} int DEFAULT {column}"))
        .collect();
    let db = Tracked::with(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, {})",
        columns.join(", ")
    ))
    .await;
    db.track("t", Track::new().triggers(triggers)).await;
    db.run("INSERT INTO t VALUES (1); UPDATE t SET c7 = 0, c249 = 0")
        .await;
    let told = db.told().await;
    assert_eq!(told[0]["new"].as_object().unwrap().len(), 251);
    assert_eq!(told[1]["old"], json!({"c7": 7, "c249": 249}));
}

async fn names_that_need_quotes_are_recorded(triggers: Triggers) {
    let db = Tracked::with(
        r#"CREATE TABLE "a 'b"" $body$ %s" ("i\d'" int PRIMARY KEY, "N""x'); DROP TABLE x; --" text, "place" int, "new" text, "o" int, "é" int)"#,
    )
    .await;
    db.track("a 'b\" $body$ %s", Track::new().triggers(triggers))
        .await;
    db.run(r#"INSERT INTO "a 'b"" $body$ %s" VALUES (1, 'a', 1, 'b', 1, 1); UPDATE "a 'b"" $body$ %s" SET "new" = 'c', "N""x'); DROP TABLE x; --" = 'd'"#).await;
    let told = db.told().await;
    assert_eq!(told[0]["insert"], json!({r"i\d'": 1}));
    assert_eq!(
        told[1]["new"],
        json!({"new": "c", "N\"x'); DROP TABLE x; --": "d"})
    );
    assert_eq!(db.changes().await[0].table.table(), "a 'b\" $body$ %s");
    db.assert_well().await;
}

async fn a_value_that_is_too_long_is_recorded_by_its_hash(triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, a text, b bytea, c jsonb, d json)")
        .await;
    db.track("t", Track::new().triggers(triggers).longest_value(100))
        .await;
    db.run(
        "INSERT INTO t VALUES (1, repeat('x', 100), repeat('x', 101)::bytea, to_jsonb(repeat('x', 101)), to_json(repeat('x', 101)));
         UPDATE t SET a = repeat('x', 101); UPDATE t SET c = to_jsonb(repeat('x', 100000));
         UPDATE t SET a = 'y', b = 'y'",
    )
    .await;
    let told = db.told().await;
    // printf 'x%.0s' {1..101} | sha256sum
    let hash = "sha256:c675a2e604b0cd1229c036e3ce0c87422980a245e295bbc605a507a2299752db";
    assert_eq!(told[0]["new"]["a"].as_str().unwrap().len(), 100);
    let digest = json!({"tower_audit": hash, "bytes": 101});
    assert_eq!(told[0]["new"]["b"], digest);
    // With its quotes.
    for column in ["c", "d"] {
        assert_eq!(told[0]["new"][column]["bytes"], 103);
    }
    assert_eq!(told[1]["new"]["a"], digest);
    // The table takes less for it.
    assert_eq!(told[2]["new"]["c"]["bytes"], 100_002);
    assert_eq!(told[3]["old"], json!({"a": digest, "b": digest}));
    assert_eq!(told[3]["new"], json!({"a": "y", "b": "\\x79"}));
}

async fn what_was_rolled_back_is_not_there(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run("BEGIN; INSERT INTO jobs VALUES (1); SAVEPOINT s; INSERT INTO jobs VALUES (2); ROLLBACK TO s; COMMIT").await;
    db.run("BEGIN; INSERT INTO jobs VALUES (3); ROLLBACK").await;
    let told = db.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["insert"], json!({"id": 1}));
}

async fn a_row_that_a_trigger_of_the_app_changes_again_has_its_changes_in_order(
    triggers: Triggers,
) {
    let db = jobs(triggers).await;
    db.run(
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE jobs SET runs = NEW.runs + 1 WHERE id = NEW.id AND runs < 3; RETURN NULL; END $$;
         CREATE TRIGGER a_again AFTER UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION again();
         INSERT INTO jobs VALUES (1, 'a', 0); UPDATE jobs SET runs = 1",
    )
    .await;
    let told = db.told().await;
    let runs: Vec<_> = told[1..]
        .iter()
        .map(|told| (told["old"]["runs"].clone(), told["new"]["runs"].clone()))
        .collect();
    let expected = [(0, 1), (1, 2), (2, 3)].map(|(old, new)| (json!(old), json!(new)));
    if triggers == Triggers::Row {
        assert_eq!(runs, expected);
    } else {
        // A statement has ended when its triggers run: those that its rows brought about have ended before.
        assert_eq!(runs.len(), 3);
    }
}

async fn what_a_trigger_of_the_app_makes_of_a_row_is_what_is_recorded(triggers: Triggers) {
    let db = jobs(triggers).await;
    db.run(
        "CREATE FUNCTION upper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
         CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION upper();
         INSERT INTO jobs VALUES (1, 'a'); UPDATE jobs SET name = 'b'",
    )
    .await;
    assert_eq!(db.told().await[1]["new"], json!({"name": "B"}));
}

async fn a_value_is_written_the_same_whatever_the_session_has_set(triggers: Triggers) {
    let db = Tracked::with(
        "CREATE TYPE pair AS (a date); CREATE TABLE t (id timestamptz PRIMARY KEY, a float8, b bytea, c interval, d daterange, e pair)",
    )
    .await;
    db.track("t", Track::new().triggers(triggers)).await;
    let insert = "INSERT INTO t VALUES ('2026-03-04 12:00+00', 0.12345678901234568, 'a', '1 day 02:00', '[2026-03-04,2026-05-06)', ROW('2026-03-04')); DELETE FROM t";
    db.run(insert).await;
    db.run(&format!(
        "BEGIN; SET LOCAL timezone = 'Asia/Tokyo'; SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL intervalstyle = 'iso_8601';
         SET LOCAL extra_float_digits = -15; SET LOCAL bytea_output = 'escape'; {}; COMMIT",
        insert.replace("'[2026-03-04,2026-05-06)'", "daterange('2026-03-04', '2026-05-06')")
    ))
    .await;
    let told = db.told().await;
    assert_eq!((&told[0], &told[1]), (&told[2], &told[3]));
    db.assert_well().await;
}
