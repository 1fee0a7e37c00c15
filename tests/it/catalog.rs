//! The table is what the design says: asked of the catalog, not of our own reader.

use sqlx::PgPool;
use tower_audit::{Indexes, PgStore, SqliteStore};

use crate::support::database::{Postgres, Sqlite};

/// The ten columns of the table that the project grew out of: name, type, whether it may be NULL,
/// and its default.
const SEED: [(&str, &str, &str, Option<&str>); 10] = [
    ("id", "uuid", "NO", Some("gen_random_uuid()")),
    ("actor_id", "text", "NO", None),
    ("actor_type", "text", "NO", None),
    ("action", "text", "NO", None),
    ("target_type", "text", "NO", None),
    ("target_id", "text", "NO", None),
    ("metadata", "jsonb", "NO", Some("'{}'::jsonb")),
    ("ip_address", "inet", "YES", None),
    ("user_agent", "text", "YES", None),
    (
        "created_at",
        "timestamp with time zone",
        "NO",
        Some("now()"),
    ),
];

const SEED_INDEXES: [&str; 6] = [
    "idx_audit_logs_actor_id",
    "idx_audit_logs_target_id",
    "idx_audit_logs_created_at",
    "idx_audit_logs_actor_created",
    "idx_audit_logs_target_created",
    "idx_audit_logs_action",
];

type Column = (String, String, String, Option<String>);

async fn columns(pool: &PgPool) -> Vec<Column> {
    sqlx::query_as(
        "SELECT column_name::text, data_type::text, is_nullable::text, column_default::text
         FROM information_schema.columns
         WHERE table_schema = 'control_plane' AND table_name = 'audit_logs' ORDER BY ordinal_position",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn indexes(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'control_plane' ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_column_of_the_seed_is_there() {
    let database = Postgres::migrated().await;
    let found = columns(&database.pool).await;
    let found: Vec<_> = found
        .iter()
        .map(|(name, kind, nullable, default)| (&**name, &**kind, &**nullable, default.as_deref()))
        .collect();
    assert_eq!(found[..10], SEED);
    assert_eq!(found.len(), 29);
}

#[tokio::test]
async fn both_databases_have_the_same_columns() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    let in_postgres: Vec<String> = columns(&postgres.pool)
        .await
        .into_iter()
        .map(|column| column.0)
        .collect();
    let in_sqlite: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('audit_logs')")
            .fetch_all(&sqlite.pool)
            .await
            .unwrap();
    let mut in_view: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('audit_logs_text')")
            .fetch_all(&sqlite.pool)
            .await
            .unwrap();
    assert_eq!(in_postgres, in_sqlite);
    // The order of the writes is not for people.
    let mut sorted = in_sqlite;
    assert_eq!(sorted.pop().unwrap(), "write_order");
    sorted.sort();
    in_view.sort();
    assert_eq!(sorted, in_view);
}

/// Rows that the checks refuse, as values for (actor_type, actor_id, outcome, metadata, ip_address).
const REFUSED: [&str; 8] = [
    "'robot', 'r2', 'success', '{}', NULL",
    "'system', 'root', 'success', '{}', NULL",
    "'anonymous', 'alice', 'success', '{}', NULL",
    "'user', 'alice', 'maybe', '{}', NULL",
    "'user', 'alice', NULL, '{}', NULL",
    "'user', NULL, 'success', '{}', NULL",
    "'user', 'alice', 'success', '[1]', NULL",
    "'user', 'alice', 'success', NULL, NULL",
];

const ACCEPTED: [&str; 4] = [
    "'system', 'system', 'success', '{}', NULL",
    "'anonymous', 'anonymous', 'denied', '{}', NULL",
    "'api_key', 'k', 'pending', '{\"a\": 1}', '2001:db8::1'",
    "'user', 'alice', 'unknown', '{}', '192.0.2.1'",
];

fn insert(table: &str, id: &str, values: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!(
        "INSERT INTO {table} (id, action, target_type, target_id, actor_type, actor_id, outcome, metadata, ip_address)
         VALUES ({id}, 'x.y', '', '', {values})"
    ))
}

#[tokio::test]
async fn the_checks_of_postgres_refuse_what_no_event_says() {
    let database = Postgres::migrated().await;
    let (table, id) = ("control_plane.audit_logs", "gen_random_uuid()");
    let net = "'user', 'alice', 'success', '{}', '192.0.2.0/24'";
    for values in REFUSED.iter().chain([&net]) {
        let error = sqlx::raw_sql(insert(table, id, values))
            .execute(&database.pool)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("violates"), "{values}: {error}");
    }
    for values in ACCEPTED {
        sqlx::raw_sql(insert(table, id, values))
            .execute(&database.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_checks_of_sqlite_refuse_what_no_event_says() {
    let database = Sqlite::migrated().await;
    for values in REFUSED {
        let error = sqlx::raw_sql(insert("audit_logs", "randomblob(16)", values))
            .execute(&database.pool)
            .await;
        let error = error.unwrap_err();
        assert!(
            error.to_string().contains("constraint failed"),
            "{values}: {error}"
        );
    }
    let short = sqlx::raw_sql(insert("audit_logs", "randomblob(15)", ACCEPTED[0]))
        .execute(&database.pool)
        .await;
    assert!(short.is_err());
    for values in ACCEPTED {
        sqlx::raw_sql(insert("audit_logs", "randomblob(16)", values))
            .execute(&database.pool)
            .await
            .unwrap();
    }
}

/// What no event says of these columns, and what would make a page unreadable.
const OUT_OF_RANGE: [(&str, &str); 3] =
    [("status", "99"), ("status", "1000"), ("duration_us", "-1")];

fn insert_with(
    table: &str,
    id: &str,
    (column, value): (&str, &str),
) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!(
        "INSERT INTO {table} (id, actor_type, actor_id, action, target_type, target_id, outcome, {column})
         VALUES ({id}, 'user', 'alice', 'x.y', '', '', 'success', {value})"
    ))
}

#[tokio::test]
async fn values_out_of_range_are_refused_and_a_page_stays_readable() {
    let (postgres, sqlite) = (Postgres::migrated().await, Sqlite::migrated().await);
    let infinite = [("created_at", "'infinity'"), ("recorded_at", "'-infinity'")];
    for bad in OUT_OF_RANGE.into_iter().chain(infinite) {
        let insert = insert_with("control_plane.audit_logs", "gen_random_uuid()", bad);
        assert!(
            sqlx::raw_sql(insert).execute(&postgres.pool).await.is_err(),
            "{bad:?}"
        );
    }
    let (huge, broken) = (
        ("created_at", "9223372036854775807"),
        ("metadata", "'{\"a\": '"),
    );
    for bad in
        OUT_OF_RANGE
            .into_iter()
            .chain([huge, ("recorded_at", "-9223372036854775807"), broken])
    {
        let insert = insert_with("audit_logs", "randomblob(16)", bad);
        let error = sqlx::raw_sql(insert)
            .execute(&sqlite.pool)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("constraint failed"), "{bad:?}: {error}");
    }
}

#[tokio::test]
async fn a_row_with_values_that_cannot_be_read_hides_neither_itself_nor_its_neighbours() {
    use tower_audit::{EventReader, EventWriter, Filter, Metadata, PageSize, Seek};
    let sqlite = Sqlite::migrated().await;
    let store = SqliteStore::new(sqlite.pool.clone());
    store
        .append(&[crate::support::events::event(1)])
        .await
        .unwrap();
    for odd in [
        ("ip_address", "'not-an-ip'"),
        ("metadata", "'{\"a\": 1e400}'"),
        ("duration_us", "9223372036854775807"),
    ] {
        sqlx::raw_sql(insert_with("audit_logs", "randomblob(16)", odd))
            .execute(&sqlite.pool)
            .await
            .unwrap();
    }
    let events = store
        .page(&Filter::new(), Seek::Newest, PageSize::MAX)
        .await
        .unwrap()
        .events;
    assert_eq!(events.len(), 4);
    assert!(
        events
            .iter()
            .any(|event| event.metadata().get(Metadata::CUT).is_some())
    );
}

#[tokio::test]
async fn full_indexes_are_those_of_the_seed_and_more() {
    let database = Postgres::fresh().await;
    let store = PgStore::builder(database.pool.clone())
        .indexes(Indexes::Full)
        .build()
        .unwrap();
    tower_audit::migrate(&store).await.unwrap();
    tower_audit::migrate(&store).await.unwrap();
    let found = indexes(&database.pool).await;
    for index in SEED_INDEXES
        .iter()
        .chain(&["idx_audit_logs_request_id", "idx_audit_logs_metadata"])
    {
        assert!(
            found.iter().any(|name| name == index),
            "{index} of {found:?}"
        );
    }
}

#[tokio::test]
async fn lean_indexes_leave_out_the_prefixes_of_others() {
    let database = Postgres::migrated().await;
    let found = indexes(&database.pool).await;
    let expected = [
        "_tower_audit_migrations_pkey",
        "audit_logs_holds_pkey",
        "audit_logs_pkey",
        "audit_logs_retention_pkey",
        "idx_audit_logs_action",
        "idx_audit_logs_actor_created",
        "idx_audit_logs_created_at",
        "idx_audit_logs_holds_name",
        "idx_audit_logs_outcome",
        "idx_audit_logs_pending",
        "idx_audit_logs_target_created",
        "idx_audit_logs_tenant_created",
        "idx_audit_logs_write_order",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn full_indexes_exist_in_sqlite_too() {
    let database = Sqlite::fresh().await;
    let store = SqliteStore::builder(database.pool.clone())
        .indexes(Indexes::Full)
        .build()
        .unwrap();
    tower_audit::migrate(&store).await.unwrap();
    let found: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'index'")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    for index in SEED_INDEXES {
        assert!(
            found.iter().any(|name| name == index),
            "{index} of {found:?}"
        );
    }
}

#[tokio::test]
async fn the_sqlite_view_shows_ids_and_times_as_text() {
    use tower_audit::EventWriter;
    let database = Sqlite::migrated().await;
    let event = crate::support::events::full();
    SqliteStore::new(database.pool.clone())
        .append(std::slice::from_ref(&event))
        .await
        .unwrap();
    let shown: (String, String) = sqlx::query_as("SELECT id, created_at FROM audit_logs_text")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(
        shown,
        (event.id().to_string(), "2026-11-01T10:00:00.123456Z".into())
    );
}
