//! What only one database promises of the retention: partitions that are dropped, and what refuses to forget.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, postgres::PgPoolOptions};
use tower_audit::{
    Actor, AuditEvent, EventReader, EventWriter, Filter, PageSize, PgStore, Seek, Target, migrate,
    partitions::{Layout, Period},
    retention::{Holds, Keep, Retention, RetentionError, RetentionPolicy, Schedule},
};
use tower_audit_tests::proxy::{Fault, Proxy};

use crate::support::{
    database::{Postgres, Sqlite},
    soon,
};

async fn run(database: &Postgres, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(&database.pool)
        .await
        .unwrap();
}

fn old(days: i64, actor: &str) -> AuditEvent {
    let event = AuditEvent::builder(Actor::user(actor), "project.update", Target::new("t", days));
    event.created_at(Utc::now() - TimeDelta::days(days)).build()
}

/// A table with a partition for each of the last hundred days, and two rows in each.
async fn a_hundred_days() -> (Postgres, PgStore) {
    let database = Postgres::fresh().await;
    let layout = Layout::Partitioned(Period::Daily);
    let store = PgStore::builder(database.pool.clone()).layout(layout);
    let store = store.build().unwrap();
    migrate(&store).await.unwrap();
    run(&database, "DROP TABLE control_plane.audit_logs_first").await;
    let rows = (0..100).flat_map(|days| [old(days, "alice"), old(days, "bob")]);
    store.append(&rows.collect::<Vec<_>>()).await.unwrap();
    run(&database, "ANALYZE control_plane.audit_logs").await;
    (database, store)
}

fn keeping(policy: tower_audit::retention::RetentionPolicyBuilder) -> RetentionPolicy {
    policy.build().unwrap()
}

fn thirty_days() -> RetentionPolicy {
    keeping(RetentionPolicy::builder().default_keep(Keep::days(30)))
}

async fn found(store: &PgStore, search: &str) -> usize {
    let filter: Filter = search.parse().unwrap();
    let page = store.page(&filter, Seek::Newest, PageSize::MAX);
    page.await.unwrap().events.len()
}

async fn partitions_before(store: &PgStore, time: DateTime<Utc>) -> usize {
    let there = store.partitions().await.unwrap();
    there
        .iter()
        .filter(|partition| partition.until.unwrap() <= time)
        .count()
}

fn thirty_days_ago() -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(30)
}

#[tokio::test]
async fn partitions_of_which_every_row_is_due_are_dropped_as_a_whole() {
    let (_database, store) = a_hundred_days().await;
    let retention = Retention::builder(thirty_days()).build(store.clone());
    let would = retention.dry_run().await.unwrap();
    assert_eq!(partitions_before(&store, thirty_days_ago()).await, 69);
    let report = retention.run().await.unwrap();
    assert_eq!(partitions_before(&store, thirty_days_ago()).await, 0);
    assert_eq!(report.partitions.len(), 69);
    assert_eq!((report.deleted, report.dropped), (140, 138));
    assert_eq!(
        (would.deleted, would.dropped, &would.partitions),
        (report.deleted, report.dropped, &report.partitions)
    );
    assert_eq!(found(&store, "actor:alice,bob").await, 60);
}

#[tokio::test]
async fn a_partition_with_a_row_that_stays_is_not_dropped() {
    let (_database, store) = a_hundred_days().await;
    let policy = RetentionPolicy::builder().rule("target:50 actor:bob", Keep::Forever);
    let policy = keeping(policy.default_keep(Keep::days(30)));
    let report = Retention::builder(policy)
        .build(store.clone())
        .run()
        .await
        .unwrap();
    assert_eq!(report.partitions.len(), 68);
    assert_eq!(partitions_before(&store, thirty_days_ago()).await, 1);
    assert_eq!(
        (
            found(&store, "target:50").await,
            found(&store, "target:51").await
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn a_partition_with_a_row_that_is_held_is_not_dropped() {
    let (_database, store) = a_hundred_days().await;
    let holds = Holds::new(store.clone());
    holds
        .place("case", "target:50".parse().unwrap(), "114")
        .await
        .unwrap();
    let report = Retention::builder(thirty_days())
        .build(store.clone())
        .run()
        .await
        .unwrap();
    assert_eq!(report.partitions.len(), 68);
    assert_eq!(found(&store, "target:50").await, 2);
}

/// Leaves a partition as a run does that is killed after it was detached; returns its name.
async fn killed_after_detaching(database: &Postgres, store: &PgStore) -> String {
    let there = store.partitions().await.unwrap();
    let day = &there[40];
    let name = day.name.clone();
    run(
        database,
        format!(
            "UPDATE control_plane.audit_logs_retention
                SET dropping = '{name}', drops_from = '{}', drops_until = '{}';",
            day.from.unwrap().to_rfc3339(),
            day.until.unwrap().to_rfc3339()
        ),
    )
    .await;
    run(
        database,
        format!("ALTER TABLE control_plane.audit_logs DETACH PARTITION control_plane.{name} CONCURRENTLY"),
    )
    .await;
    name
}

async fn is_there(database: &Postgres, table: &str) -> bool {
    sqlx::query_scalar("SELECT to_regclass('control_plane.' || $1) IS NOT NULL")
        .bind(table)
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_next_run_drops_what_one_that_was_killed_had_detached() {
    let (database, store) = a_hundred_days().await;
    let name = killed_after_detaching(&database, &store).await;
    assert!(is_there(&database, &name).await);
    Retention::builder(thirty_days())
        .build(store.clone())
        .run()
        .await
        .unwrap();
    assert!(!is_there(&database, &name).await);
    assert_eq!(found(&store, "actor:alice,bob").await, 60);
}

#[tokio::test]
async fn the_next_run_takes_back_what_was_detached_and_is_held_now() {
    let (database, store) = a_hundred_days().await;
    let before = store.partitions().await.unwrap();
    let name = killed_after_detaching(&database, &store).await;
    assert_eq!(found(&store, "actor:bob").await, 99);
    let holds = Holds::new(store.clone());
    holds
        .place("case", "actor:bob".parse().unwrap(), "114")
        .await
        .unwrap();
    Retention::builder(thirty_days())
        .build(store.clone())
        .run()
        .await
        .unwrap();
    assert!(is_there(&database, &name).await);
    assert_eq!(found(&store, "actor:bob").await, 100);
    let after = store.partitions().await.unwrap();
    let names = |there: &[tower_audit::partitions::Partition]| {
        there
            .iter()
            .map(|partition| partition.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&after), names(&before));
}

#[tokio::test]
async fn who_is_not_the_owner_deletes_row_by_row() {
    let (database, store) = a_hundred_days().await;
    let role = format!("retention_{}", uuid::Uuid::now_v7().simple());
    run(
        &database,
        format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA control_plane TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON control_plane.audit_logs TO {role};
             GRANT SELECT ON control_plane.audit_logs_holds TO {role};
             GRANT SELECT, UPDATE ON control_plane.audit_logs_retention TO {role}"
        ),
    )
    .await;
    let pool = sqlx::PgPool::connect_with(database.options.clone().username(&role))
        .await
        .unwrap();
    let retention = Retention::builder(thirty_days()).build(PgStore::new(pool.clone()));
    let report = retention.run().await;
    pool.close().await;
    run(&database, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    let report = report.unwrap();
    assert_eq!((report.deleted, report.dropped), (140, 0));
    assert_eq!(found(&store, "actor:alice,bob").await, 60);
}

#[tokio::test]
async fn postgres_deletes_nothing_that_is_younger_than_retention_says() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    store
        .append(&[old(40, "alice"), old(20, "alice")])
        .await
        .unwrap();
    let delete = |before: &str, id: &str| {
        format!(
            "BEGIN; SET LOCAL tower_audit.delete_before = '{before}';
             DELETE FROM control_plane.audit_logs WHERE target_id = '{id}'; COMMIT"
        )
    };
    let before = thirty_days_ago().to_rfc3339();
    for (before, id) in [(before.as_str(), "20"), ("", "40"), ("soon", "40")] {
        let mut connection = database.pool.acquire().await.unwrap();
        connection.close_on_drop();
        let sql = AssertSqlSafe(delete(before, id));
        let error = sqlx::raw_sql(sql)
            .execute(&mut *connection)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("append-only") || text.contains("invalid input"),
            "{text}"
        );
    }
    run(&database, delete(&before, "40")).await;
    assert_eq!(found(&store, "").await, 1);
}

#[tokio::test]
async fn a_hold_is_never_deleted_nor_changed() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    let stores = (
        PgStore::new(postgres.pool.clone()),
        tower_audit::SqliteStore::new(sqlite.pool.clone()),
    );
    let filter: Filter = "actor:bob".parse().unwrap();
    Holds::new(stores.0)
        .place("case", filter.clone(), "114")
        .await
        .unwrap();
    Holds::new(stores.1)
        .place("case", filter, "114")
        .await
        .unwrap();
    for sql in [
        "DELETE FROM {table}",
        "UPDATE {table} SET search = 'actor:nobody'",
        "UPDATE {table} SET reason = 'none', released_at = placed_at",
        "UPDATE {table} SET released_at = placed_at; UPDATE {table} SET released_at = NULL",
        "TRUNCATE {table}",
        "INSERT OR REPLACE INTO {table} (name, search, reason) VALUES ('case', 'actor:nobody', 'x')",
    ] {
        let (on, of) = ("control_plane.audit_logs_holds", "audit_logs_holds");
        let on = AssertSqlSafe(sql.replace("{table}", on));
        let of = AssertSqlSafe(sql.replace("{table}", of));
        let mut tx = postgres.pool.begin().await.unwrap();
        assert!(sqlx::raw_sql(on).execute(&mut *tx).await.is_err(), "{sql}");
        let mut tx = sqlite.pool.begin().await.unwrap();
        assert!(sqlx::raw_sql(of).execute(&mut *tx).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_task_runs_at_its_time_and_ends_when_it_is_told_to() {
    let database = Sqlite::migrated().await;
    let store = tower_audit::SqliteStore::new(database.pool.clone());
    store
        .append(&[old(40, "alice"), old(20, "alice")])
        .await
        .unwrap();
    let every_minute: Schedule = "* * * * *".parse().unwrap();
    let retention = Retention::builder(thirty_days()).build(store.clone());
    let (task, other) = (
        retention.clone().start(every_minute.clone()),
        retention.start(every_minute),
    );
    let report = tokio::time::timeout(2 * crate::support::LIMIT, async {
        loop {
            if let Some(report) = task.last_report().or_else(|| other.last_report()) {
                return report;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(report.await.unwrap().deleted, 1);
    soon(task.shutdown()).await;
    soon(other.shutdown()).await;
}

#[tokio::test]
async fn a_hold_waits_for_the_batch_that_is_being_deleted() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    // What each batch does first.
    let mut batch = database.pool.begin().await.unwrap();
    sqlx::query("UPDATE control_plane.audit_logs_retention SET leased_until = now()")
        .execute(&mut *batch)
        .await
        .unwrap();
    let holds = Holds::new(store);
    let placing = {
        let holds = holds.clone();
        let filter: Filter = "actor:bob".parse().unwrap();
        tokio::spawn(async move { holds.place("case", filter, "114").await })
    };
    soon(async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock' AND query LIKE 'UPDATE%audit_logs_retention%'";
        loop {
            let waiting: i64 = sqlx::query_scalar(waits)
                .fetch_one(&database.pool)
                .await
                .unwrap();
            if waiting > 0 {
                break;
            }
        }
    })
    .await;
    assert!(!placing.is_finished());
    batch.commit().await.unwrap();
    soon(placing).await.unwrap().unwrap();
    assert_eq!(holds.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_pool_of_one_connection_is_enough() {
    let (database, store) = a_hundred_days().await;
    killed_after_detaching(&database, &store).await;
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect_with(database.options.clone()).await.unwrap();
    let retention = Retention::builder(thirty_days()).build(PgStore::new(pool.clone()));
    soon(retention.run()).await.unwrap();
    assert_eq!(found(&store, "actor:alice,bob").await, 60);
    let plain = PgStore::builder(pool).table("plain").build().unwrap();
    migrate(&plain).await.unwrap();
    soon(plain.convert(tower_audit::partitions::Conversion::to(Period::Monthly)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_process_that_is_frozen_in_a_transaction_does_not_keep_the_lease_from_others() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    store.append(&[old(40, "alice")]).await.unwrap();
    // Who deletes waits for this lock, in the middle of its transaction.
    let waits = "CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN OLD; END'; \
         CREATE TRIGGER a_waits BEFORE DELETE ON control_plane.audit_logs FOR EACH ROW EXECUTE FUNCTION waits()";
    run(&database, waits).await;
    let mut gate = database.pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(42)")
        .execute(&mut *gate)
        .await
        .unwrap();

    let proxy = Proxy::start(database.address().await).await.unwrap();
    let options = { database.options.clone() }.host("127.0.0.1");
    let behind = PgPoolOptions::new().connect_lazy_with(options.port(proxy.address().port()));
    let short = |store| {
        let retention = Retention::builder(thirty_days()).lease(Duration::from_secs(1));
        retention.build(store)
    };
    let frozen = short(PgStore::new(behind));
    let frozen = tokio::spawn(async move { frozen.run().await });
    let is_in_it = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted)";
    soon(async {
        while !sqlx::query_scalar::<_, bool>(is_in_it)
            .fetch_one(&database.pool)
            .await
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Its statement is answered, and it hears nothing.
    proxy.set(Fault::BlackHole);
    gate.commit().await.unwrap();

    let other = short(store);
    let report = soon(async {
        loop {
            match other.run().await {
                Err(RetentionError::Busy { .. }) => tokio::task::yield_now().await,
                done => break done.unwrap(),
            }
        }
    })
    .await;
    assert_eq!(
        report.deleted, 1,
        "what the frozen one deleted was taken back"
    );
    frozen.abort();
}
