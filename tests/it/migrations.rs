//! Migrations: from many replicas at once, beside the app's own, and when they fail.

use std::process::Stdio;

use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};
use tokio::{io::AsyncWriteExt, process::Command};
use tower_audit::{
    EventReader, EventWriter, Filter, Migrate, MigrateError, PageSize, PgStore, Seek, SqliteStore,
    migrate, migration_status,
};

use crate::support::{
    database::{Postgres, Sqlite},
    events::event,
    soon,
};

/// Starts eight processes, lets them all loose at once, and expects all of them to succeed.
async fn migrate_from_many_processes(url: &str) {
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_migrate-once"));
        let command = command
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true).spawn().unwrap()
    };
    let mut processes: Vec<_> = (0..8).map(|_| start()).collect();
    for process in &mut processes {
        process
            .stdin
            .take()
            .unwrap()
            .write_all(b"go\n")
            .await
            .unwrap();
    }
    for process in processes {
        let output = soon(process.wait_with_output()).await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

async fn is_up_to_date(database: &impl Migrate) -> bool {
    migration_status(database)
        .await
        .unwrap()
        .iter()
        .all(|migration| migration.applied_at.is_some())
}

#[tokio::test]
async fn many_processes_may_migrate_postgres_at_once() {
    let database = Postgres::fresh().await;
    migrate_from_many_processes(&database.url).await;
    assert!(is_up_to_date(&database.pool).await);
}

#[tokio::test]
async fn many_processes_may_migrate_sqlite_at_once() {
    let database = Sqlite::fresh().await;
    migrate_from_many_processes(&database.url).await;
    assert!(is_up_to_date(&database.pool).await);
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    PgStore::new(postgres.pool.clone())
        .append(&[event(1)])
        .await
        .unwrap();
    SqliteStore::new(sqlite.pool.clone())
        .append(&[event(1)])
        .await
        .unwrap();
    let before = (
        migration_status(&postgres.pool).await.unwrap(),
        migration_status(&sqlite.pool).await.unwrap(),
    );
    migrate(&postgres.pool).await.unwrap();
    migrate(&sqlite.pool).await.unwrap();
    let after = (
        migration_status(&postgres.pool).await.unwrap(),
        migration_status(&sqlite.pool).await.unwrap(),
    );
    assert_eq!(before, after);
}

#[tokio::test]
async fn before_the_first_run_every_migration_is_pending() {
    let (postgres, sqlite) = (Postgres::fresh().await, Sqlite::fresh().await);
    for status in [
        migration_status(&postgres.pool).await,
        migration_status(&sqlite.pool).await,
    ] {
        let status = status.unwrap();
        assert!(
            !status.is_empty()
                && status
                    .iter()
                    .all(|migration| migration.applied_at.is_none())
        );
    }
}

/// What the app's own `sqlx::migrate!` is made into.
fn the_apps_own() -> Migrator {
    let sql = "CREATE TABLE projects (id INTEGER PRIMARY KEY)".into_sql_str();
    Migrator::with_migrations(vec![Migration::new(
        1,
        "projects".into(),
        MigrationType::Simple,
        sql,
        false,
    )])
}

#[tokio::test]
async fn the_apps_own_migrations_live_beside_ours() {
    let (postgres, sqlite) = (Postgres::fresh().await, Sqlite::fresh().await);
    for _ in 0..2 {
        the_apps_own().run(&postgres.pool).await.unwrap();
        migrate(&postgres.pool).await.unwrap();
        the_apps_own().run(&sqlite.pool).await.unwrap();
        migrate(&sqlite.pool).await.unwrap();
    }
    let books = "SELECT count(*) FROM _sqlx_migrations";
    let in_postgres: i64 = sqlx::query_scalar(books)
        .fetch_one(&postgres.pool)
        .await
        .unwrap();
    let in_sqlite: i64 = sqlx::query_scalar(books)
        .fetch_one(&sqlite.pool)
        .await
        .unwrap();
    assert_eq!((in_postgres, in_sqlite), (1, 1));
}

#[tokio::test]
async fn a_migration_that_fails_in_postgres_leaves_no_lock_and_no_trace() {
    let database = Postgres::fresh().await;
    sqlx::raw_sql(
        "CREATE SCHEMA control_plane; CREATE TABLE control_plane.audit_logs (theirs int)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let error = migrate(&database.pool).await.unwrap_err();
    assert!(
        matches!(error, MigrateError::Failed { version: 1, .. }),
        "{error:?}"
    );
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let locks: i64 = sqlx::query_scalar(locks)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(locks, 0);
    assert!(
        migration_status(&database.pool)
            .await
            .unwrap()
            .iter()
            .all(|migration| migration.applied_at.is_none())
    );
    sqlx::raw_sql("DROP TABLE control_plane.audit_logs")
        .execute(&database.pool)
        .await
        .unwrap();
    migrate(&database.pool).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_in_sqlite_leaves_no_lock_and_no_trace() {
    let database = Sqlite::fresh().await;
    // The table can be made, the view cannot: half of the work has to be undone.
    sqlx::raw_sql("CREATE TABLE audit_logs_text (theirs INTEGER)")
        .execute(&database.pool)
        .await
        .unwrap();
    let error = migrate(&database.pool).await.unwrap_err();
    assert!(
        matches!(error, MigrateError::Failed { version: 1, .. }),
        "{error:?}"
    );
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'audit_logs'")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!(tables, 0);
    sqlx::raw_sql("DROP TABLE audit_logs_text")
        .execute(&database.pool)
        .await
        .unwrap();
    migrate(&database.pool).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_was_changed_after_it_was_run_is_refused() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    sqlx::raw_sql("UPDATE control_plane._tower_audit_migrations SET checksum = '\\x00'")
        .execute(&postgres.pool)
        .await
        .unwrap();
    sqlx::raw_sql("UPDATE _tower_audit_migrations SET checksum = x'00'")
        .execute(&sqlite.pool)
        .await
        .unwrap();
    for error in [
        migrate(&postgres.pool).await.unwrap_err(),
        migrate(&sqlite.pool).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, MigrateError::Changed { version: 1 }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_table_of_a_newer_version_is_left_alone() {
    let database = Postgres::migrated().await;
    sqlx::raw_sql(
        "INSERT INTO control_plane._tower_audit_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'from the future', true, '\\x00', 0)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    migrate(&database.pool).await.unwrap();
    let last = migration_status(&database.pool)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        (last.version, last.description.as_str()),
        (9_000, "from the future")
    );
}

async fn count(store: &impl EventReader) -> usize {
    store
        .page(&Filter::new(), Seek::Newest, PageSize::MAX)
        .await
        .unwrap()
        .events
        .len()
}

#[tokio::test]
async fn schema_and_table_are_settings_and_two_tables_do_not_mix() {
    let database = Postgres::fresh().await;
    let store = |table: &str| {
        PgStore::builder(database.pool.clone())
            .schema("Select")
            .table(table)
            .build()
            .unwrap()
    };
    let (first, second, default) = (
        store("order"),
        store("audit_logs"),
        PgStore::new(database.pool.clone()),
    );
    migrate(&first).await.unwrap();
    migrate(&second).await.unwrap();
    migrate(&default).await.unwrap();
    first.append(&[event(1), event(2)]).await.unwrap();
    second.append(&[event(3)]).await.unwrap();
    assert_eq!(
        (
            count(&first).await,
            count(&second).await,
            count(&default).await
        ),
        (2, 1, 0)
    );
    assert!(is_up_to_date(&first).await && is_up_to_date(&second).await);
    let update = "UPDATE \"Select\".\"order\" SET action = 'x'";
    assert!(sqlx::raw_sql(update).execute(&database.pool).await.is_err());
}

#[tokio::test]
async fn the_table_is_a_setting_in_sqlite_too() {
    let database = Sqlite::fresh().await;
    let store = SqliteStore::builder(database.pool.clone())
        .table("group")
        .build()
        .unwrap();
    migrate(&store).await.unwrap();
    migrate(&database.pool).await.unwrap();
    store.append(&[event(1)]).await.unwrap();
    assert_eq!(
        (
            count(&store).await,
            count(&SqliteStore::new(database.pool.clone())).await
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn the_longest_names_stay_apart() {
    let database = Postgres::fresh().await;
    let store = |last: &str| {
        let name = "a".repeat(38) + last;
        let store = PgStore::builder(database.pool.clone())
            .schema("a".repeat(39))
            .table(name);
        store.indexes(tower_audit::Indexes::Full).build().unwrap()
    };
    let (first, second) = (store("a"), store("b"));
    migrate(&first).await.unwrap();
    migrate(&second).await.unwrap();
    first.append(&[event(1)]).await.unwrap();
    assert_eq!((count(&first).await, count(&second).await), (1, 0));
}

#[tokio::test]
async fn a_name_that_is_no_identifier_is_an_error_of_the_builder() {
    let (postgres, sqlite) = (Postgres::fresh().await, Sqlite::fresh().await);
    let bad = "audit\"; DROP TABLE users; --";
    let errors = [
        PgStore::builder(postgres.pool.clone())
            .schema(bad)
            .build()
            .unwrap_err(),
        PgStore::builder(postgres.pool.clone())
            .table(bad)
            .build()
            .unwrap_err(),
        SqliteStore::builder(sqlite.pool)
            .table(bad)
            .build()
            .unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("is not a usable"), "{error}");
    }
}

#[tokio::test]
async fn a_user_who_may_not_make_schemas_can_migrate_into_one_that_is_there() {
    let database = Postgres::fresh().await;
    let role = format!("owner_{}", uuid::Uuid::now_v7().simple());
    let prepare = format!(
        "CREATE ROLE {role} LOGIN; CREATE SCHEMA control_plane AUTHORIZATION {role};
         REVOKE CREATE ON DATABASE {} FROM PUBLIC",
        database.options.get_database().unwrap()
    );
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&database.pool)
        .await
        .unwrap();
    let pool = sqlx::PgPool::connect_with(database.options.clone().username(&role))
        .await
        .unwrap();
    let result = migrate(&pool).await;
    pool.close().await;
    let clean = format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(clean))
        .execute(&database.pool)
        .await
        .unwrap();
    result.unwrap();
}
