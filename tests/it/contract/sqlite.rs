//! The contract, and what only a database promises, in SQLite.

use tower_audit::{EventWriter, Indexes, SqliteStore};

use crate::support::{database::Sqlite, events};

fn store(database: &Sqlite) -> SqliteStore {
    SqliteStore::new(database.pool.clone())
}

super::mount_contract!(Sqlite::migrated, store);
super::contract_tests!(Sqlite::migrated, store => an_end_of_another_time_leaves_the_time_as_it_was);
super::retention::mount_retention!(Sqlite::migrated, store);

/// With all indexes there are more ways to the same rows.
mod with_full_indexes {
    use super::*;

    async fn migrated() -> Sqlite {
        let database = Sqlite::fresh().await;
        tower_audit::migrate(&store(&database)).await.unwrap();
        database
    }

    fn store(database: &Sqlite) -> SqliteStore {
        let store = SqliteStore::builder(database.pool.clone()).indexes(Indexes::Full);
        store.build().unwrap()
    }

    crate::contract::reading::mount_reading!(migrated, store);
}

async fn refused(database: &Sqlite, sql: &'static str) -> String {
    sqlx::query(sql)
        .execute(&database.pool)
        .await
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn rows_are_append_only() {
    let database = Sqlite::migrated().await;
    store(&database).append(&[events::event(1)]).await.unwrap();
    for sql in [
        "UPDATE audit_logs SET actor_id = 'mallory'",
        "UPDATE OR REPLACE audit_logs SET outcome = 'denied'",
        "DELETE FROM audit_logs",
    ] {
        assert!(
            refused(&database, sql).await.contains("append-only"),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_row_cannot_be_replaced() {
    let database = Sqlite::migrated().await;
    store(&database).append(&[events::event(1)]).await.unwrap();
    sqlx::query(
        "INSERT OR REPLACE INTO audit_logs (id, actor_id, actor_type, action, target_type, target_id, outcome)
         SELECT id, 'mallory', 'user', 'x.y', '', '', 'success' FROM audit_logs",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let actors: Vec<String> = sqlx::query_scalar("SELECT actor_id FROM audit_logs")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(actors, ["alice"]);
}

#[tokio::test]
async fn a_pending_row_may_be_completed_once() {
    let database = Sqlite::migrated().await;
    let pending = events::builder(1)
        .outcome(tower_audit::Outcome::Pending)
        .build();
    store(&database).append(&[pending]).await.unwrap();
    assert!(
        refused(
            &database,
            "UPDATE audit_logs SET created_at = 0, outcome = 'success'"
        )
        .await
        .contains("append-only")
    );
    sqlx::query("UPDATE audit_logs SET outcome = 'failure', status = 500")
        .execute(&database.pool)
        .await
        .unwrap();
    assert!(
        refused(&database, "UPDATE audit_logs SET outcome = 'success'")
            .await
            .contains("append-only")
    );
}

#[tokio::test]
async fn completing_a_pending_row_cannot_rewrite_who_did_it_or_from_where() {
    let database = Sqlite::migrated().await;
    let pending = events::builder(1)
        .outcome(tower_audit::Outcome::Pending)
        .build();
    store(&database).append(&[pending]).await.unwrap();
    for sql in [
        "UPDATE audit_logs SET outcome = 'success', actor_id = 'mallory'",
        "UPDATE audit_logs SET outcome = 'success', ip_address = '192.0.2.9'",
        "UPDATE audit_logs SET outcome = 'success', path = '/else'",
    ] {
        assert!(
            refused(&database, sql).await.contains("append-only"),
            "{sql}"
        );
    }
    let done = "UPDATE audit_logs SET outcome = 'success', target_id = '9'";
    sqlx::query(done).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let database = Sqlite::migrated().await;
    sqlx::query(
        "CREATE TRIGGER poison BEFORE INSERT ON audit_logs WHEN NEW.action = 'poison.row'
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let error = store(&database)
        .append(&super::poisoned_batch())
        .await
        .unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_logs")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn a_poison_row_costs_only_itself() {
    let database = Sqlite::migrated().await;
    sqlx::query(
        "CREATE TRIGGER poison BEFORE INSERT ON audit_logs WHEN NEW.action = 'poison.row'
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    super::a_poison_row_costs_only_itself(store(&database)).await;
}

#[tokio::test]
async fn the_bundled_sqlite_has_no_wal_reset_bug() {
    let database = Sqlite::fresh().await;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let numbers: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert!(numbers >= vec![3, 51, 3], "{version}");
}

#[tokio::test]
async fn the_number_of_the_next_write_comes_from_an_index() {
    let database = Sqlite::migrated().await;
    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(
        "EXPLAIN QUERY PLAN SELECT coalesce(max(write_order), 0) + 1 FROM audit_logs WHERE write_order IS NOT NULL",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(
        rows.iter()
            .any(|row| row.3.contains("idx_audit_logs_write_order")),
        "{rows:?}"
    );
}
