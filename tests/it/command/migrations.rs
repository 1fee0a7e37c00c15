//! What the migrations would do, and what somebody changed since.

use sqlx::AssertSqlSafe;

use super::Operator;
use crate::support::database::{Postgres, Sqlite};

#[tokio::test]
async fn what_is_printed_for_a_dba_of_postgres_is_what_migrate_would_do() {
    let database = Postgres::fresh().await;
    let operator = Operator::of(&database.url);
    let printed = operator
        .does(&["migrate", "--print", "--full-indexes"])
        .await;
    sqlx::raw_sql(AssertSqlSafe(printed.out))
        .execute(&database.pool)
        .await
        .unwrap();
    operator.does(&["migrate", "--status"]).await;
    operator
        .does(&["migrate", "--verify", "--full-indexes"])
        .await;
    operator.does(&["migrate"]).await;
    let printed = operator.does(&["migrate", "--print"]).await;
    assert_eq!(printed.out, "-- Nothing is missing.\n");
}

#[tokio::test]
async fn what_is_printed_for_a_dba_of_sqlite_is_what_migrate_would_do() {
    let database = Sqlite::fresh().await;
    let operator = Operator::of(&database.url);
    let printed = operator.does(&["migrate", "--print"]).await;
    sqlx::raw_sql(AssertSqlSafe(printed.out))
        .execute(&database.pool)
        .await
        .unwrap();
    operator.does(&["migrate", "--status"]).await;
    operator.does(&["migrate", "--verify"]).await;
    operator.does(&["migrate"]).await;
}

#[tokio::test]
async fn a_table_is_as_the_migrations_make_it_in_every_layout() {
    for arguments in [
        &["migrate"][..],
        &["migrate", "--full-indexes"],
        &["migrate", "--layout", "monthly"],
        &["migrate", "--layout", "daily", "--full-indexes"],
    ] {
        let database = Postgres::fresh().await;
        let operator = Operator::of(&database.url);
        operator.does(arguments).await;
        let said = operator.runs(&["migrate", "--verify", "--json"]).await;
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{arguments:?}");
        if !arguments.contains(&"--layout") {
            operator
                .does(&["partitions", "convert", "--to", "monthly"])
                .await;
            let said = operator.runs(&["migrate", "--verify", "--json"]).await;
            assert_eq!((said.code, said.out.as_str()), (0, ""), "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn verify_tells_what_was_changed_from_what_was_added() {
    let database = Postgres::migrated().await;
    let operator = Operator::of(&database.url);
    let run = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    };
    run("CREATE INDEX mine ON control_plane.audit_logs (service)").await;
    let said = operator.does(&["migrate", "--verify"]).await;
    assert!(
        said.out.contains("index mine was added by somebody"),
        "{said:?}"
    );
    run("ALTER TABLE control_plane.audit_logs ALTER COLUMN action DROP NOT NULL").await;
    let said = operator.runs(&["migrate", "--verify"]).await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.out
            .contains("column audit_logs.action is `text`, and should be `text NOT NULL`"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_table_of_another_name_is_compared_with_its_own_migrations() {
    let database = Postgres::fresh().await;
    let operator = Operator::of(&database.url);
    let named = ["--schema", "Other", "--table", "Trail"];
    operator.does(&[&["migrate"], &named[..]].concat()).await;
    let said = operator
        .does(&[&["migrate", "--verify", "--json"], &named[..]].concat())
        .await;
    assert_eq!(said.out, "");
}
