//! Events in the caller's own transaction, and events that somebody waits for, in both databases.

use tower_audit::{
    Auditor, EventReader, MemoryStore, PgStore, RecordIn, SqliteStore, StoreError, delivery::Kept,
};

use crate::support::{
    database::{Postgres, Sqlite},
    events::event,
    soon,
};

#[tokio::test]
async fn in_postgres_a_row_lives_or_dies_with_the_transaction() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    let auditor = Auditor::builder().service("shop@1").start(store.clone());
    let (kept, lost) = (event(1), event(2));
    let mut tx = database.pool.begin().await.unwrap();
    auditor.record_in(&mut *tx, kept.clone()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    auditor.record_in(&mut *tx, lost.clone()).await.unwrap();
    tx.rollback().await.unwrap();
    let row = store.get(kept.id()).await.unwrap().unwrap();
    assert_eq!(row.service(), Some("shop@1"));
    assert_eq!(store.get(lost.id()).await.unwrap(), None);
    assert_eq!(auditor.stats().accepted, 0);
}

#[tokio::test]
async fn in_sqlite_a_row_lives_or_dies_with_the_transaction() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    let auditor = Auditor::builder().service("shop@1").start(store.clone());
    let (kept, lost) = (event(1), event(2));
    let mut tx = database.pool.begin().await.unwrap();
    auditor.record_in(&mut *tx, kept.clone()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    auditor.record_in(&mut *tx, lost.clone()).await.unwrap();
    tx.rollback().await.unwrap();
    let row = store.get(kept.id()).await.unwrap().unwrap();
    assert_eq!(row.service(), Some("shop@1"));
    assert_eq!(store.get(lost.id()).await.unwrap(), None);
    assert_eq!(auditor.stats().accepted, 0);
}

#[tokio::test]
async fn an_auditor_of_another_store_says_what_to_do() {
    let database = Sqlite::migrated().await;
    let auditor = Auditor::new(MemoryStore::new());
    let mut connection = database.pool.acquire().await.unwrap();
    let error = auditor
        .record_in(&mut *connection, event(1))
        .await
        .unwrap_err();
    let StoreError::NotReady { hint, .. } = error else {
        panic!("{error}")
    };
    assert!(
        hint.contains("call `record_in` on a store of this kind"),
        "{hint}"
    );
}

#[tokio::test]
async fn a_durable_event_is_in_the_database_when_it_is_confirmed() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    let in_postgres = PgStore::new(postgres.pool.clone());
    let in_sqlite = SqliteStore::new(sqlite.pool.clone());
    let event = event(1);
    for auditor in [
        Auditor::new(in_postgres.clone()),
        Auditor::new(in_sqlite.clone()),
    ] {
        let kept = soon(auditor.record_durable(event.clone())).await;
        assert_eq!(kept, Ok(Kept::Written));
    }
    assert!(in_postgres.get(event.id()).await.unwrap().is_some());
    assert!(in_sqlite.get(event.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn with_the_database_gone_the_caller_gets_the_error() {
    let database = Postgres::migrated().await;
    let auditor = Auditor::new(PgStore::new(database.pool.clone()));
    let mut tx = database.pool.begin().await.unwrap();
    let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let kill = sqlx::query("SELECT pg_terminate_backend($1)").bind(own);
    kill.execute(&database.pool).await.unwrap();
    let error = auditor.record_in(&mut *tx, event(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(auditor.stats().accepted, 0);
}
