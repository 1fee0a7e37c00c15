//! No question reads all of a long trail: what the databases plan for each documented filter.

use sqlx::AssertSqlSafe;
use tower_audit::{
    Actor, AuditEvent, Cursor, EventId, EventWriter, Filter, Indexes, PageSize, PgStore, Seek,
    SqliteStore, Target,
    partitions::{Layout, Period},
};
use xtask::rows;

use crate::support::database::{Postgres, Sqlite};

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

/// Makes rows, and the statistics of them, as autovacuum does after a while.
async fn fill(database: &Postgres, rows: u64) {
    let fill = rows::postgres("control_plane.audit_logs", 0, rows);
    for statement in [fill.as_str(), "ANALYZE control_plane.audit_logs"] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&database.pool)
            .await
            .unwrap();
    }
}

async fn postgres(indexes: Indexes) {
    let database = Postgres::fresh().await;
    let store = PgStore::builder(database.pool.clone())
        .indexes(indexes)
        .build()
        .unwrap();
    tower_audit::migrate(&store).await.unwrap();
    fill(&database, ROWS).await;
    expect_indexes(&store).await;
}

async fn expect_indexes(store: &PgStore) {
    for search in rows::SEARCHES {
        let filter: Filter = search.parse().unwrap();
        for seek in seeks() {
            let plans = store
                .explain_page(&filter, seek, PageSize::default())
                .await
                .unwrap();
            assert!(!plans.is_empty(), "{search}");
            for plan in plans {
                // No partition has that time.
                let is_nowhere = plan.contains("One-Time Filter: false");
                assert!(
                    (plan.contains("Index") || is_nowhere)
                        && !plan.contains("Seq Scan on audit_logs"),
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
async fn in_partitions_an_index_leads_to_the_rows_of_every_documented_filter() {
    let database = Postgres::fresh().await;
    let layout = Layout::Partitioned(Period::Daily);
    let store = PgStore::builder(database.pool.clone()).layout(layout);
    let store = store.build().unwrap();
    tower_audit::migrate(&store).await.unwrap();
    // A row of each day makes a partition of it.
    sqlx::raw_sql("DROP TABLE control_plane.audit_logs_first")
        .execute(&database.pool)
        .await
        .unwrap();
    let days = ROWS * rows::SECONDS_APART / 86_400 + 1;
    let of_day = |day| {
        let second = i64::try_from(rows::FIRST_SECOND + day * 86_400).unwrap();
        let target = Target::new("project", day);
        AuditEvent::builder(Actor::system(), "project.update", target)
            .created_at(chrono::DateTime::from_timestamp(second, 0).unwrap())
            .build()
    };
    let batch: Vec<AuditEvent> = (0..days).map(of_day).collect();
    store.append(&batch).await.unwrap();
    assert!(store.partitions().await.unwrap().len() > 9);
    fill(&database, ROWS).await;
    expect_indexes(&store).await;
}

#[tokio::test]
async fn in_postgres_the_rows_of_a_tenant_are_found_by_its_index_whatever_else_is_asked() {
    let database = Postgres::migrated().await;
    fill(&database, ROWS).await;
    let store = PgStore::new(database.pool.clone());
    let filter: Filter = "tenant:tenant-0 action:project.update -outcome:success"
        .parse()
        .unwrap();
    for seek in seeks() {
        let plans = store
            .explain_page(&filter, seek, PageSize::default())
            .await
            .unwrap();
        let rows: Vec<&String> = plans
            .iter()
            .filter(|plan| plan.starts_with("SELECT id"))
            .collect();
        assert!(!rows.is_empty());
        for plan in rows {
            // And no further than the window goes.
            assert!(
                plan.contains("idx_audit_logs_tenant_created")
                    && plan.matches("Limit").count() == 2,
                "{seek:?}\n{plan}"
            );
        }
    }
}

#[tokio::test]
async fn in_postgres_with_full_indexes_one_leads_to_the_rows_of_every_documented_filter() {
    postgres(Indexes::Full).await;
}

#[tokio::test]
async fn an_object_of_frequent_parts_is_not_gathered_from_its_index() {
    let database = Postgres::fresh().await;
    let store = PgStore::builder(database.pool.clone()).indexes(Indexes::Full);
    let store = store.build().unwrap();
    tower_audit::migrate(&store).await.unwrap();
    fill(&database, ROWS).await;
    let uses_it = async |search: &str| {
        let filter: Filter = search.parse().unwrap();
        let plans = store
            .explain_page(&filter, Seek::Newest, PageSize::default())
            .await
            .unwrap();
        plans
            .iter()
            .any(|plan| plan.contains("idx_audit_logs_metadata"))
    };
    assert!(!uses_it(r#"meta:{"plan": "pro", "seats": 45}"#).await);
    assert!(uses_it("meta.plan:rare-plan").await);
    assert!(uses_it(r#"meta:{"plan": "rare-plan", "seats": 45}"#).await);
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
        for search in rows::SEARCHES {
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
    fill(&database, 12_000).await;
    let mut all = Vec::new();
    let mut events = store.stream(Filter::new(), Seek::Newest);
    while let Some(event) = events.next().await.unwrap() {
        all.push(event);
    }
    assert_eq!(all.len(), 12_000);
    for search in rows::SEARCHES {
        let filter: Filter = search.parse().unwrap();
        let expected: Vec<_> = all
            .iter()
            .filter(|event| filter.matches(event))
            .map(AuditEvent::id)
            .collect();
        let mut found = Vec::new();
        let mut events = store.stream(filter, Seek::Newest);
        while let Some(event) = events.next().await.unwrap() {
            found.push(event.id());
        }
        assert_eq!(found, expected, "{search}");
    }
}
