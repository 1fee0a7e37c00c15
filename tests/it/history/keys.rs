//! Rows are found by their keys, whatever types these have.

use chrono::Utc;
use serde_json::{Value, json};
use tower_audit_core::changes::Operation;
use tower_audit_history::{AsOf, HistoryError, Track, Triggers};

use super::support::{Tracked, columns, name, now, row};

#[tokio::test]
async fn a_baseline_takes_every_row_in_the_order_of_whatever_key() {
    for key in [
        "citext",
        "ltree",
        "numeric",
        "kind",
        "word",
        "timestamptz",
        "bytea",
        "interval",
        "text[]",
    ] {
        let db = Tracked::with(
            "CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE TYPE kind AS ENUM ('z', 'a'); CREATE DOMAIN word AS citext",
        )
        .await;
        let value = |n: &str| match key {
            "numeric" => format!("{n}::numeric / 7"),
            "kind" => format!("(ARRAY['z', 'a'])[{n} % 2 + 1]::kind"),
            "timestamptz" => format!("'2026-11-22 UTC'::timestamptz + {n} * interval '1 minute'"),
            "bytea" => format!("decode(md5({n}::text), 'hex')"),
            "interval" => format!("{n} * interval '1 minute'"),
            "text[]" => format!("ARRAY[{n}::text]"),
            key => format!(
                "(CASE WHEN {n} % 3 = 0 THEN upper('k') ELSE 'k' END || '_' || md5({n}::text))::{key}"
            ),
        };
        db.run(&format!(
            "CREATE TABLE t (k {key}, n int, PRIMARY KEY (k, n)); INSERT INTO t SELECT {}, g FROM generate_series(1, 1200) AS g",
            value("g")
        ))
        .await;
        db.track("t", Track::new()).await;
        assert_eq!(
            db.history.baseline(&name("t")).await.unwrap(),
            1200,
            "{key}"
        );
        let distinct: i64 =
            sqlx::query_scalar("SELECT count(DISTINCT key) FROM control_plane.row_changes")
                .fetch_one(&db.database.pool)
                .await
                .unwrap();
        assert_eq!(distinct, 1200, "{key}");
        let all = db.changes().await;
        let of_row = all[0].key.clone().unwrap();
        let found = db
            .history
            .as_of(&name("t"), &of_row, now(&db).await)
            .await
            .unwrap();
        assert!(matches!(found, AsOf::Row(_)), "{key}: {found:?}");
    }
}

#[tokio::test]
async fn whoever_looks_runs_nothing_of_the_owner_of_the_table() {
    let db = Tracked::with(
        "CREATE TABLE ran (n int); CREATE FUNCTION note(text) RETURNS boolean LANGUAGE plpgsql AS \
         $$BEGIN INSERT INTO public.ran VALUES (1); RETURN true; END$$; CREATE DOMAIN d AS text CHECK (public.note(VALUE)); \
         CREATE TYPE kind AS ENUM ('a'); CREATE FUNCTION kind_json(kind) RETURNS json LANGUAGE plpgsql AS \
         $$BEGIN INSERT INTO public.ran VALUES (2); RETURN '1'; END$$; CREATE CAST (kind AS json) WITH FUNCTION kind_json(kind); \
         CREATE TABLE t (k d, e kind, name text, PRIMARY KEY (k, e)); INSERT INTO t VALUES ('x', 'a', 'a')",
    )
    .await;
    db.track("t", Track::new()).await;
    db.run("UPDATE t SET name = 'b'; TRUNCATE ran").await;
    let key = columns(json!({"k": "x", "e": "a"}));
    let table = name("t");
    assert_eq!(db.history.baseline(&table).await.unwrap(), 1);
    let found = db
        .history
        .as_of(&table, &key, now(&db).await)
        .await
        .unwrap();
    assert!(matches!(found, AsOf::Row(_)), "{found:?}");
    assert_eq!(db.history.spelled_key(&table, &key).await.unwrap(), key);
    let change = db.changes().await.remove(0);
    db.history.revert(change.id).await.unwrap();
    let ran: i64 = sqlx::query_scalar("SELECT count(*) FROM ran")
        .fetch_one(&db.database.pool)
        .await
        .unwrap();
    assert_eq!(ran, 0);
}

#[tokio::test]
async fn a_number_is_the_same_key_however_many_zeros_it_has() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with("CREATE TABLE t (k numeric PRIMARY KEY, name text)").await;
        db.track("t", Track::new().triggers(triggers)).await;
        db.run("INSERT INTO t VALUES (1.0, 'a')").await;
        let first = now(&db).await;
        db.run("UPDATE t SET k = 1.00; DELETE FROM t; INSERT INTO t VALUES (1, 'b')")
            .await;
        let told = db.told().await;
        assert_eq!(
            told[1],
            json!({"update": {"k": "1"}, "old": {"k": "1.0"}, "new": {"k": "1.00"}})
        );
        for spelled in [json!(1), json!("1.000")] {
            let key = columns(json!({"k": spelled}));
            let found = db.history.as_of(&name("t"), &key, first).await.unwrap();
            let expected = columns(json!({"k": "1.0", "name": "a"}));
            assert_eq!(found, AsOf::Row(expected));
        }
    }
}

#[tokio::test]
async fn a_value_that_is_none_of_its_column_is_refused_with_what_is_wrong() {
    let db = Tracked::with("CREATE TABLE t (k int PRIMARY KEY)").await;
    db.track("t", Track::new()).await;
    let key = columns(json!({"k": "one"}));
    let said = db.history.spelled_key(&name("t"), &key).await.unwrap_err();
    assert!(matches!(said, HistoryError::NoSuchKey { .. }), "{said:?}");
    assert_eq!(
        said.to_string(),
        "this is no key of public.t: invalid input syntax for type integer: \"one\""
    );
}

#[tokio::test]
async fn a_row_is_reverted_by_a_key_of_a_type_of_an_extension() {
    let db =
        Tracked::with("CREATE EXTENSION ltree; CREATE TABLE t (k ltree PRIMARY KEY, name text)")
            .await;
    db.track("t", Track::new()).await;
    db.run("INSERT INTO t VALUES ('a.b', 'x'); UPDATE t SET name = 'y'")
        .await;
    let changes = db.changes().await;
    let update = changes
        .iter()
        .find(|change| change.operation == Operation::Update);
    let revert = db.history.revert(update.unwrap().id).await.unwrap();
    db.run(&revert.sql()).await;
    let name: String = sqlx::query_scalar("SELECT name FROM t")
        .fetch_one(&db.database.pool)
        .await
        .unwrap();
    assert_eq!(name, "x");
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
