//! The contract, and what only a database promises, in Postgres.

use tower_audit::{EventReader, EventWriter, Indexes, PageSize, PgStore, RecordIn, store::Tail};

use crate::support::{database::Postgres, events};

fn store(database: &Postgres) -> PgStore {
    PgStore::new(database.pool.clone())
}

super::mount_contract!(Postgres::migrated, store);
super::contract_tests!(Postgres::migrated, store => an_end_of_another_time_leaves_the_time_as_it_was);
super::retention::mount_retention!(Postgres::migrated, store);

/// With all indexes there are more ways to the same rows.
mod with_full_indexes {
    use super::*;

    async fn migrated() -> Postgres {
        let database = Postgres::fresh().await;
        tower_audit::migrate(&store(&database)).await.unwrap();
        database
    }

    fn store(database: &Postgres) -> PgStore {
        let store = PgStore::builder(database.pool.clone()).indexes(Indexes::Full);
        store.build().unwrap()
    }

    crate::contract::reading::mount_reading!(migrated, store);
}

/// The rows of the contract are in many partitions, and at the very begin of some.
mod with_partitions {
    use tower_audit::partitions::{Layout, Period};

    use super::*;
    use crate::support::events::at;

    async fn migrated() -> Postgres {
        let database = Postgres::fresh().await;
        let layout = Layout::Partitioned(Period::Daily);
        let store = PgStore::builder(database.pool.clone()).layout(layout);
        tower_audit::migrate(&store.build().unwrap()).await.unwrap();
        let first = "audit_logs_first";
        let until = sqlx::query_scalar::<_, String>(
            "SELECT (regexp_match(pg_get_expr(relpartbound, oid), $re$TO \\('([^']+)'$re$))[1] FROM pg_class WHERE relname = $1",
        );
        let until = until.bind(first).fetch_one(&database.pool).await.unwrap();
        let mut sql = format!("DROP TABLE control_plane.{first};");
        let mut from = "MINVALUE".to_owned();
        let inner = [-30, 0, 1, 3, 10, 50, 3_600].map(|seconds| format!("'{}'", at(seconds)));
        for (index, end) in inner.into_iter().chain([format!("'{until}'")]).enumerate() {
            sql += &format!(
                "CREATE TABLE control_plane.part_{index} PARTITION OF control_plane.audit_logs
                    FOR VALUES FROM ({from}) TO ({end});"
            );
            from = end;
        }
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&database.pool)
            .await
            .unwrap();
        database
    }

    crate::contract::mount_contract!(migrated, store);
    crate::contract::retention::mount_retention!(migrated, store);
}

/// Each row finds a partition of its month, and what is due goes with it.
mod with_months {
    use tower_audit::partitions::{Layout, Period};

    use super::*;

    async fn migrated() -> Postgres {
        let database = Postgres::fresh().await;
        let layout = Layout::Partitioned(Period::Monthly);
        let store = PgStore::builder(database.pool.clone()).layout(layout);
        tower_audit::migrate(&store.build().unwrap()).await.unwrap();
        sqlx::raw_sql("DROP TABLE control_plane.audit_logs_first")
            .execute(&database.pool)
            .await
            .unwrap();
        database
    }

    crate::contract::retention::mount_retention!(migrated, store);
}

#[tokio::test]
async fn a_tail_does_not_tell_of_rows_that_another_cluster_numbered() {
    let database = Postgres::migrated().await;
    let store = store(&database);
    let begin = store
        .tail(None, PageSize::default())
        .await
        .unwrap()
        .position;
    sqlx::query(
        "INSERT INTO control_plane.audit_logs (actor_type, actor_id, action, target_type, target_id, outcome, write_order)
         VALUES ('user', 'alice', 'project.update', '', '', 'success', '4000000000')",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let tail = store.tail(Some(&begin), PageSize::default()).await.unwrap();
    assert_eq!((tail.events.len(), tail.has_more), (0, false));
}

#[tokio::test]
async fn a_tail_misses_no_row_whose_transaction_ends_late() {
    let database = Postgres::migrated().await;
    let store = store(&database);
    let (size, ids) = (PageSize::default(), |tail: &Tail| {
        let ids = tail.events.iter().map(|(event, _)| event.id());
        ids.collect::<Vec<_>>()
    });
    let (early, late) = (events::event(1), events::event(2));
    let mut slow = database.pool.begin().await.unwrap();
    store.record_in(&mut *slow, early.clone()).await.unwrap();
    let begin = store.tail(None, size).await.unwrap().position;
    store.append(std::slice::from_ref(&late)).await.unwrap();
    let first = store.tail(Some(&begin), size).await.unwrap();
    assert_eq!(ids(&first), [late.id()]);
    slow.commit().await.unwrap();
    let second = store.tail(Some(&first.position), size).await.unwrap();
    assert_eq!(ids(&second), [early.id()]);
    // Whoever comes from the position after the first row misses it no more.
    let after = &first.events[0].1;
    let second = store.tail(Some(after), size).await.unwrap();
    assert_eq!(ids(&second), [early.id()]);
    let third = store.tail(Some(&second.position), size).await.unwrap();
    assert_eq!(ids(&third), []);
}

async fn refused(database: &Postgres, sql: &'static str) -> String {
    sqlx::query(sql)
        .execute(&database.pool)
        .await
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn rows_are_append_only() {
    let database = Postgres::migrated().await;
    store(&database).append(&[events::event(1)]).await.unwrap();
    for sql in [
        "UPDATE control_plane.audit_logs SET actor_id = 'mallory'",
        "DELETE FROM control_plane.audit_logs",
        "TRUNCATE control_plane.audit_logs",
        "INSERT INTO control_plane.audit_logs SELECT * FROM control_plane.audit_logs
         ON CONFLICT (id) DO UPDATE SET actor_id = 'mallory'",
    ] {
        assert!(
            refused(&database, sql).await.contains("append-only"),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_pending_row_may_be_completed_once() {
    let database = Postgres::migrated().await;
    let pending = events::builder(1)
        .outcome(tower_audit::Outcome::Pending)
        .build();
    store(&database).append(&[pending]).await.unwrap();
    let moved = "UPDATE control_plane.audit_logs SET created_at = now(), outcome = 'success'";
    assert!(refused(&database, moved).await.contains("append-only"));
    sqlx::query("UPDATE control_plane.audit_logs SET outcome = 'failure', status = 500")
        .execute(&database.pool)
        .await
        .unwrap();
    let again = "UPDATE control_plane.audit_logs SET outcome = 'success'";
    assert!(refused(&database, again).await.contains("append-only"));
}

#[tokio::test]
async fn completing_a_pending_row_cannot_rewrite_who_did_it_or_from_where() {
    let database = Postgres::migrated().await;
    let pending = events::builder(1)
        .outcome(tower_audit::Outcome::Pending)
        .build();
    store(&database).append(&[pending]).await.unwrap();
    for sql in [
        "UPDATE control_plane.audit_logs SET outcome = 'success', actor_id = 'mallory'",
        "UPDATE control_plane.audit_logs SET outcome = 'success', ip_address = '192.0.2.9'",
        "UPDATE control_plane.audit_logs SET outcome = 'success', path = '/else'",
    ] {
        assert!(
            refused(&database, sql).await.contains("append-only"),
            "{sql}"
        );
    }
    let done = "UPDATE control_plane.audit_logs SET outcome = 'success', target_id = '9'";
    sqlx::query(done).execute(&database.pool).await.unwrap();
}

async fn with_poison() -> Postgres {
    let database = Postgres::migrated().await;
    sqlx::query("ALTER TABLE control_plane.audit_logs ADD CHECK (action <> 'poison.row')")
        .execute(&database.pool)
        .await
        .unwrap();
    database
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let database = with_poison().await;
    let error = store(&database)
        .append(&super::poisoned_batch())
        .await
        .unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM control_plane.audit_logs")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn a_poison_row_costs_only_itself() {
    let database = with_poison().await;
    super::a_poison_row_costs_only_itself(store(&database)).await;
}

#[tokio::test]
async fn a_user_without_the_privilege_to_insert_is_told_so() {
    let database = Postgres::migrated().await;
    let role = format!("reader_{}", uuid::Uuid::now_v7().simple());
    let create = format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA control_plane TO {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create))
        .execute(&database.pool)
        .await
        .unwrap();
    let pool = sqlx::PgPool::connect_with(database.options.clone().username(&role))
        .await
        .unwrap();
    let reader = PgStore::new(pool);
    let (check, append) = (
        reader.check().await,
        reader.append(&[events::event(1)]).await,
    );
    let drop_role = format!("REVOKE ALL ON SCHEMA control_plane FROM {role}; DROP ROLE {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop_role))
        .execute(&database.pool)
        .await
        .unwrap();
    for error in [check.unwrap_err(), append.unwrap_err()] {
        assert!(
            error.is_transient() && error.to_string().contains("lacks a privilege"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn one_replica_at_a_time_gives_up_pending_rows() {
    use tower_audit::{EventReader as _, Outcome};
    let database = Postgres::migrated().await;
    let pending = events::builder(1).outcome(Outcome::Pending).build();
    let store = store(&database);
    store.append(std::slice::from_ref(&pending)).await.unwrap();
    let mut leader = database.pool.begin().await.unwrap();
    let lead =
        "SELECT pg_advisory_xact_lock(hashtextextended('\"control_plane\".\"audit_logs\"', 0))";
    sqlx::query(lead).execute(&mut *leader).await.unwrap();
    assert_eq!(store.reap(events::at(50)).await.unwrap(), 0);
    leader.rollback().await.unwrap();
    assert_eq!(store.reap(events::at(50)).await.unwrap(), 1);
    let row = store.get(pending.id()).await.unwrap().unwrap();
    assert_eq!(row.outcome(), Outcome::Unknown);
}
