//! The SQL of the guides does what they say.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tower_audit::{EventReader as _, Filter, PgStore, Seek};

use crate::support::database::Postgres;

const MOVING: &str = include_str!("../../crates/tower-audit/src/guides/moving.md");

/// Returns the blocks of SQL of a guide.
fn blocks(guide: &str) -> Vec<&str> {
    let parts = guide.split("```sql\n").skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn count(connection: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Rows as an old table may have them.
const OLD_ROWS: &str = "
INSERT INTO control_plane.audit_logs (actor_id, actor_type, action, target_type, target_id, metadata, ip_address, user_agent, created_at)
SELECT 'user-' || n, 'user', 'project.updated', 'project', n::text,
    CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '[1]'::jsonb WHEN 2 THEN 'null' ELSE '{\"plan\": \"pro\"}' END,
    CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '10.0.0.0/8'::inet ELSE '2001:db8::1' END,
    NULL, now() - n * interval '5 hours'
FROM generate_series(1, 200) AS n;
INSERT INTO control_plane.audit_logs (actor_id, actor_type, action, target_type, target_id, created_at)
VALUES ('system', 'system', 'job.run', 'job', '7', 'infinity');";

#[tokio::test]
async fn the_move_of_the_guide_leaves_no_row_behind_but_those_it_names() {
    let database = Postgres::fresh().await;
    let mut connection = PgConnection::connect_with(&database.options).await.unwrap();
    let blocks = blocks(MOVING);
    let [old, rename, the_move, verify, ..] = blocks[..] else {
        panic!("{blocks:?}");
    };
    run(&mut connection, "CREATE SCHEMA control_plane").await;
    run(&mut connection, old).await;
    run(&mut connection, OLD_ROWS).await;
    run(&mut connection, rename).await;
    tower_audit::migrate(&database.pool).await.unwrap();
    // It commits after each day, so it is a statement of its own.
    let (zone, the_move) = the_move.split_once('\n').unwrap();
    run(&mut connection, zone).await;
    for _ in 0..2 {
        run(&mut connection, the_move).await;
    }
    let questions: Vec<&str> = verify.split(';').collect();
    assert_eq!(
        count(&mut connection, questions[0]).await,
        1,
        "the one of no time"
    );
    assert_eq!(
        count(&mut connection, questions[1].split_once('\n').unwrap().1).await,
        1
    );
    let differ = questions[2].split_once("must be 0.").unwrap().1;
    assert_eq!(count(&mut connection, differ).await, 0);
    run(&mut connection, questions[3]).await;

    let store = PgStore::new(database.pool.clone());
    let moved: Filter = "service:moved@1".parse().unwrap();
    let mut events = store.stream(moved, Seek::Oldest);
    let mut found = 0;
    while let Some(event) = events.next().await.unwrap() {
        assert_eq!(event.recorded_at(), Some(event.created_at()));
        found += 1;
    }
    assert_eq!(found, 200);
}
