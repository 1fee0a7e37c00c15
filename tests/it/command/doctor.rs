//! What the doctor says of a trail that somebody broke.

use sqlx::AssertSqlSafe;
use tower_audit::{EventWriter as _, PgStore, SqliteStore};

use super::{Operator, old};
use crate::support::database::{Postgres, Sqlite};

/// Returns what is a problem, as `check: found`.
async fn problems(operator: &Operator) -> Vec<String> {
    let prefix = operator.of_roles.as_deref().unwrap_or("tower_audit");
    let said = operator
        .runs(&["doctor", "--json", "--role-prefix", prefix])
        .await;
    let problems: Vec<String> = said
        .objects()
        .iter()
        .filter(|finding| finding["severity"] == "problem")
        .map(|finding| {
            assert!(finding["to_do"].is_string(), "{finding}");
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            format!("{}: {}", text("check"), text("found"))
        })
        .collect();
    assert_eq!(
        said.code,
        if problems.is_empty() { 0 } else { 3 },
        "{said:?}"
    );
    problems
}

async fn run(database: &Postgres, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&database.pool)
        .await
        .unwrap();
}

/// Breaks something, sees that the doctor names it and nothing else, and mends it.
async fn names(
    operator: &Operator,
    database: &Postgres,
    (break_it, mend): (&str, &str),
    expected: &[&str],
) {
    run(database, break_it).await;
    let problems = problems(operator).await;
    assert_eq!(problems.len(), 1, "{break_it}: {problems:?}");
    for expected in expected {
        assert!(problems[0].contains(expected), "{break_it}: {problems:?}");
    }
    run(database, mend).await;
    assert_eq!(self::problems(operator).await, [""; 0], "{mend}");
}

/// Returns a trail in months.
async fn of_months() -> (Postgres, Operator) {
    let database = Postgres::fresh().await;
    let operator = Operator::of(&database.url);
    operator.does(&["migrate", "--layout", "monthly"]).await;
    (database, operator)
}

#[tokio::test]
async fn the_doctor_names_a_dropped_index() {
    let database = Postgres::migrated().await;
    let operator = Operator::of(&database.url);
    names(
        &operator,
        &database,
        (
            "DROP INDEX control_plane.idx_audit_logs_target_created",
            "CREATE INDEX idx_audit_logs_target_created ON control_plane.audit_logs (target_id, created_at DESC)",
        ),
        &["indexes", "idx_audit_logs_target_created is missing", "btree (target_id, created_at DESC)"],
    )
    .await;
}

#[tokio::test]
async fn the_doctor_names_a_disabled_trigger_and_a_changed_function() {
    let database = Postgres::migrated().await;
    let operator = Operator::of(&database.url);
    let table = "control_plane.audit_logs";
    names(
        &operator,
        &database,
        (
            &format!("ALTER TABLE {table} DISABLE TRIGGER audit_logs_append_only"),
            &format!("ALTER TABLE {table} ENABLE TRIGGER audit_logs_append_only"),
        ),
        &["triggers", "audit_logs_append_only", "(disabled)"],
    )
    .await;
    let body: String = sqlx::query_scalar(
        "SELECT pg_get_functiondef('control_plane.audit_logs_append_only'::regproc)",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    names(
        &operator,
        &database,
        (
            &body.replace("RAISE EXCEPTION", "RETURN OLD; RAISE EXCEPTION"),
            &body,
        ),
        &["table", "audit_logs_append_only", "another body"],
    )
    .await;
}

#[tokio::test]
async fn the_doctor_names_a_partition_whose_trigger_is_disabled() {
    let (database, operator) = of_months().await;
    let there = operator.does(&["partitions", "--json"]).await.objects();
    let partition = there.last().unwrap()["name"].as_str().unwrap().to_owned();
    let trigger = |word: &str, trigger: &str| {
        format!("ALTER TABLE control_plane.{partition} {word} TRIGGER {trigger}")
    };
    for (name, refused) in [
        ("audit_logs_append_only", "UPDATE and DELETE"),
        ("audit_logs_no_truncate", "TRUNCATE"),
    ] {
        names(
            &operator,
            &database,
            (&trigger("DISABLE", name), &trigger("ENABLE", name)),
            &["triggers", &partition, refused],
        )
        .await;
    }
}

#[tokio::test]
async fn the_doctor_names_a_grant_that_was_revoked_and_one_that_is_too_much() {
    let (database, mut operator) = of_months().await;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let prefix = format!("t{}", &id[id.len() - 12..]);
    operator
        .does(&["migrate", "--roles", "--role-prefix", &prefix])
        .await;
    operator.of_roles = Some(prefix.clone());
    let table = "control_plane.audit_logs";
    names(
        &operator,
        &database,
        (
            &format!("REVOKE INSERT (outcome) ON {table} FROM {prefix}_writer"),
            &format!("GRANT INSERT (outcome) ON {table} TO {prefix}_writer"),
        ),
        &[
            "privileges",
            "_writer may not INSERT columns of control_plane.audit_logs",
        ],
    )
    .await;
    names(
        &operator,
        &database,
        (
            &format!("GRANT DELETE ON {table} TO {prefix}_reader"),
            &format!("REVOKE DELETE ON {table} FROM {prefix}_reader"),
        ),
        &["privileges", "_reader may DELETE"],
    )
    .await;
    // They are of the whole cluster.
    for role in ["writer", "reader", "retention", "owner"] {
        run(
            &database,
            &format!("DROP OWNED BY {prefix}_{role} CASCADE; DROP ROLE {prefix}_{role}"),
        )
        .await;
    }
}

#[tokio::test]
async fn the_doctor_names_a_partition_that_is_missing() {
    let (database, operator) = of_months().await;
    let there = operator.does(&["partitions", "--json"]).await.objects();
    let of_now = there[there.len() - 3].clone();
    let name = of_now["name"].as_str().unwrap();
    let from = &of_now["from"].as_str().unwrap()[..10];
    run(
        &database,
        &format!("ALTER TABLE control_plane.audit_logs DETACH PARTITION control_plane.{name}; DROP TABLE control_plane.{name}"),
    )
    .await;
    let problems = problems(&operator).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("partitions: there is none for") && problems[0].contains(from),
        "{problems:?}"
    );
    operator.does(&["partitions", "create"]).await;
    assert_eq!(self::problems(&operator).await, [""; 0]);
}

#[tokio::test]
async fn the_doctor_names_pending_rows_that_nobody_completes() {
    let database = Postgres::migrated().await;
    let pending = old(1, "alice");
    let pending = serde_json::to_string(&pending)
        .unwrap()
        .replace("\"denied\"", "\"pending\"");
    let store = PgStore::new(database.pool.clone());
    store
        .append(&[serde_json::from_str(&pending).unwrap()])
        .await
        .unwrap();
    let said = Operator::of(&database.url)
        .does(&["doctor", "--quiet"])
        .await;
    assert!(
        said.out.contains("pending rows 1 are older than an hour"),
        "{said:?}"
    );
}

#[tokio::test]
async fn the_doctor_of_sqlite_names_what_was_dropped() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    assert_eq!(problems(&operator).await, [""; 0]);
    SqliteStore::new(database.pool.clone())
        .append(&[old(1, "alice")])
        .await
        .unwrap();
    sqlx::raw_sql("DROP TRIGGER audit_logs_no_delete; DROP INDEX idx_audit_logs_action")
        .execute(&database.pool)
        .await
        .unwrap();
    let problems = problems(&operator).await;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains("indexes: index idx_audit_logs_action is missing"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("triggers: trigger audit_logs_no_delete is missing"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_a_finding() {
    let operator = Operator::of("postgres://u:hunter2@127.0.0.1:1/d");
    let problems = problems(&operator).await;
    assert!(problems[0].starts_with("connection: "), "{problems:?}");
    assert!(!problems[0].contains("hunter2"), "{problems:?}");
}

#[tokio::test]
async fn the_doctor_names_what_swallows_or_loses_events() {
    let database = Postgres::migrated().await;
    let operator = Operator::of(&database.url);
    let table = "control_plane.audit_logs";
    for (break_it, mend, expected) in [
        (
            format!("CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING"),
            format!("DROP RULE r ON {table}"),
            "rule r of audit_logs was added by somebody",
        ),
        (
            format!("ALTER TABLE {table} ADD COLUMN mine text NOT NULL"),
            format!("ALTER TABLE {table} DROP COLUMN mine"),
            "column audit_logs.mine was added by somebody",
        ),
    ] {
        names(
            &operator,
            &database,
            (&break_it, &mend),
            &["table: ", expected],
        )
        .await;
    }
    names(
        &operator,
        &database,
        (
            &format!("ALTER TABLE {table} SET UNLOGGED"),
            &format!("ALTER TABLE {table} SET LOGGED"),
        ),
        &["table: table audit_logs is `UNLOGGED`"],
    )
    .await;
    names(
        &operator,
        &database,
        (
            "DELETE FROM control_plane.audit_logs_retention",
            "INSERT INTO control_plane.audit_logs_retention DEFAULT VALUES",
        ),
        &["retention: the row of the lease is gone"],
    )
    .await;
}

#[tokio::test]
async fn what_the_doctor_may_not_see_does_not_pass_for_healthy() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    operator.does(&["doctor"]).await;
    let said = operator.runs(&["doctor", "--spool", "/nowhere"]).await;
    assert_eq!(said.code, 3, "{said:?}");
}

#[tokio::test]
async fn nothing_is_wrong_with_a_new_trail_in_sqlite() {
    let database = Sqlite::migrated().await;
    let said = Operator::of(&database.url)
        .does(&["doctor", "--quiet"])
        .await;
    assert_eq!(said.out, "0 problems, 0 warnings\n");
}

#[tokio::test]
async fn the_doctor_sees_what_somebody_did_to_a_partition_by_itself() {
    let (database, operator) = of_months().await;
    let first = "control_plane.audit_logs_first";
    names(
        &operator,
        &database,
        (
            &format!("ALTER TABLE {first} SET UNLOGGED"),
            &format!("ALTER TABLE {first} SET LOGGED"),
        ),
        &["table: table audit_logs_first is `UNLOGGED`"],
    )
    .await;
    run(
        &database,
        &format!(
            "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER mine BEFORE INSERT ON {first} FOR EACH ROW EXECUTE FUNCTION mine()"
        ),
    )
    .await;
    let said = operator.does(&["doctor", "--quiet"]).await;
    assert!(
        said.out
            .contains("trigger mine of the partition audit_logs_first was added"),
        "{said:?}"
    );
}
