//! No question reads all of a long trail: what the databases plan for each documented filter.

use sqlx::AssertSqlSafe;
use tower_audit::{Cursor, EventId, Filter, Indexes, PageSize, PgStore, Seek, SqliteStore};
use xtask::rows;

use crate::support::database::{Postgres, Sqlite};

/// Searches for each key, with values that are frequent, rare and nowhere.
const SEARCHES: &[&str] = &[
    "",
    "created:2020-01-03",
    "id:00000000-0000-7000-8000-000000000000",
    "actor:user-7",
    "actor:rare-actor",
    "actor:nobody",
    "actor:user-7,user-8",
    "-actor:user-7",
    "kind:api_key",
    "name:\"Name 7\"",
    "auth:bearer",
    "credential:*",
    "behalf:user-7",
    "action:project.update",
    "action:secret.purge",
    "action:project.*",
    "action:secret.p*",
    "target:7",
    "type:invoice",
    "outcome:denied",
    "outcome:success",
    "outcome:unknown",
    "-outcome:success",
    "reason:not_owner",
    "recorded:2020-01-03",
    "status:4xx",
    "status:404",
    "method:DELETE",
    "route:/teams/{id}",
    "path:/teams/*",
    "path:/nowhere",
    "duration:>40ms",
    "request:nowhere",
    "trace:nowhere",
    "tenant:tenant-7",
    "tenant:nowhere",
    "ip:10.0.7.0/24",
    "ip:203.0.113.77",
    "peer:10.255.0.1",
    "agent:agent/7",
    "service:nowhere",
    "meta.plan:pro",
    "meta.plan:rare-plan",
    "meta:{\"plan\": \"pro\", \"seats\": 45}",
    "captured.query.page:2",
    "actor:user-7 outcome:denied",
    "tenant:tenant-7 action:project.update -outcome:success",
];

/// Long enough that no planner takes reading all of it for quick.
const ROWS: u64 = 40_000;

fn middle() -> Cursor {
    let second = rows::FIRST_SECOND + ROWS / 2 * rows::SECONDS_APART;
    let time = chrono::DateTime::from_timestamp(i64::try_from(second).unwrap(), 0).unwrap();
    Cursor::new(time, EventId::from_uuid(uuid::Uuid::nil()))
}

fn seeks() -> [Seek; 4] {
    [
        Seek::Newest,
        Seek::OlderThan(middle()),
        Seek::NewerThan(middle()),
        Seek::Oldest,
    ]
}

async fn postgres(indexes: Indexes) {
    let database = Postgres::fresh().await;
    let store = PgStore::builder(database.pool.clone())
        .indexes(indexes)
        .build()
        .unwrap();
    tower_audit::migrate(&store).await.unwrap();
    let fill = rows::postgres("control_plane.audit_logs", 0, ROWS);
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(&database.pool)
        .await
        .unwrap();
    sqlx::raw_sql("ANALYZE control_plane.audit_logs")
        .execute(&database.pool)
        .await
        .unwrap();
    for search in SEARCHES {
        let filter: Filter = search.parse().unwrap();
        for seek in seeks() {
            let plans = store
                .explain_page(&filter, seek, PageSize::default())
                .await
                .unwrap();
            assert!(!plans.is_empty(), "{search}");
            for plan in plans {
                assert!(
                    plan.contains("Index") && !plan.contains("Seq Scan on audit_logs"),
                    "{search}\n{plan}"
                );
            }
        }
    }
}

#[tokio::test]
async fn in_postgres_an_index_leads_to_the_rows_of_every_documented_filter() {
    postgres(Indexes::Lean).await;
}

#[tokio::test]
async fn in_postgres_with_full_indexes_one_leads_to_the_rows_of_every_documented_filter() {
    postgres(Indexes::Full).await;
}

#[tokio::test]
async fn in_sqlite_an_index_leads_to_the_rows_of_every_documented_filter() {
    for indexes in [Indexes::Lean, Indexes::Full] {
        let database = Sqlite::fresh().await;
        let store = SqliteStore::builder(database.pool.clone())
            .indexes(indexes)
            .build()
            .unwrap();
        tower_audit::migrate(&store).await.unwrap();
        let fill = rows::sqlite("audit_logs", 0, ROWS);
        sqlx::raw_sql(AssertSqlSafe(fill))
            .execute(&database.pool)
            .await
            .unwrap();
        for search in SEARCHES {
            let filter: Filter = search.parse().unwrap();
            for seek in seeks() {
                let plans = store
                    .explain_page(&filter, seek, PageSize::default())
                    .await
                    .unwrap();
                assert!(!plans.is_empty(), "{search}");
                for plan in plans {
                    // A scan by an index goes in the order of time, and stops; one of a co-routine has what that found.
                    let scans_all = plan
                        .lines()
                        .any(|line| line == "SCAN t" || line == "SCAN audit_logs");
                    let is_of_found = plan.starts_with("WITH few") || plan.contains("CO-ROUTINE t");
                    assert!(
                        plan.contains("INDEX") || plan.contains("PRIMARY KEY"),
                        "{search}\n{plan}"
                    );
                    assert!(!scans_all || is_of_found, "{search}\n{plan}");
                }
            }
        }
    }
}

#[tokio::test]
async fn each_search_finds_the_same_rows_of_a_long_trail_page_by_page_as_plain_code_does() {
    use tower_audit::EventReader;

    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    let fill = rows::postgres("control_plane.audit_logs", 0, 12_000);
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(&database.pool)
        .await
        .unwrap();
    let mut all = Vec::new();
    let mut events = store.stream(Filter::new(), Seek::Newest);
    while let Some(event) = events.next().await.unwrap() {
        all.push(event);
    }
    assert_eq!(all.len(), 12_000);
    for search in SEARCHES {
        let filter: Filter = search.parse().unwrap();
        let expected: Vec<_> = all
            .iter()
            .filter(|event| filter.matches(event))
            .map(tower_audit::AuditEvent::id)
            .collect();
        let mut found = Vec::new();
        let mut events = store.stream(filter, Seek::Newest);
        while let Some(event) = events.next().await.unwrap() {
            found.push(event.id());
        }
        assert_eq!(found, expected, "{search}");
    }
}
