//! What a row was at a moment.

use serde_json::{Value, json};
use tower_audit_history::{AsOf, Finding, HistoryError, Track, Triggers};

use super::support::{Tracked, as_of, columns, jobs, name, now, row};

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
async fn a_column_is_told_for_the_time_in_which_it_was_recorded() {
    let db = jobs().await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 'x')").await;
    let first = now(&db).await;
    db.track("jobs", Track::new().ignore(["plan"])).await;
    db.run("UPDATE jobs SET plan = 'y'").await;
    let ignored = now(&db).await;
    db.track("jobs", Track::new()).await;
    let again = now(&db).await;
    db.run("UPDATE jobs SET plan = 'z'").await;
    let told = [
        (first, json!({"id": 1, "name": "a", "plan": "x"})),
        (ignored, json!({"id": 1, "name": "a"})),
        (again, json!({"id": 1, "name": "a", "plan": "y"})),
    ];
    for (time, expected) in told {
        assert_eq!(as_of(&db, 1, time).await, row(expected));
    }
}

#[tokio::test]
async fn a_column_that_was_made_anew_is_not_taken_for_the_one_that_had_its_name() {
    let db = jobs().await;
    db.run("INSERT INTO jobs VALUES (1, 'a', 'old')").await;
    let first = now(&db).await;
    db.run("ALTER TABLE jobs DROP plan").await;
    db.track("jobs", Track::new()).await;
    let without = now(&db).await;
    db.run("ALTER TABLE jobs ADD plan text DEFAULT 'new'").await;
    db.track("jobs", Track::new()).await;
    let with = now(&db).await;
    db.run("UPDATE jobs SET plan = 'newer'").await;
    let told = [
        (first, json!({"id": 1, "name": "a", "plan": "old"})),
        (without, json!({"id": 1, "name": "a"})),
        (with, json!({"id": 1, "name": "a", "plan": "new"})),
    ];
    for (time, expected) in told {
        assert_eq!(as_of(&db, 1, time).await, row(expected));
    }
}

#[tokio::test]
async fn nothing_is_claimed_of_a_table_whose_triggers_do_not_fire_or_that_was_made_anew() {
    for change in [
        "ALTER TABLE jobs DISABLE TRIGGER ALL; UPDATE jobs SET name = 'b'",
        "DROP TABLE jobs; CREATE TABLE jobs (id int PRIMARY KEY, name text, plan text); INSERT INTO jobs VALUES (1, 'b', 'y')",
    ] {
        let db = jobs().await;
        db.run("INSERT INTO jobs VALUES (1, 'a', 'x')").await;
        let before = now(&db).await;
        db.run(change).await;
        for time in [before, now(&db).await] {
            assert_eq!(as_of(&db, 1, time).await, AsOf::Unknown, "{change}");
        }
    }
}
