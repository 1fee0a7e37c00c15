//! Who may do what to the history: as little as they need.

use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgPoolOptions};
use tower_audit::{Actor, changes::ChangeContext};
use tower_audit_history::{
    AsOf, AuditedTransaction, Finding, History, HistoryError, Track, Triggers,
};

use super::support::{Tracked, name, now};

/// A role that can log in, dropped with its database's objects at the end of the test.
struct Role(String);

impl Role {
    async fn new(db: &Tracked, grants: &str) -> Self {
        let role = format!("role_{}", uuid::Uuid::now_v7().simple());
        db.run(&format!("CREATE ROLE {role} LOGIN;")).await;
        db.run(&grants.replace("{role}", &role)).await;
        Self(role)
    }

    async fn connect(&self, db: &Tracked) -> PgConnection {
        let options = db.database.options.clone().username(&self.0);
        PgConnection::connect_with(&options).await.unwrap()
    }

    async fn drop(self, db: &Tracked) {
        db.run(&format!("DROP OWNED BY {0} CASCADE; DROP ROLE {0}", self.0))
            .await;
    }
}

async fn jobs(triggers: Triggers) -> Tracked {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, token text)").await;
    db.track("jobs", Track::new().triggers(triggers)).await;
    db
}

#[tokio::test]
async fn whoever_changes_a_row_needs_no_privilege_on_the_history_and_gets_none() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = jobs(triggers).await;
        let role = Role::new(&db, "GRANT ALL ON jobs TO {role}").await;
        let mut app = role.connect(&db).await;
        app.execute("INSERT INTO jobs VALUES (1); UPDATE jobs SET token = 'a'; DELETE FROM jobs; TRUNCATE jobs").await.unwrap();
        for sql in [
            "SELECT * FROM control_plane.row_changes",
            "INSERT INTO control_plane.row_changes (operation, table_schema, table_name, actor_type, actor_id) VALUES ('insert', 'a', 'b', 'user', 'c')",
            "SELECT * FROM control_plane.row_changes_keys",
            "SELECT control_plane.row_changes_hashed('k', 'v')",
        ] {
            assert!(app.execute(sql).await.is_err(), "{sql}");
        }
        let changes = db.changes().await;
        assert_eq!(changes.len(), 4);
        assert_eq!(changes[0].database_user, role.0);
        app.close().await.unwrap();
        role.drop(&db).await;
    }
}

#[tokio::test]
async fn nobody_else_can_use_a_function_of_triggers_to_claim_changes() {
    let db = jobs(Triggers::Row).await;
    let role = Role::new(
        &db,
        "GRANT ALL ON SCHEMA public TO {role}; GRANT USAGE ON SCHEMA control_plane TO {role}",
    )
    .await;
    let function: String =
        sqlx::query_scalar("SELECT function FROM control_plane.row_changes_tracked")
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
    let mut other = role.connect(&db).await;
    other
        .execute("CREATE TABLE mine (id int PRIMARY KEY, token text)")
        .await
        .unwrap();
    let claim = format!(
        "CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION control_plane.{function}()"
    );
    let said = other
        .execute(sqlx::AssertSqlSafe(claim))
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("permission denied"), "{said}");
    other.close().await.unwrap();
    role.drop(&db).await;
}

#[tokio::test]
async fn what_somebody_puts_into_the_search_path_is_not_called() {
    let db = jobs(Triggers::Row).await;
    let role = Role::new(
        &db,
        "GRANT ALL ON jobs TO {role}; CREATE SCHEMA evil AUTHORIZATION {role}",
    )
    .await;
    let mut app = role.connect(&db).await;
    for name in [
        "jsonb_build_object(VARIADIC \"any\")",
        "current_setting(text, boolean)",
        "lower(text)",
        "format(text, VARIADIC \"any\")",
    ] {
        let returns = if name.starts_with("jsonb") {
            "jsonb"
        } else {
            "text"
        };
        let sql = format!(
            "CREATE FUNCTION evil.{name} RETURNS {returns} LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END'"
        );
        // Not every one of them can be made by everybody.
        let _ = app.execute(sqlx::AssertSqlSafe(sql)).await;
    }
    app.execute("SET search_path = evil, pg_catalog, public; CREATE TEMP TABLE row_changes (a int); INSERT INTO jobs VALUES (1, 'a')").await.unwrap();
    assert_eq!(db.changes().await.len(), 1);
    app.close().await.unwrap();
    role.drop(&db).await;
}

#[tokio::test]
async fn a_role_can_own_the_history_and_another_the_table() {
    let db = Tracked::with("SELECT 1").await;
    let owner = Role::new(&db, "SELECT 1").await;
    let migrator = Role::new(&db, "GRANT ALL ON SCHEMA public TO {role}").await;
    let mut other = migrator.connect(&db).await;
    other
        .execute("CREATE TABLE t (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
        .await
        .unwrap();
    let history = History::builder(db.database.pool.clone())
        .owner(owner.0.clone())
        .build()
        .unwrap();
    for _ in 0..2 {
        history.migrate().await.unwrap();
        history.track(&name("t"), Track::new()).await.unwrap();
    }
    // Who owns the table makes partitions of it, as before.
    other.execute("CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); INSERT INTO t VALUES (1, '2026-02-05')").await.unwrap();
    assert_eq!(db.changes().await[0].database_user, migrator.0);
    let owned = "SELECT count(*) FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace WHERE nspname = 'control_plane' AND relkind IN ('r', 'p')
        AND pg_get_userbyid(relowner) <> $1";
    let owned: i64 = sqlx::query_scalar(owned)
        .bind(&owner.0)
        .fetch_one(&db.database.pool)
        .await
        .unwrap();
    assert_eq!(owned, 0);
    other.close().await.unwrap();
    migrator.drop(&db).await;
    owner.drop(&db).await;
}

#[tokio::test]
async fn a_user_who_may_only_read_reads() {
    let db = jobs(Triggers::Row).await;
    db.run("INSERT INTO jobs VALUES (1, 'a')").await;
    let role = Role::new(&db, "GRANT USAGE ON SCHEMA control_plane TO {role}; GRANT SELECT ON control_plane.row_changes, control_plane.row_changes_tracked TO {role}; GRANT SELECT ON jobs TO {role}").await;
    let options = db.database.options.clone().username(&role.0);
    let pool = sqlx::PgPool::connect_with(options).await.unwrap();
    let reader = Tracked {
        history: History::new(pool.clone()),
        database: crate::support::database::Postgres::fresh().await,
    };
    assert_eq!(reader.changes().await.len(), 1);
    assert_eq!(reader.history.status().await.unwrap().len(), 1);
    let key = serde_json::json!({"id": 1}).as_object().unwrap().clone();
    reader
        .history
        .as_of(&name("jobs"), &key, chrono::Utc::now())
        .await
        .unwrap();
    // What every replica does when it starts: nothing, where everything is done.
    let books = format!(
        "GRANT SELECT ON control_plane.row_changes_migrations TO {}",
        role.0
    );
    db.run(&books).await;
    reader.history.migrate().await.unwrap();
    reader
        .history
        .track(&name("jobs"), Track::new())
        .await
        .unwrap();
    let other = Track::new().mask(["token"]);
    assert!(reader.history.track(&name("jobs"), other).await.is_err());
    pool.close().await;
    role.drop(&db).await;
}

#[tokio::test]
async fn no_cast_that_somebody_made_runs_as_the_owner_of_the_history() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = Tracked::with(
            "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a mood);
             CREATE FUNCTION steal(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it ran as %', current_user; END $$;
             CREATE CAST (mood AS json) WITH FUNCTION steal(mood);
             CREATE TABLE t (id int PRIMARY KEY, a mood, b mood[], c pair, d text)",
        )
        .await;
        db.track("t", Track::new().triggers(triggers)).await;
        let change = "INSERT INTO t VALUES (1, 'good', '{bad}', ROW('good'), 'a'); UPDATE t SET a = 'bad', b = '{}'; DELETE FROM t";
        db.run(change).await;
        let changes = db.changes().await;
        assert_eq!(changes.len(), 3);
        assert_eq!(changes[0].new.as_ref().unwrap()["a"], "good");
        // Not by the names of columns either, once those are others.
        db.run("ALTER TABLE t RENAME d TO e").await;
        db.run(change).await;
        let changes = db.changes().await;
        assert_eq!(changes.len(), 6);
        assert_eq!(changes[3].new, None);
    }
}

#[tokio::test]
async fn a_row_that_a_policy_hides_is_no_row_that_is_gone() {
    let db = jobs(Triggers::Row).await;
    db.run("INSERT INTO jobs VALUES (1, 'a')").await;
    let role = Role::new(&db, "GRANT USAGE ON SCHEMA control_plane TO {role}; GRANT SELECT ON control_plane.row_changes, control_plane.row_changes_tracked TO {role}; GRANT SELECT ON jobs TO {role}").await;
    db.run("ALTER TABLE jobs ENABLE ROW LEVEL SECURITY").await;
    let options = db.database.options.clone().username(&role.0);
    let pool = sqlx::PgPool::connect_with(options).await.unwrap();
    let key = serde_json::json!({"id": 1}).as_object().unwrap().clone();
    let refused = History::new(pool.clone())
        .as_of(&name("jobs"), &key, chrono::Utc::now())
        .await;
    let Err(HistoryError::Database(refused)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        refused.to_string().contains("row-level security"),
        "{refused}"
    );
    pool.close().await;
    role.drop(&db).await;
}

#[tokio::test]
async fn nothing_that_somebody_put_into_public_runs_as_whoever_looks_back() {
    let db = Tracked::with(
        "CREATE FUNCTION to_jsonb(text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it ran'; END $$;
         CREATE FUNCTION jsonb_build_object(text, integer) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it ran'; END $$;
         CREATE FUNCTION format(text, numeric) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it ran'; END $$;
         CREATE TABLE t (id int PRIMARY KEY, a text, b numeric); INSERT INTO t VALUES (1, 'a', 1)",
    )
    .await;
    db.run("CREATE FUNCTION jsonb_populate_record(t, jsonb) RETURNS t LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it ran'; END $$").await;
    db.track("t", Track::new()).await;
    assert_eq!(db.history.baseline(&name("t")).await.unwrap(), 1);
    db.run("UPDATE t SET a = 'b', b = 2").await;
    let key = serde_json::json!({"id": 1}).as_object().unwrap().clone();
    db.history
        .as_of(&name("t"), &key, chrono::Utc::now())
        .await
        .unwrap();
    let change = db.changes().await.pop().unwrap();
    let revert = db.history.revert(change.id).await.unwrap();
    let context = ChangeContext::new(Actor::system());
    let mut tx = AuditedTransaction::begin(&db.database.pool, context)
        .await
        .unwrap();
    let path = "SELECT current_setting('search_path') || current_setting('timezone')";
    let before: String = sqlx::query_scalar(path).fetch_one(&mut *tx).await.unwrap();
    revert.run(&mut tx).await.unwrap();
    let after: String = sqlx::query_scalar(path).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(before, after);
    tx.commit().await.unwrap();
    assert_eq!(db.told().await.pop().unwrap()["new"]["a"], "a");
}

#[tokio::test]
async fn a_schema_in_foreign_hands_is_found() {
    let db = jobs(Triggers::Row).await;
    db.assert_well().await;
    let role = Role::new(&db, "ALTER SCHEMA control_plane OWNER TO {role}").await;
    let found = db.history.verify().await.unwrap();
    let owner = role.0.clone();
    assert_eq!(found, [(None, Finding::SchemaOfAnother { owner })]);
    db.run("ALTER SCHEMA control_plane OWNER TO CURRENT_USER")
        .await;
    role.drop(&db).await;
}

#[tokio::test]
async fn types_are_the_same_whatever_path_whoever_looks_has() {
    let db = Tracked::with("CREATE TYPE kind AS ENUM ('a'); CREATE TABLE jobs (id int PRIMARY KEY, kind kind, kinds kind[])").await;
    db.track("jobs", Track::new()).await;
    for (setting, value) in [
        ("search_path", "control_plane"),
        ("quote_all_identifiers", "on"),
        ("standard_conforming_strings", "off"),
        ("DateStyle", "SQL, DMY"),
    ] {
        let options = db.database.options.clone().options([(setting, value)]);
        let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
        let history = History::new(pool);
        assert_eq!(history.verify().await.unwrap(), [], "{setting}");
        history.migrate().await.unwrap();
        let track = Track::new().ignore(["kind"]);
        history.track(&name("jobs"), track).await.unwrap();
        db.assert_well().await;
        history.track(&name("jobs"), Track::new()).await.unwrap();
        db.assert_well().await;
    }
}

#[tokio::test]
async fn nothing_that_is_made_for_the_new_type_of_a_column_runs_as_the_owner_of_the_history() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        for (column, change) in [
            (
                "a text",
                "CREATE TYPE evil AS (x int); CREATE FUNCTION ran(evil) RETURNS text LANGUAGE sql AS $$ INSERT INTO log VALUES (current_user); SELECT 'x'::text $$; \
              CREATE CAST (evil AS text) WITH FUNCTION ran(evil) AS IMPLICIT; ALTER TABLE t ALTER a TYPE evil USING row(1)::evil",
            ),
            (
                "a int",
                "CREATE TYPE evil AS ENUM ('a', 'b'); CREATE FUNCTION ran(evil) RETURNS json LANGUAGE sql AS $$ INSERT INTO log VALUES (current_user); SELECT '1'::json $$; \
              CREATE CAST (evil AS json) WITH FUNCTION ran(evil); ALTER TABLE t ALTER a TYPE evil USING 'a'::evil",
            ),
            (
                "a plain",
                "ALTER TABLE t ALTER a TYPE text; DROP DOMAIN plain; CREATE TYPE plain AS (x int); \
              CREATE FUNCTION ran(plain) RETURNS text LANGUAGE sql AS $$ INSERT INTO log VALUES (current_user); SELECT 'x'::text $$; \
              CREATE CAST (plain AS text) WITH FUNCTION ran(plain) AS IMPLICIT; ALTER TABLE t ALTER a TYPE plain USING row(1)::plain",
            ),
        ] {
            let db = Tracked::with(&format!("CREATE TABLE log (w text); CREATE DOMAIN plain AS text; CREATE TABLE t (id int PRIMARY KEY, {column})")).await;
            db.track("t", Track::new().triggers(triggers)).await;
            db.run(change).await;
            db.run("INSERT INTO t SELECT 1, NULL; INSERT INTO t (id) VALUES (2); UPDATE t SET id = id + 10, a = a; DELETE FROM t WHERE id = 12")
                .await;
            let cast = if change.contains("ENUM") {
                "'b'"
            } else {
                "row(2)"
            };
            db.run(&format!(
                "INSERT INTO t VALUES (3, {cast}); UPDATE t SET a = {cast}; DELETE FROM t"
            ))
            .await;
            let ran: i64 = sqlx::query_scalar("SELECT count(*) FROM log")
                .fetch_one(&db.database.pool)
                .await
                .unwrap();
            assert_eq!(ran, 0, "{change}");
            assert!(!db.changes().await.is_empty());
        }
    }
}

#[tokio::test]
async fn a_function_for_statements_reads_no_table_that_a_session_made() {
    let db = jobs(Triggers::Statement).await;
    let function: String =
        sqlx::query_scalar("SELECT function FROM control_plane.row_changes_tracked")
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
    for (name, write) in [
        ("tower_audit_new_rows", "INSERT INTO own VALUES (1)"),
        ("tower_audit_new_rows", "TRUNCATE jobs"),
        ("tower_audit_old_rows", "TRUNCATE jobs"),
        (
            "tower_audit_old_rows",
            "BEGIN; SET LOCAL tower_audit.context = '{\"audit_id\": \"nope\"}'; TRUNCATE jobs; COMMIT",
        ),
    ] {
        let mut session = db.session().await;
        let forged = format!(
            "DROP TABLE IF EXISTS own; CREATE TABLE own (id int PRIMARY KEY, token text); \
             CREATE TEMP VIEW {name} AS SELECT 1 AS id, 'forged' AS token; \
             CREATE TRIGGER x AFTER INSERT ON own FOR EACH STATEMENT EXECUTE FUNCTION control_plane.{function}()"
        );
        session.execute(sqlx::AssertSqlSafe(forged)).await.unwrap();
        let refused = session.execute(write).await;
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains("a function of the triggers of a history"),
            "{write}: {said}"
        );
    }
    // Without such a table there is none to read.
    let mut session = db.session().await;
    let refused = session.execute("INSERT INTO own VALUES (1)").await;
    assert!(refused.unwrap_err().to_string().contains("does not exist"));
    // Names that an app may use are nothing to it.
    let own = "CREATE TEMP TABLE old_rows (id int); CREATE TEMP TABLE new_rows (id int); INSERT INTO jobs VALUES (1); TRUNCATE jobs";
    session.execute(own).await.unwrap();
    assert_eq!(db.told().await.len(), 2);
}

#[tokio::test]
async fn a_truncate_that_cannot_be_recorded_is_refused() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        let db = jobs(triggers).await;
        let mut session = db.session().await;
        let truncate = "BEGIN; SET LOCAL tower_audit.context = '{\"audit_id\": \"nope\"}'; TRUNCATE jobs; COMMIT";
        assert!(session.execute(truncate).await.is_err());
        assert_eq!(db.told().await.len(), 0);
    }
}

#[tokio::test]
async fn a_function_that_belongs_to_somebody_else_is_found_and_taken_back() {
    let db = jobs(Triggers::Row).await;
    let role = Role::new(&db, "GRANT ALL ON jobs TO {role}").await;
    db.run(&format!(
        "DO $$BEGIN EXECUTE format('ALTER FUNCTION control_plane.%I() OWNER TO {}', (SELECT function FROM control_plane.row_changes_tracked)); END$$",
        role.0
    ))
    .await;
    let found = db.history.verify().await.unwrap();
    assert_eq!(found, [(Some(name("jobs")), Finding::OtherPrivileges)]);
    db.track("jobs", Track::new()).await;
    db.assert_well().await;
    let mut app = role.connect(&db).await;
    app.execute("INSERT INTO jobs VALUES (1)").await.unwrap();
    app.close().await.unwrap();
    role.drop(&db).await;
}

/// Lets a migration come while somebody looks back or records a baseline, who waits for it.
async fn meanwhile<T>(db: &Tracked, migration: &str, look: impl Future<Output = T>) -> T {
    let mut session = db.session().await;
    let begin = format!("BEGIN; {migration}");
    session.execute(sqlx::AssertSqlSafe(begin)).await.unwrap();
    let commit = async {
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&db.database.pool)
            .await
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
        session.execute("COMMIT").await.unwrap();
    };
    let (looked, ()) = tokio::join!(look, commit);
    looked
}

#[tokio::test]
async fn whoever_looks_while_a_migration_is_under_way_sees_what_it_makes() {
    let create = "CREATE TABLE t (id int PRIMARY KEY, a int, secret text); INSERT INTO t VALUES (1, 5, 's3cr3t')";
    let migration = "ALTER TABLE t ALTER a TYPE e USING '1'::e; ALTER TABLE t RENAME secret TO b; ALTER TABLE t ADD secret text";
    let key = serde_json::json!({"id": 1}).as_object().cloned().unwrap();
    for is_baseline in [true, false] {
        let db = Tracked::with(&format!("{create}; {CASTS}")).await;
        db.track("t", Track::new().mask(["secret"])).await;
        if is_baseline {
            let table = name("t");
            let done = meanwhile(&db, migration, db.history.baseline(&table)).await;
            assert!(
                matches!(done, Err(HistoryError::OtherColumns(_))),
                "{done:?}"
            );
        } else {
            let (table, now) = (name("t"), now(&db).await);
            let found = meanwhile(&db, migration, db.history.as_of(&table, &key, now)).await;
            assert_eq!(found.unwrap(), AsOf::Unknown);
        }
        let ran: i64 = sqlx::query_scalar("SELECT count(*) FROM ran")
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
        assert_eq!(ran, 0);
        assert!(!db.everything().await.contains("s3cr3t"));
    }
}

#[tokio::test]
async fn a_revert_that_was_made_before_a_migration_is_not_run_after_it() {
    let db = Tracked::with(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'a', 'b')",
    )
    .await;
    db.track("t", Track::new()).await;
    db.run("UPDATE t SET a = 'A'").await;
    let change = db.changes().await.pop().unwrap();
    let revert = db.history.revert(change.id).await.unwrap();
    db.run("ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a")
        .await;
    let context = ChangeContext::new(Actor::user("alice"));
    let mut tx = AuditedTransaction::begin(&db.database.pool, context)
        .await
        .unwrap();
    let refused = revert.run(&mut tx).await;
    assert!(
        matches!(refused, Err(HistoryError::OtherColumns(_))),
        "{refused:?}"
    );
}

/// Makes a type of the role, with casts to everything, that note whoever runs them.
const CASTS: &str = "CREATE TABLE ran (who text); GRANT ALL ON ran TO PUBLIC; CREATE TYPE e AS ENUM ('1', '2', '3'); \
     CREATE FUNCTION to_n(e) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.ran VALUES (current_user); RETURN 7; END$$; \
     CREATE FUNCTION to_j(e) RETURNS json LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.ran VALUES (current_user); RETURN '7'; END$$; \
     CREATE FUNCTION to_t(e) RETURNS text LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.ran VALUES (current_user); RETURN '7'; END$$; \
     CREATE CAST (e AS numeric) WITH FUNCTION to_n(e) AS IMPLICIT; CREATE CAST (e AS json) WITH FUNCTION to_j(e) AS IMPLICIT; \
     CREATE CAST (e AS text) WITH FUNCTION to_t(e) AS IMPLICIT";

/// Does what the owner of a table can do, and makes sure that nothing of it runs as the owner of the history.
async fn assert_runs_as_itself(create: &str, track: Track, change: &str, write: &str) {
    let db = Tracked::with("").await;
    let role = Role::new(
        &db,
        "GRANT ALL ON SCHEMA public TO {role}; GRANT USAGE ON SCHEMA control_plane TO {role}",
    )
    .await;
    let mut app = role.connect(&db).await;
    app.execute(sqlx::AssertSqlSafe(create.to_owned()))
        .await
        .unwrap();
    db.track("t", track).await;
    let function: String =
        sqlx::query_scalar("SELECT function FROM control_plane.row_changes_tracked")
            .fetch_one(&db.database.pool)
            .await
            .unwrap();
    app.execute(CASTS).await.unwrap();
    let change = change.replace("{function}", &function);
    app.execute(sqlx::AssertSqlSafe(change.clone()))
        .await
        .unwrap();
    // What a session has prepared may fail for another reason.
    let mut fresh = role.connect(&db).await;
    fresh
        .execute(sqlx::AssertSqlSafe(write.to_owned()))
        .await
        .unwrap();
    let ran: Vec<String> = sqlx::query_scalar("SELECT DISTINCT who FROM ran")
        .fetch_all(&mut fresh)
        .await
        .unwrap();
    assert!(ran.iter().all(|who| *who == role.0), "{change}: {ran:?}");
    fresh.close().await.unwrap();
    app.close().await.unwrap();
    role.drop(&db).await;
}

#[tokio::test]
async fn a_key_of_another_type_runs_nothing_as_the_owner_of_the_history() {
    for triggers in [Triggers::Row, Triggers::Statement] {
        for create in [
            "CREATE TABLE t (id numeric PRIMARY KEY, x int)",
            "CREATE DOMAIN n AS numeric; CREATE TABLE t (id n PRIMARY KEY, x int)",
            "CREATE TABLE t (id text PRIMARY KEY, x int)",
        ] {
            assert_runs_as_itself(
                create,
                Track::new().triggers(triggers),
                "ALTER TABLE t ALTER id TYPE e USING '1'::e",
                "INSERT INTO t VALUES ('3', 5); UPDATE t SET id = '2', x = 6; DELETE FROM t",
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_table_that_is_no_partition_any_more_runs_nothing_as_the_owner_of_the_history() {
    let create = "CREATE TABLE t (id int PRIMARY KEY, x int) PARTITION BY RANGE (id); \
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)";
    for triggers in [Triggers::Row, Triggers::Statement] {
        assert_runs_as_itself(
            create,
            Track::new().triggers(triggers),
            "ALTER TABLE t DETACH PARTITION t_1; ALTER TABLE t_1 ADD z e",
            "INSERT INTO t_1 VALUES (2, 5, '1'); UPDATE t_1 SET z = '2'; DELETE FROM t_1",
        )
        .await;
    }
}

#[tokio::test]
async fn a_function_that_was_given_to_another_table_runs_nothing_as_the_owner_of_the_history() {
    for of_table in ["", " PARTITION BY RANGE (id)"] {
        assert_runs_as_itself(
            &format!("CREATE TABLE t (id int PRIMARY KEY, x int){of_table}"),
            Track::new(),
            "CREATE TABLE own (id int PRIMARY KEY, x int, z e); \
             CREATE TRIGGER q AFTER INSERT OR UPDATE OR DELETE ON own FOR EACH ROW EXECUTE FUNCTION control_plane.{function}()",
            "INSERT INTO own VALUES (1, 2, '1'); UPDATE own SET z = '2'; DELETE FROM own",
        )
        .await;
    }
}

#[tokio::test]
async fn a_new_owner_of_a_table_gets_what_the_old_one_had() {
    let db = Tracked::with("CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)").await;
    db.track("t", Track::new()).await;
    let old = Role::new(
        &db,
        "GRANT ALL ON SCHEMA public TO {role}; ALTER TABLE t OWNER TO {role}",
    )
    .await;
    db.track("t", Track::new()).await;
    db.assert_well().await;
    let new = Role::new(
        &db,
        "GRANT ALL ON SCHEMA public TO {role}; ALTER TABLE t OWNER TO {role}",
    )
    .await;
    let found = db.history.verify().await.unwrap();
    assert_eq!(found, [(Some(name("t")), Finding::OtherPrivileges)]);
    let began = db.history.status().await.unwrap()[0].begun_at;
    db.track("t", Track::new()).await;
    db.assert_well().await;
    assert_eq!(db.history.status().await.unwrap()[0].begun_at, began);
    let mut app = new.connect(&db).await;
    let partition = "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)";
    app.execute(partition).await.unwrap();
    app.close().await.unwrap();
    // As a restore without privileges leaves it.
    db.run("DO $$BEGIN EXECUTE format('GRANT EXECUTE ON FUNCTION control_plane.%I() TO PUBLIC', (SELECT function FROM control_plane.row_changes_tracked)); END$$")
        .await;
    let found = db.history.verify().await.unwrap();
    assert!(
        found.contains(&(Some(name("t")), Finding::OtherPrivileges)),
        "{found:?}"
    );
    old.drop(&db).await;
    new.drop(&db).await;
}
