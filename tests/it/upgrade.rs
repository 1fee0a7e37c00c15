//! A table that the first version made, with rows in it, brought up to date.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};
use tower_audit::{
    AuditEvent, EventReader, EventWriter, Filter, Outcome, PageSize, PgStore, Seek, SqliteStore,
    migrate, migration_status, store::Count,
};

use crate::support::{
    database::{Postgres, Sqlite},
    events::event,
};

/// Returns what makes the table as the first version did, and keeps books of it.
fn first_version(sql: &str, books: &'static str) -> Migrator {
    let sql = sql
        .replace("{schema}", "control_plane")
        .replace("{table}", "audit_logs");
    let mut migrator = Migrator::with_migrations(vec![Migration::new(
        1,
        Cow::Borrowed("audit logs"),
        MigrationType::Simple,
        AssertSqlSafe(sql).into_sql_str(),
        false,
    )]);
    migrator.dangerous_set_table_name(books);
    migrator
}

/// A table of the first version in Postgres, with three rows.
async fn old_postgres() -> Postgres {
    let database = Postgres::fresh().await;
    sqlx::raw_sql("CREATE SCHEMA control_plane")
        .execute(&database.pool)
        .await
        .unwrap();
    let sql = include_str!("../../crates/tower-audit-sqlx/migrations/postgres/0001_audit_logs.sql");
    first_version(sql, "\"control_plane\".\"_tower_audit_migrations\"")
        .run(&database.pool)
        .await
        .unwrap();
    let rows = "INSERT INTO control_plane.audit_logs
            (id, actor_id, actor_type, action, target_type, target_id, outcome, created_at)
        SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, 'old', 'user', 'project.update', 'project', n,
            (ARRAY['success', 'denied', 'pending'])[n], '2025-01-01'::timestamptz + n * interval '1 s'
        FROM generate_series(1, 3) AS n";
    sqlx::raw_sql(rows).execute(&database.pool).await.unwrap();
    database
}

/// The same in SQLite.
async fn old_sqlite() -> Sqlite {
    let database = Sqlite::fresh().await;
    let sql = include_str!("../../crates/tower-audit-sqlx/migrations/sqlite/0001_audit_logs.sql");
    first_version(sql, "_tower_audit_migrations")
        .run(&database.pool)
        .await
        .unwrap();
    let rows = "INSERT INTO audit_logs
            (id, actor_id, actor_type, action, target_type, target_id, outcome, created_at)
        VALUES
            (X'00000000000070008000000000000001', 'old', 'user', 'project.update', 'project', '1', 'success', 1735689601000000),
            (X'00000000000070008000000000000002', 'old', 'user', 'project.update', 'project', '2', 'denied', 1735689602000000),
            (X'00000000000070008000000000000003', 'old', 'user', 'project.update', 'project', '3', 'pending', 1735689603000000)";
    sqlx::raw_sql(rows).execute(&database.pool).await.unwrap();
    database
}

async fn found(store: &impl EventReader, search: &str) -> Vec<AuditEvent> {
    let filter: Filter = search.parse().unwrap();
    let page = store.page(&filter, Seek::Newest, PageSize::MAX).await;
    page.unwrap().events
}

/// The rows from before are found by every way there is, and go on.
async fn the_rows_from_before_are_as_good_as_new(store: &(impl EventReader + EventWriter)) {
    for (search, rows) in [
        ("", 3),
        ("actor:old", 3),
        ("action:project.*", 3),
        ("-outcome:success", 2),
        ("outcome:denied", 1),
        ("target:2", 1),
        ("created:2025-01-01", 3),
        ("created:2026", 0),
    ] {
        assert_eq!(found(store, search).await.len(), rows, "{search}");
    }
    let all = store.estimate(&Filter::new()).await.unwrap();
    assert_eq!(all, Count::Exactly(3));
    // They were visible before whoever begins now looked; what ends, or is new, was not.
    let now = store.tail(None, PageSize::MAX).await.unwrap();
    let pending = found(store, "outcome:pending").await.remove(0);
    let end = AuditEvent::builder(
        pending.actor().clone(),
        pending.action(),
        pending.target().clone(),
    )
    .id(pending.id())
    .created_at(pending.created_at())
    .outcome(Outcome::Success)
    .build()
    .completing();
    let new = event(1);
    store.append(&[end, new.clone()]).await.unwrap();
    let told = store
        .tail(Some(&now.position), PageSize::MAX)
        .await
        .unwrap();
    let mut told: Vec<_> = told.events.iter().map(|(event, _)| event.id()).collect();
    told.sort_unstable();
    assert_eq!(told, [pending.id(), new.id()]);
    assert_eq!(found(store, "outcome:success").await.len(), 3);
}

#[tokio::test]
async fn a_postgres_table_of_the_first_version_is_brought_up_to_date_with_its_rows() {
    let database = old_postgres().await;
    migrate(&database.pool).await.unwrap();
    let status = migration_status(&database.pool).await.unwrap();
    assert!(
        status
            .iter()
            .all(|migration| migration.applied_at.is_some())
    );
    the_rows_from_before_are_as_good_as_new(&PgStore::new(database.pool.clone())).await;
}

#[tokio::test]
async fn a_sqlite_table_of_the_first_version_is_brought_up_to_date_with_its_rows() {
    let database = old_sqlite().await;
    migrate(&database.pool).await.unwrap();
    let status = migration_status(&database.pool).await.unwrap();
    assert!(
        status
            .iter()
            .all(|migration| migration.applied_at.is_some())
    );
    the_rows_from_before_are_as_good_as_new(&SqliteStore::new(database.pool.clone())).await;
}

#[tokio::test]
async fn a_live_tail_of_a_standby_says_that_it_needs_the_primary() {
    let database = Postgres::migrated().await;
    // What a standby says of itself: a function of the same name is found first.
    sqlx::raw_sql(
        "CREATE SCHEMA standby;
         CREATE FUNCTION standby.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true';",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let options = database
        .pool
        .connect_options()
        .as_ref()
        .clone()
        .options([("search_path", "standby,pg_catalog")]);
    let store = PgStore::new(sqlx::PgPool::connect_with(options).await.unwrap());
    let error = store.tail(None, PageSize::MAX).await.unwrap_err();
    assert!(
        matches!(error, tower_audit::StoreError::NotReady { hint, .. } if hint.contains("primary"))
    );
    // Pages are as good as those of the primary.
    assert!(found(&store, "").await.is_empty());
}
