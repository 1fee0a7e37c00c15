//! Taking a change back.

use serde_json::json;
use tower_audit::{Actor, changes::ChangeContext};
use tower_audit_core::changes::RowChange;
use tower_audit_history::{AuditedTransaction, HistoryError, Revert, Track, Triggers};

use super::support::{Tracked, told};

async fn run(db: &Tracked, revert: &Revert) -> Result<(), HistoryError> {
    let context = ChangeContext::new(Actor::user("alice"));
    let mut tx = AuditedTransaction::begin(&db.database.pool, context)
        .await
        .unwrap();
    revert.run(&mut tx).await?;
    tx.commit().await.unwrap();
    Ok(())
}

async fn rows(db: &Tracked) -> String {
    let rows = "SELECT coalesce(string_agg(t::text, ' ' ORDER BY t.id), '') FROM t";
    sqlx::query_scalar(rows)
        .fetch_one(&db.database.pool)
        .await
        .unwrap()
}

async fn last(db: &Tracked) -> RowChange {
    db.changes().await.pop().unwrap()
}

#[tokio::test]
async fn every_change_can_be_taken_back_and_that_is_a_change_of_its_own() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with(
            "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a int, b text);
             CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, key text DEFAULT 'k' PRIMARY KEY, a text, b json, c jsonb, d int[], e mood, f pair, g bytea, h timestamptz,
                 i numeric, big numeric DEFAULT 12345678901234567890.12345678901234567890, twice int GENERATED ALWAYS AS (id * 2) STORED, j pair[], k interval, \"l m\" float8, at timestamptz DEFAULT now())",
        )
        .await;
        db.track("t", Track::new().ignore(["at"]).triggers(triggers))
            .await;
        let values = r#"'x''y', '{"b":  1, "b": "\u0000"}', '"text"', '{1,NULL}', 'bad', ROW(1, 'b,"'), '\x00ff', '2026-01-01 00:00:00.123456+02', 1.00,
            ARRAY[ROW(1, 'b')::pair], '1 mon 24:00:00', 0.1"#;
        db.run(&format!(
            "INSERT INTO t (a, b, c, d, e, f, g, h, i, j, k, \"l m\") VALUES ({values})"
        ))
        .await;
        let original = rows(&db).await;
        let steps = [
            "UPDATE t SET a = NULL, b = NULL, c = NULL, d = NULL, e = NULL, f = NULL, g = NULL, h = NULL, i = 1.0, big = 0, j = NULL, k = '32 days', \"l m\" = 'NaN'",
            "UPDATE t SET key = 'other'",
            "DELETE FROM t",
        ];
        for step in steps {
            db.run(step).await;
            let change = last(&db).await;
            let revert = db.history.revert(change.id).await.unwrap();
            assert_eq!(revert.left_out(), [""; 0]);
            run(&db, &revert).await.unwrap();
            assert_eq!(
                without_at(&rows(&db).await),
                without_at(&original),
                "{}",
                revert.sql()
            );
            assert_eq!(last(&db).await.actor.id(), "alice");
        }
        let inserted = db.changes().await.remove(0);
        run(&db, &db.history.revert(inserted.id).await.unwrap())
            .await
            .unwrap();
        assert_eq!(rows(&db).await, "");
    }
}

/// Leaves out the last column, which is not recorded.
fn without_at(row: &str) -> &str {
    row.rsplit_once(',').unwrap().0
}

#[tokio::test]
async fn a_revert_is_sql_that_can_be_run_by_hand() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, note text)").await;
    db.track("t", Track::new()).await;
    db.run(r"INSERT INTO t VALUES (1, 'it''s \'); UPDATE t SET note = 'b'")
        .await;
    let revert = db.history.revert(last(&db).await.id).await.unwrap();
    assert_eq!(told(revert.change())["new"], json!({"note": "b"}));
    // Nothing is done until it is run.
    assert_eq!(rows(&db).await, "(1,b)");
    db.run(&revert.sql()).await;
    assert_eq!(rows(&db).await, r#"(1,"it's \\")"#);
}

#[tokio::test]
async fn a_row_that_was_changed_since_is_not_touched() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, note text, n int)").await;
    db.track("t", Track::new()).await;
    db.run("INSERT INTO t VALUES (1, 'a'); UPDATE t SET note = 'b'")
        .await;
    let change = last(&db).await;
    let revert = db.history.revert(change.id).await.unwrap();
    // Another column does not matter.
    db.run("UPDATE t SET n = 7").await;
    run(&db, &revert).await.unwrap();
    assert!(matches!(
        run(&db, &revert).await,
        Err(HistoryError::Conflict)
    ));
    db.run("UPDATE t SET note = NULL").await;
    assert!(matches!(
        run(&db, &revert).await,
        Err(HistoryError::Conflict)
    ));
    let inserted = db.changes().await.remove(0);
    let revert = db.history.revert(inserted.id).await.unwrap();
    assert!(matches!(
        run(&db, &revert).await,
        Err(HistoryError::Conflict)
    ));
}

#[tokio::test]
async fn what_the_history_does_not_know_is_left_out_and_said() {
    let db =
        Tracked::with("CREATE TABLE t (id int PRIMARY KEY, note text, token text, gone int)").await;
    db.track("t", Track::new().mask(["token"])).await;
    db.run(
        "INSERT INTO t VALUES (1, 'a', 's', 1); UPDATE t SET note = 'b', token = 's2', gone = 2",
    )
    .await;
    let change = last(&db).await;
    db.run("ALTER TABLE t DROP gone").await;
    let revert = db.history.revert(change.id).await.unwrap();
    assert_eq!(revert.left_out(), ["gone", "token"]);
    run(&db, &revert).await.unwrap();
    assert_eq!(rows(&db).await, "(1,a,s2)");
}

#[tokio::test]
async fn an_identity_stays_as_it_is_because_no_update_can_set_it() {
    let db = Tracked::with(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)",
    )
    .await;
    db.track("t", Track::new()).await;
    db.run("INSERT INTO t (note) VALUES ('a'); UPDATE t SET id = DEFAULT, note = 'b'")
        .await;
    let revert = db.history.revert(last(&db).await.id).await.unwrap();
    assert_eq!(revert.left_out(), ["id"]);
    run(&db, &revert).await.unwrap();
    assert_eq!(rows(&db).await, "(2,a)");
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_refused_with_why() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, token text); CREATE TABLE u (a int); CREATE TABLE v (token text PRIMARY KEY)").await;
    db.track("t", Track::new().mask(["token"])).await;
    db.track("u", Track::new()).await;
    db.track("v", Track::new().mask(["token"])).await;
    db.run("INSERT INTO t VALUES (1, 's')").await;
    for (sql, why) in [
        (
            "UPDATE t SET token = 's2'",
            "every column that it changed is hidden",
        ),
        ("TRUNCATE t", "no key of the row"),
        ("INSERT INTO u VALUES (1)", "no key of the row"),
        ("INSERT INTO v VALUES ('s')", "the key of the row is masked"),
    ] {
        db.run(sql).await;
        let said = db
            .history
            .revert(last(&db).await.id)
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains(why), "{said}");
    }
    let unknown = db.history.revert(uuid::Uuid::now_v7()).await.unwrap_err();
    assert!(matches!(unknown, HistoryError::NoChange));
}

#[tokio::test]
async fn a_column_that_was_made_anew_does_not_get_what_another_one_was() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY, note text, keep text)").await;
    db.track("t", Track::new()).await;
    db.run("INSERT INTO t VALUES (1, 'old', 'k'); UPDATE t SET note = 'older', keep = 'l'; DELETE FROM t")
        .await;
    for change in ["DROP note", "ADD note text"] {
        db.run(&format!("ALTER TABLE t {change}")).await;
        db.track("t", Track::new()).await;
    }
    let change = last(&db).await;
    let revert = db.history.revert(change.id).await.unwrap();
    assert_eq!(revert.left_out(), ["note"]);
    run(&db, &revert).await.unwrap();
    assert_eq!(rows(&db).await, "(1,l,)");
}

#[tokio::test]
async fn a_change_of_a_key_that_more_than_one_row_has_takes_none_of_them_back() {
    let db = Tracked::with("CREATE TABLE t (id int, note text)").await;
    db.track("t", Track::new().key(["id"])).await;
    db.run("INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (1, 'a')")
        .await;
    let change = last(&db).await;
    let revert = db.history.revert(change.id).await.unwrap();
    let refused = run(&db, &revert).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this change cannot be reverted: more than one row has its key"
    );
    assert_eq!(rows(&db).await, "(1,a) (1,a)");
}
