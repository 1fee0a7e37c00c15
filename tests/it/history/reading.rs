//! Reading the history back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_audit::{Actor, changes::ChangeContext};
use tower_audit_core::{
    EventId, PageSize,
    changes::{ChangeFilter, ChangeReader as _, Columns, Operation},
};
use tower_audit_history::{AsOf, AuditedTransaction, Finding, HistoryError, Track, Triggers};

use super::support::{Tracked, name, now};

fn columns(value: Value) -> Columns {
    match value {
        Value::Object(columns) => columns,
        other => panic!("{other} has no columns"),
    }
}

async fn jobs() -> Tracked {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text, plan text)").await;
    db.track("jobs", Track::new()).await;
    db
}

async fn as_of(db: &Tracked, id: i32, time: DateTime<Utc>) -> AsOf {
    let key = columns(json!({"id": id}));
    db.history.as_of(&name("jobs"), &key, time).await.unwrap()
}

fn row(value: Value) -> AsOf {
    AsOf::Row(columns(value))
}

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
async fn a_row_is_told_as_it_was_at_any_moment() {
    let db = jobs().await;
    let mut times = vec![now(&db).await];
    for sql in [
        "INSERT INTO jobs VALUES (1, 'a', 'pro')",
        "UPDATE jobs SET name = 'b'",
        "UPDATE jobs SET id = 7, plan = NULL",
        "DELETE FROM jobs",
        "INSERT INTO jobs VALUES (7, 'z')",
        "TRUNCATE jobs",
    ] {
        db.run(sql).await;
        times.push(now(&db).await);
    }
    let expected = [
        AsOf::NoRow,
        AsOf::NoRow,
        AsOf::NoRow,
        row(json!({"id": 7, "name": "b", "plan": null})),
        AsOf::NoRow,
        row(json!({"id": 7, "name": "z", "plan": null})),
        AsOf::NoRow,
    ];
    for (time, expected) in times.iter().zip(expected) {
        assert_eq!(as_of(&db, 7, *time).await, expected);
    }
    assert_eq!(
        as_of(&db, 1, times[2]).await,
        row(json!({"id": 1, "name": "b", "plan": "pro"}))
    );
    assert_eq!(as_of(&db, 1, times[3]).await, AsOf::NoRow);
}

#[tokio::test]
async fn what_cannot_be_known_after_keys_were_swapped_is_not_claimed() {
    let tracked_later = [true, false];
    for is_baseline in tracked_later {
        let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY DEFERRABLE, name text); INSERT INTO jobs VALUES (1, 'one'), (2, 'two'), (3, 'three')").await;
        db.track("jobs", Track::new()).await;
        if is_baseline {
            db.history.baseline(&name("jobs")).await.unwrap();
        }
        let mut moments = vec![(now(&db).await, [(1, "one"), (2, "two"), (3, "three")])];
        db.run("UPDATE jobs SET id = CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 3 END")
            .await;
        moments.push((now(&db).await, [(2, "one"), (1, "two"), (3, "three")]));
        db.run("UPDATE jobs SET id = id + 1").await;
        moments.push((now(&db).await, [(3, "one"), (2, "two"), (4, "three")]));
        let (mut known, mut unknown) = (0, 0);
        for (time, rows) in moments {
            for id in 1..=4 {
                let expected = rows.iter().find(|(there, _)| *there == id);
                let expected = expected.map_or(AsOf::NoRow, |(id, name)| {
                    row(json!({"id": id, "name": name}))
                });
                match as_of(&db, id, time).await {
                    AsOf::Unknown => unknown += 1,
                    found => {
                        assert_eq!(found, expected, "{id} at {time}");
                        known += 1;
                    }
                }
            }
        }
        assert!(known > 0 && unknown > 0, "{known} {unknown}");
    }
}

#[tokio::test]
async fn a_row_older_than_its_history_is_told_from_what_it_is_now() {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text, plan text); INSERT INTO jobs VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')").await;
    db.track("jobs", Track::new()).await;
    let before = now(&db).await;
    db.run("UPDATE jobs SET name = 'A' WHERE id = 1; UPDATE jobs SET id = 9, plan = 'Y' WHERE id = 2; DELETE FROM jobs WHERE id = 3").await;
    assert_eq!(
        as_of(&db, 1, before).await,
        row(json!({"id": 1, "name": "a", "plan": "x"}))
    );
    assert_eq!(
        as_of(&db, 2, before).await,
        row(json!({"id": 2, "name": "b", "plan": "y"}))
    );
    assert_eq!(
        as_of(&db, 3, before).await,
        row(json!({"id": 3, "name": "c", "plan": "z"}))
    );
    assert_eq!(as_of(&db, 9, before).await, AsOf::NoRow);
}

#[tokio::test]
async fn a_row_is_followed_through_a_new_name_of_its_table() {
    let db = jobs().await;
    db.run("INSERT INTO jobs VALUES (1, 'a')").await;
    let before = now(&db).await;
    db.run("ALTER TABLE jobs RENAME TO tasks").await;
    db.track("tasks", Track::new()).await;
    db.run("UPDATE tasks SET name = 'b'").await;
    let key = columns(json!({"id": 1}));
    for (time, expected) in [(before, "a"), (now(&db).await, "b")] {
        let found = db.history.as_of(&name("tasks"), &key, time).await.unwrap();
        assert_eq!(found, row(json!({"id": 1, "name": expected, "plan": null})));
    }
}

#[tokio::test]
async fn a_row_is_told_through_more_changes_than_are_read_at_once() {
    let db = jobs().await;
    // Another row had the key that this one will get.
    db.run("INSERT INTO jobs VALUES (2, 'other', 'y'); DELETE FROM jobs")
        .await;
    db.run("INSERT INTO jobs VALUES (1, 'first', 'x')").await;
    let first = now(&db).await;
    db.run("DO $$ BEGIN FOR n IN 1..600 LOOP UPDATE jobs SET plan = n::text; IF n = 300 THEN UPDATE jobs SET id = 2; END IF; END LOOP; END $$")
        .await;
    let last = now(&db).await;
    assert_eq!(
        as_of(&db, 2, last).await,
        row(json!({"id": 2, "name": "first", "plan": "600"}))
    );
    // Where its begin is not known, it is what comes after the moment that tells.
    db.history.untrack(&name("jobs")).await.unwrap();
    db.track("jobs", Track::new()).await;
    let again = now(&db).await;
    db.run("DO $$ BEGIN FOR n IN 1..600 LOOP UPDATE jobs SET plan = (n + 600)::text; END LOOP; UPDATE jobs SET name = 'z'; END $$").await;
    assert_eq!(
        as_of(&db, 2, again).await,
        row(json!({"id": 2, "name": "first", "plan": "600"}))
    );
    assert_eq!(as_of(&db, 1, first).await, AsOf::Unknown);
}

#[tokio::test]
async fn nothing_is_claimed_of_a_time_in_which_the_table_was_not_tracked_or_its_triggers_were_disabled()
 {
    let db = jobs().await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 'x')").await;
    let tracked = now(&db).await;
    assert_eq!(
        as_of(&db, 1, tracked).await,
        row(json!({"id": 1, "name": "a", "plan": "x"}))
    );
    let mut gaps = vec![tracked];
    for (begin, end) in [
        (None, Track::new()),
        (
            Some("ALTER TABLE jobs DISABLE TRIGGER USER"),
            Track::new().ignore(["plan"]),
        ),
    ] {
        match begin {
            Some(sql) => db.run(sql).await,
            None => db.history.untrack(&name("jobs")).await.unwrap(),
        }
        db.run("UPDATE jobs SET name = name || 'b'").await;
        gaps.push(now(&db).await);
        db.track("jobs", end).await;
        for gap in &gaps {
            assert_eq!(as_of(&db, 1, *gap).await, AsOf::Unknown, "{begin:?}");
        }
    }
    assert_eq!(
        as_of(&db, 1, now(&db).await).await,
        row(json!({"id": 1, "name": "abb"}))
    );
}

#[tokio::test]
async fn a_history_goes_on_without_a_gap_if_the_table_is_tracked_in_another_way() {
    let db = jobs().await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 'x')").await;
    let before = now(&db).await;
    for triggers in [Triggers::Statement, Triggers::Row] {
        let track = Track::new().ignore(["plan"]).triggers(triggers);
        db.track("jobs", track).await;
    }
    assert_eq!(
        as_of(&db, 1, before).await,
        row(json!({"id": 1, "name": "a", "plan": "x"}))
    );
}

#[tokio::test]
async fn a_truncate_of_a_partition_ends_no_row_of_another_one() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text) PARTITION BY RANGE (id); \
             CREATE TABLE jobs_a PARTITION OF jobs FOR VALUES FROM (0) TO (10); CREATE TABLE jobs_b PARTITION OF jobs DEFAULT").await;
        db.track("jobs", Track::new().triggers(triggers)).await;
        db.run("INSERT INTO jobs VALUES (1, 'a'), (2, 'b'), (11, 'c'), (12, 'd')")
            .await;
        let full = now(&db).await;
        db.run("TRUNCATE jobs_a").await;
        let truncated = now(&db).await;
        db.run("UPDATE jobs SET name = 'C' WHERE id = 11; INSERT INTO jobs VALUES (2, 'B')")
            .await;
        let kept = |id: i32, name: &str| row(json!({"id": id, "name": name}));
        for (id, expected) in [
            (1, AsOf::NoRow),
            (2, AsOf::NoRow),
            (11, kept(11, "c")),
            (12, kept(12, "d")),
        ] {
            assert_eq!(as_of(&db, id, truncated).await, expected, "{id}");
        }
        for (id, name) in [(1, "a"), (2, "b"), (11, "c"), (12, "d")] {
            assert_eq!(as_of(&db, id, full).await, kept(id, name));
        }
        let told = db.told().await;
        let expected = json!({"truncate": null, "old": {"partition": "public.jobs_a"}});
        assert!(told.contains(&expected), "{told:?}");
        db.run("TRUNCATE jobs").await;
        assert_eq!(as_of(&db, 12, now(&db).await).await, AsOf::NoRow);
    }
}

#[tokio::test]
async fn changes_that_a_trigger_of_the_app_made_before_the_statement_was_recorded_are_not_taken_for_older_ones()
 {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text); \
         CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF NEW.name = 'b' THEN UPDATE public.jobs SET name = 'c' WHERE id = NEW.id; END IF; RETURN NULL; END $$; \
         CREATE TRIGGER more AFTER UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION more(); INSERT INTO jobs VALUES (1, 'a')").await;
    let track = Track::new().triggers(Triggers::Statement);
    db.track("jobs", track).await;
    let before = now(&db).await;
    db.run("UPDATE jobs SET name = 'b'").await;
    assert_eq!(as_of(&db, 1, before).await, AsOf::Unknown);
    assert_eq!(as_of(&db, 1, now(&db).await).await, AsOf::Unknown);
    db.run("UPDATE jobs SET name = 'd'").await;
    assert_eq!(
        as_of(&db, 1, now(&db).await).await,
        row(json!({"id": 1, "name": "d"}))
    );
}

#[tokio::test]
async fn nothing_wrong_is_claimed_where_triggers_of_the_app_change_the_same_rows() {
    let one_default = "CREATE FUNCTION app() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.a THEN UPDATE public.jobs SET a = false WHERE id <> NEW.id AND a; END IF; RETURN NULL; END $$";
    let back = "CREATE FUNCTION app() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF pg_trigger_depth() = 1 THEN UPDATE public.jobs SET a = false WHERE id = NEW.id; END IF; RETURN NULL; END $$";
    let gone = "CREATE FUNCTION app() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.id = 2 THEN DELETE FROM public.jobs WHERE id = NEW.id; END IF; RETURN NULL; END $$";
    for triggers in [Triggers::Row, Triggers::Statement] {
        for (function, name_of_trigger) in [(one_default, "one"), (back, "!app"), (gone, "!app")] {
            let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, a bool)").await;
            db.track("jobs", Track::new().triggers(triggers)).await;
            db.run(&format!("{function}; CREATE TRIGGER \"{name_of_trigger}\" AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION app()"))
                .await;
            for sql in [
                "INSERT INTO jobs VALUES (1, true), (2, true)",
                "INSERT INTO jobs VALUES (3, true)",
                "UPDATE jobs SET a = true",
                "UPDATE jobs SET a = false WHERE id = 1",
            ] {
                db.run(sql).await;
                let there =
                    "SELECT coalesce(jsonb_object_agg(id::text, to_jsonb(j)), '{}') FROM jobs AS j";
                let there: Value = sqlx::query_scalar(there)
                    .fetch_one(&db.database.pool)
                    .await
                    .unwrap();
                for id in 1..=3 {
                    match as_of(&db, id, now(&db).await).await {
                        AsOf::Unknown => {}
                        AsOf::Row(row) => {
                            assert_eq!(Value::Object(row), there[id.to_string()], "{sql}");
                        }
                        _ => assert_eq!(there.get(id.to_string()), None, "{sql}"),
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_table_that_got_the_name_of_another_one_has_a_history_of_its_own() {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text, plan text)").await;
    db.track("jobs", Track::new()).await;
    db.run("INSERT INTO jobs VALUES (1, 'old', 'x'), (2, 'old', 'x'); DELETE FROM jobs WHERE id = 2; ALTER TABLE jobs RENAME TO archive")
        .await;
    let deleted = db.changes().await[2].id;
    let create = "CREATE TABLE jobs (id int PRIMARY KEY, name text, plan text)";
    db.run(create).await;
    // It would pass for the other one, whose triggers are elsewhere now.
    let said = db.history.track(&name("jobs"), Track::new()).await;
    assert_eq!(
        said.unwrap_err().to_string(),
        "public.archive was called public.jobs when it was tracked: track it under its new name first, or untrack public.jobs"
    );
    let renamed = Finding::RenamedTable {
        to: name("archive"),
    };
    let found = db.history.verify().await.unwrap();
    assert_eq!(found, [(Some(name("jobs")), renamed)]);
    db.track("archive", Track::new()).await;
    db.track("jobs", Track::new()).await;
    db.run(
        "INSERT INTO jobs VALUES (1, 'new', 'y'), (3, 'new', 'y'); DELETE FROM jobs WHERE id = 1",
    )
    .await;
    let of_archive = async |id: i32| {
        let key = columns(json!({"id": id}));
        let archive = name("archive");
        let found = db.history.as_of(&archive, &key, now(&db).await);
        found.await.unwrap()
    };
    assert_eq!(
        of_archive(1).await,
        row(json!({"id": 1, "name": "old", "plan": "x"}))
    );
    assert_eq!(of_archive(3).await, AsOf::NoRow);
    // What was deleted goes back to where it was.
    let revert = db.history.revert(deleted).await.unwrap();
    assert!(revert.sql().contains("\"archive\""), "{}", revert.sql());
    // The history of a table that was made anew does not reach back.
    db.history.untrack(&name("jobs")).await.unwrap();
    db.track("jobs", Track::new()).await;
    let inserted = db.changes().await.pop().unwrap();
    let said = db.history.revert(inserted.id).await.unwrap_err();
    assert!(
        matches!(
            said,
            HistoryError::Irreversible(_) | HistoryError::NotTracked(_)
        ),
        "{said}"
    );
}

#[tokio::test]
async fn a_history_begins_anew_where_columns_or_keys_mean_something_else() {
    for change in [
        "ALTER TABLE jobs RENAME name TO title",
        "ALTER TABLE jobs RENAME name TO x; ALTER TABLE jobs RENAME plan TO name; ALTER TABLE jobs RENAME x TO plan",
        "ALTER TABLE jobs ALTER name TYPE varchar USING 'n' || name",
        "ALTER TABLE jobs DROP name; ALTER TABLE jobs ADD name text DEFAULT 'z'",
        "ALTER TABLE jobs DROP CONSTRAINT jobs_pkey; UPDATE jobs SET id = id + 10; ALTER TABLE jobs ADD PRIMARY KEY (id, plan)",
    ] {
        let db = jobs().await;
        db.run("INSERT INTO jobs VALUES (1, 'a', 'x')").await;
        let before = now(&db).await;
        db.run(change).await;
        let is_key_other = change.contains("PRIMARY KEY");
        let key = columns(if is_key_other {
            json!({"id": 1, "plan": "x"})
        } else {
            json!({"id": 1})
        });
        for _ in 0..2 {
            let jobs = name("jobs");
            for time in [before, now(&db).await] {
                let found = db.history.as_of(&jobs, &key, time).await.unwrap();
                assert_eq!(found, AsOf::Unknown, "{change}");
                if db.history.verify().await.unwrap().is_empty() {
                    break;
                }
            }
            db.track("jobs", Track::new()).await;
        }
    }
    // What only comes and goes leaves it as it is.
    let db = jobs().await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 'x')").await;
    let before = now(&db).await;
    db.run("ALTER TABLE jobs ADD more text, DROP plan").await;
    db.track("jobs", Track::new()).await;
    assert_eq!(
        as_of(&db, 1, before).await,
        row(json!({"id": 1, "name": "a", "plan": "x"}))
    );
}

#[tokio::test]
async fn a_row_is_found_by_any_spelling_of_its_key() {
    let db = Tracked::with("CREATE TABLE jobs (id numeric PRIMARY KEY, name text)").await;
    db.track("jobs", Track::new()).await;
    db.run("INSERT INTO jobs VALUES (1.50, 'a')").await;
    let before = now(&db).await;
    db.run("UPDATE jobs SET name = 'b'").await;
    for spelled in [json!(1.5), json!("1.5"), json!("1.50"), json!("1.500")] {
        let key = columns(json!({"id": spelled}));
        let found = db.history.as_of(&name("jobs"), &key, before).await;
        assert_eq!(found.unwrap(), row(json!({"id": "1.50", "name": "a"})));
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_named_is_refused_with_how_to_name_it() {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY); CREATE TABLE t (a int)").await;
    db.track("jobs", Track::new()).await;
    db.track("t", Track::new()).await;
    let ask = async |table: &str, key: Value| {
        let asked = db
            .history
            .as_of(&name(table), &columns(key), Utc::now())
            .await;
        asked.unwrap_err().to_string()
    };
    assert_eq!(
        ask("jobs", json!({"name": 1})).await,
        "the key of public.jobs is id: name each of these columns, and no other"
    );
    assert!(
        ask("t", json!({"a": 1}))
            .await
            .contains("give one, `Track::key`")
    );
    assert_eq!(
        ask("other", json!({"a": 1})).await,
        "public.other is not tracked"
    );
}

#[tokio::test]
async fn a_key_may_be_spelled_as_the_column_takes_it() {
    let db = Tracked::with("CREATE DOMAIN given AS text NOT NULL; CREATE TYPE kind AS ENUM ('a', 'b'); \
         CREATE TABLE jobs (id int, price numeric(6, 2), code char(4), at timestamptz, kind kind, note given, PRIMARY KEY (id, price, code, at, kind))").await;
    db.track("jobs", Track::new()).await;
    db.run("INSERT INTO jobs VALUES (7, 1.5, 'ab', '2026-11-22 12:00+01', 'b', 'x')")
        .await;
    let key = columns(
        json!({"id": "7", "price": 1.5, "code": "ab", "at": "2026-11-22 11:00Z", "kind": "b"}),
    );
    let jobs = name("jobs");
    let spelled = db.history.spelled_key(&jobs, &key).await.unwrap();
    assert_eq!(Some(&spelled), db.changes().await[0].key.as_ref());
    let found = db.history.as_of(&jobs, &key, now(&db).await);
    let AsOf::Row(found) = found.await.unwrap() else {
        panic!("no row has that key");
    };
    assert_eq!(found["note"], "x");
}

#[tokio::test]
async fn a_row_whose_key_is_masked_cannot_be_asked_for() {
    let db = Tracked::with("CREATE TABLE jobs (token text PRIMARY KEY)").await;
    db.track("jobs", Track::new().mask(["token"])).await;
    let key = columns(json!({"token": "x"}));
    let asked = db.history.as_of(&name("jobs"), &key, now(&db).await).await;
    assert_eq!(
        asked.unwrap_err().to_string(),
        "the key of public.jobs is masked: the history does not know which row was which"
    );
}

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

/// What is done to rows, by number.
#[derive(Clone, Debug)]
enum Step {
    Insert(i32, i32),
    Update(i32, i32),
    Move(i32, i32),
    Delete(i32),
    Truncate,
    Baseline,
}

fn step() -> impl Strategy<Value = Step> {
    let (id, value) = (0..4_i32, 0..5_i32);
    prop_oneof![
        4 => (id.clone(), value.clone()).prop_map(|(id, value)| Step::Insert(id, value)),
        5 => (id.clone(), value).prop_map(|(id, value)| Step::Update(id, value)),
        3 => (id.clone(), id.clone()).prop_map(|(from, to)| Step::Move(from, to)),
        2 => id.prop_map(Step::Delete),
        1 => Just(Step::Truncate),
        1 => Just(Step::Baseline),
    ]
}

/// Does a step to the model; returns whether it can be done.
fn apply(model: &mut BTreeMap<i32, i32>, step: &Step) -> bool {
    match *step {
        Step::Insert(id, value) if !model.contains_key(&id) => model.insert(id, value).is_none(),
        Step::Update(id, value) if model.contains_key(&id) => model.insert(id, value).is_some(),
        Step::Move(from, to) if model.contains_key(&from) && !model.contains_key(&to) => {
            let value = model.remove(&from).unwrap();
            model.insert(to, value).is_none()
        }
        Step::Delete(id) => model.remove(&id).is_some(),
        Step::Truncate => {
            model.clear();
            true
        }
        Step::Baseline => true,
        _ => false,
    }
}

fn sql(step: &Step) -> Option<String> {
    Some(match step {
        Step::Insert(id, value) => format!("INSERT INTO jobs VALUES ({id}, 'n{value}')"),
        Step::Update(id, value) => format!("UPDATE jobs SET name = 'n{value}' WHERE id = {id}"),
        Step::Move(from, to) => format!("UPDATE jobs SET id = {to} WHERE id = {from}"),
        Step::Delete(id) => format!("DELETE FROM jobs WHERE id = {id}"),
        Step::Truncate => "TRUNCATE jobs".to_owned(),
        Step::Baseline => return None,
    })
}

/// Does the steps, some of them before the table is tracked, and asks for every row at every moment since.
async fn check_model(steps: &[Step], untracked: usize, triggers: Triggers) {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text)").await;
    let (mut model, mut moments) = (BTreeMap::new(), Vec::new());
    for (index, step) in steps.iter().enumerate() {
        if index == untracked {
            db.track("jobs", Track::new().triggers(triggers)).await;
        }
        if !apply(&mut model, step) {
            continue;
        }
        match sql(step) {
            Some(sql) => db.run(&sql).await,
            None if index >= untracked => drop(db.history.baseline(&name("jobs")).await.unwrap()),
            None => {}
        }
        if index >= untracked {
            moments.push((now(&db).await, model.clone(), step.clone()));
        }
    }
    for (time, model, step) in moments {
        for id in 0..4 {
            let expected = model
                .get(&id)
                .map(|value| json!({"id": id, "name": format!("n{value}")}));
            let found = as_of(&db, id, time).await;
            let found = match found {
                AsOf::Row(row) => Some(Value::Object(row)),
                // What TRUNCATE took along before anything was known of it.
                AsOf::Unknown => continue,
                _ => None,
            };
            assert_eq!(found, expected, "row {id} after {step:?} of {steps:?}");
        }
    }
}

#[test]
fn every_row_is_told_as_a_model_says_it_was() {
    let steps = (
        proptest::collection::vec(step(), 1..25),
        1..6_usize,
        any::<bool>(),
    );
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(config, |((steps, untracked, is_statement) in steps)| {
        let triggers = if is_statement { Triggers::Statement } else { Triggers::Row };
        runtime.block_on(check_model(&steps, untracked.min(steps.len() - 1), triggers));
    });
}
