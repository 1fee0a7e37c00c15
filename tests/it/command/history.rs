//! What was changed in tables, as an operator sees it and takes it back.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tower_audit::{Actor, EventId};
use tower_audit_core::changes::ChangeContext;
use tower_audit_history::{AuditedTransaction, MaskKey};

use super::{Operator, Said, said};
use crate::support::database::{Postgres, Sqlite};

impl Operator {
    /// Runs a command about the history, of words that have no spaces.
    async fn asks(&self, words: &str) -> Said {
        let words: Vec<&str> = words.split(' ').collect();
        self.runs(&[&["history"], &words[..]].concat()).await
    }

    /// Runs one that has to succeed.
    async fn learns(&self, words: &str) -> Said {
        let said = self.asks(words).await;
        assert_eq!(said.code, 0, "{words}: {said:?}");
        said
    }

    /// Runs one that has to fail like this.
    async fn fails(&self, words: &str, code: i32, expected: &str) {
        let said = self.asks(words).await;
        assert_eq!(said.code, code, "{words}: {said:?}");
        assert!(said.error.contains(expected), "{words}: {said:?}");
    }

    /// Runs one with a key of hashes.
    async fn asks_with_key(&self, key: &str, words: &str) -> Said {
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = self.command(&[&["history"], &words[..]].concat());
        command.env("DATABASE_URL", &self.url);
        said(command.env("TOWER_AUDIT_MASK_KEY", key)).await
    }

    /// Returns the newest change of a row.
    async fn newest(&self, row: &str) -> Value {
        let newest = self.learns(&format!("show {row} -n 1 --json")).await;
        newest.objects().remove(0)
    }
}

async fn run(database: &Postgres, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    let done = done.execute(&database.pool).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Returns the time of the database, as the command takes it.
async fn now(database: &Postgres) -> String {
    let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&database.pool);
    let now: DateTime<Utc> = now.await.unwrap();
    now.to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn name_of_job(database: &Postgres) -> String {
    let name = sqlx::query_scalar("SELECT name FROM jobs").fetch_one(&database.pool);
    name.await.unwrap()
}

/// Returns an operator whose table `jobs` is tracked.
async fn tracked() -> (Postgres, Operator) {
    let database = Postgres::fresh().await;
    let operator = Operator::of(&database.url);
    let migrated = operator.learns("migrate").await;
    assert!(migrated.out.contains("row_changes_default"), "{migrated:?}");
    let jobs = "CREATE TABLE jobs (id int PRIMARY KEY, name text, token text, seen_at timestamptz)";
    run(&database, jobs).await;
    operator.learns(TRACK).await;
    (database, operator)
}

const TRACK: &str = "track jobs --ignore seen_at --mask token";

const INSERT: &str = "INSERT INTO jobs VALUES (7, 'nightly', 'hunter2', now())";

const UPDATE: &str = "UPDATE jobs SET name = 'weekly', token = 'hunter3', seen_at = now()";

#[tokio::test]
async fn an_operator_sees_what_was_changed_and_what_a_row_was() {
    let (database, operator) = tracked().await;
    let status = operator.learns("status").await;
    for expected in ["public.jobs", "seen_at", "token", "row", "allow"] {
        assert!(status.out.contains(expected), "{status:?}");
    }
    let before = now(&database).await;
    run(&database, INSERT).await;
    let between = now(&database).await;
    run(&database, UPDATE).await;
    run(&database, "UPDATE jobs SET seen_at = now()").await;

    let shown = operator.learns("show jobs id=7").await;
    for expected in [
        "  system  as ",
        "  update  public.jobs  {\"id\":7}  ",
        "\n    name: \"nightly\" -> \"weekly\"\n",
        "\n    token: masked -> masked\n",
        "  insert  public.jobs  {\"id\":7}  ",
        "\n    name: -> \"nightly\"\n",
    ] {
        assert!(shown.out.contains(expected), "{expected:?}: {shown:?}");
    }
    assert!(!shown.out.contains("hunter"), "{shown:?}");
    assert!(!shown.out.contains("seen_at"), "{shown:?}");
    let changes = operator.learns("show jobs {\"id\":7} --json").await;
    let changes = changes.objects();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0]["old"]["name"], "nightly");
    let none = operator.learns("show jobs id=7 --until yesterday").await;
    assert_eq!(none.out, "there is no such change\n");

    let was = operator
        .learns(&format!("as-of jobs id=7 {between} --json"))
        .await;
    let masked = json!({"tower_audit": "masked"});
    let expected = json!({"id": 7, "name": "nightly", "token": masked});
    assert_eq!(was.objects(), [expected]);
    let after = now(&database).await;
    let was = operator.learns(&format!("as-of jobs id=7 {after}")).await;
    assert!(was.out.contains("\n  \"name\": \"weekly\""), "{was:?}");
    let nothing = format!("as-of jobs id=7 {before}");
    operator.fails(&nothing, 4, "there was no row").await;
}

#[tokio::test]
async fn a_revert_changes_nothing_until_it_is_told_to_run() {
    let (database, operator) = tracked().await;
    run(&database, INSERT).await;
    run(&database, UPDATE).await;
    let change = operator.newest("jobs id=7").await;
    let id = change["id"].as_str().unwrap();
    let printed = operator.learns(&format!("revert {id}")).await;
    assert!(
        printed.out.contains("UPDATE ONLY \"public\".\"jobs\""),
        "{printed:?}"
    );
    assert!(
        printed.out.contains("what they were: token\n"),
        "{printed:?}"
    );
    assert!(printed.error.contains("--run does it"), "{printed:?}");
    let object = operator.learns(&format!("revert {id} --json")).await;
    assert_eq!(object.objects()[0]["left_out"], json!(["token"]));
    assert_eq!(name_of_job(&database).await, "weekly");

    let done = operator.learns(&format!("revert {id} --run")).await;
    assert!(done.out.contains("is taken back"), "{done:?}");
    assert_eq!(name_of_job(&database).await, "nightly");
    let newest = operator.newest("jobs id=7").await;
    assert_eq!(
        (&newest["actor_type"], &newest["new"]),
        (&json!("system"), &json!({"name": "nightly"}))
    );
    let again = format!("revert {id} --run");
    operator
        .fails(&again, 1, "not any more as the change left it")
        .await;
    let nowhere = format!("revert {}", EventId::now());
    operator.fails(&nowhere, 4, "there is no such change").await;
}

#[tokio::test]
async fn a_revert_is_recorded_as_the_work_of_whom_it_is_told() {
    let (database, operator) = tracked().await;
    run(&database, INSERT).await;
    run(&database, UPDATE).await;
    let change = operator.newest("jobs id=7").await;
    let id = change["id"].as_str().unwrap();
    for (words, expected) in [
        ("--actor user:alice", "--run"),
        ("--run --actor alice", "an actor is KIND:ID"),
    ] {
        let wrong = format!("revert {id} {words}");
        operator.fails(&wrong, 2, expected).await;
    }
    operator
        .learns(&format!("revert {id} --run --actor user:alice"))
        .await;
    let newest = operator.newest("jobs id=7").await;
    assert_eq!(
        (&newest["actor_type"], &newest["actor_id"]),
        (&json!("user"), &json!("alice"))
    );
}

#[tokio::test]
async fn a_revert_says_of_which_tables_rows_may_go_with_it() {
    let (database, operator) = tracked().await;
    run(
        &database,
        "CREATE TABLE runs (id int PRIMARY KEY, job int REFERENCES jobs ON DELETE CASCADE)",
    )
    .await;
    run(&database, INSERT).await;
    let change = operator.newest("jobs id=7").await;
    let id = change["id"].as_str().unwrap();
    let said = "rows of these tables may go or change with it, by foreign keys: public.runs\n";
    let printed = operator.learns(&format!("revert {id}")).await;
    assert!(
        printed.out.starts_with(&format!("-- {said}")),
        "{printed:?}"
    );
    let object = operator.learns(&format!("revert {id} --json")).await;
    assert_eq!(object.objects()[0]["takes_along"], json!(["public.runs"]));
    let done = operator.learns(&format!("revert {id} --run")).await;
    assert!(done.out.starts_with(said), "{done:?}");
}

#[tokio::test]
async fn what_a_revert_prints_can_be_run_by_hand() {
    let (database, operator) = tracked().await;
    run(&database, INSERT).await;
    run(&database, UPDATE).await;
    let change = operator.newest("jobs id=7").await;
    let id = change["id"].as_str().unwrap();
    let printed = operator.learns(&format!("revert {id}")).await;
    run(&database, &printed.out).await;
    assert_eq!(name_of_job(&database).await, "nightly");
}

#[tokio::test]
async fn a_trigger_that_was_disabled_is_found_until_the_table_is_tracked_again() {
    let (database, operator) = tracked().await;
    let well = operator.learns("verify").await;
    assert_eq!(well.out, "nothing is wrong\n");
    run(&database, "ALTER TABLE jobs DISABLE TRIGGER USER").await;
    let found = operator.asks("verify").await;
    assert_eq!(found.code, 3, "{found:?}");
    for line in found.out.lines() {
        assert!(line.starts_with("public.jobs: the trigger "), "{found:?}");
        assert!(line.contains("track the table again"), "{found:?}");
    }
    let found = operator.asks("verify --json").await;
    assert_eq!(found.code, 3, "{found:?}");
    assert_eq!(found.objects()[0]["finding"], "disabled_trigger");
    assert_eq!(found.objects()[0]["table"], "public.jobs");
    let status = operator.learns("status --json").await.objects();
    assert_eq!(status[0]["findings"].as_array().map(Vec::len), Some(2));
    operator.learns(TRACK).await;
    operator.learns("verify").await;
}

#[tokio::test]
async fn what_was_recorded_stays_when_a_table_is_not_tracked_any_more() {
    let (database, operator) = tracked().await;
    run(&database, INSERT).await;
    operator.learns("untrack jobs").await;
    run(&database, UPDATE).await;
    let shown = operator.learns("show jobs --json").await.objects();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["operation"], "insert");
    assert_eq!(operator.learns("status --json").await.out, "");
    operator.fails("untrack jobs", 1, "is not tracked").await;
    operator.fails("show nowhere", 1, "is not tracked").await;
}

#[tokio::test]
async fn names_that_are_not_there_are_refused_with_those_that_are() {
    let (_database, operator) = tracked().await;
    for (words, code, expected) in [
        (
            "track jobs --mask tokn,name",
            1,
            "no column tokn: it has id, name, token, seen_at",
        ),
        ("track job", 1, "there is no table public.job"),
        ("track a.b.c", 2, "write `schema.table`"),
        ("track jobs --hash token", 1, "set TOWER_AUDIT_MASK_KEY"),
        ("show jobs nr=7", 1, "the key of public.jobs is id"),
        ("show jobs 7", 2, "column=value"),
        ("as-of jobs nr=7 now", 1, "the key of public.jobs is id"),
        ("as-of jobs id=7 soon", 1, "as-of soon is no time"),
        ("show --since soon", 1, "--since soon is no time"),
        ("prune --keep long", 2, "is not how long to keep something"),
        (
            "status --history-table a-b",
            1,
            "is not a usable table name",
        ),
        (
            "status --history-table other",
            1,
            "tower-audit history migrate",
        ),
    ] {
        operator.fails(words, code, expected).await;
    }
}

#[tokio::test]
async fn a_history_in_sqlite_is_refused_with_what_to_give() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    for words in ["migrate", "track jobs", "status", "show"] {
        operator
            .fails(words, 1, "is for Postgres: give the database")
            .await;
    }
}

#[tokio::test]
async fn a_key_of_hashes_is_not_shown_and_the_hashes_are_its() {
    let (database, operator) = tracked().await;
    for key in [
        "hunter2",
        "k:hunter2hunter2hunter2hunter2hunter2",
        "hunter2!:00",
        "k:00ff",
    ] {
        let said = operator.asks_with_key(key, "track jobs --hash token").await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.error.contains("TOWER_AUDIT_MASK_KEY has is no key"),
            "{said:?}"
        );
        assert!(
            !said.error.contains("hunter2") && !said.error.contains("00ff"),
            "{said:?}"
        );
    }
    let key = format!("k:{}", "0b".repeat(16));
    let tracked = operator
        .asks_with_key(&key, "track jobs --hash token")
        .await;
    assert_eq!(tracked.code, 0, "{tracked:?}");
    run(&database, INSERT).await;
    let shown = operator.learns("show jobs id=7").await;
    let hash = MaskKey::new("k", [0x0b; 16]).unwrap().hash("hunter2");
    assert!(
        shown.out.contains(&format!("    token: -> hash {hash}\n")),
        "{shown:?}"
    );
    assert!(!shown.out.contains("hunter2"), "{shown:?}");
    let well = operator.asks_with_key(&key, "verify").await;
    assert_eq!(well.code, 0, "{well:?}");
}

#[tokio::test]
async fn what_is_no_key_of_hashes_stops_nothing_that_does_without_one() {
    let (_database, operator) = tracked().await;
    for (words, is_said) in [
        ("status", true),
        ("verify", true),
        ("show", false),
        ("track jobs --mask token", false),
    ] {
        let said = operator.asks_with_key("hunter2", words).await;
        assert_eq!(said.code, 0, "{words}: {said:?}");
        assert_eq!(
            said.error.contains("hashed columns are not compared"),
            is_said,
            "{words}: {said:?}"
        );
        assert!(!said.error.contains("hunter2"), "{words}: {said:?}");
    }
}

#[tokio::test]
async fn what_is_hidden_no_longer_is_said_when_a_table_is_tracked_again() {
    let (_database, operator) = tracked().await;
    let again = operator.learns("track jobs --json").await.objects();
    let expected = json!({
        "table": "public.jobs",
        "no_longer_masked": ["token"],
        "no_longer_hashed": [],
        "no_longer_ignored": ["seen_at"],
    });
    assert_eq!(again, [expected]);
    let hidden = operator.learns(TRACK).await;
    assert_eq!(hidden.out, "public.jobs is tracked\n");
    let again = operator.learns("track jobs").await;
    assert_eq!(
        again.out,
        "public.jobs is tracked\nno longer masked: token\nno longer ignored: seen_at\n"
    );
}

#[tokio::test]
async fn what_is_hidden_no_longer_is_said_of_a_table_that_was_renamed_too() {
    let (database, operator) = tracked().await;
    run(&database, "ALTER TABLE jobs RENAME TO works").await;
    let renamed = operator.learns("track works --ignore seen_at").await;
    assert!(
        renamed.out.contains("no longer masked: token\n"),
        "{renamed:?}"
    );
}

#[tokio::test]
async fn changes_are_found_by_who_made_them() {
    let (database, operator) = tracked().await;
    run(&database, INSERT).await;
    let event = EventId::now();
    let context = ChangeContext::new(Actor::user("alice"))
        .request_id("r-1")
        .event_id(event);
    let mut tx = AuditedTransaction::begin(&database.pool, context)
        .await
        .unwrap();
    sqlx::query(UPDATE).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    for asked in [
        "--actor alice",
        "--request r-1",
        &format!("--event {event}"),
    ] {
        let shown = operator
            .learns(&format!("show {asked} --json"))
            .await
            .objects();
        assert_eq!(shown.len(), 1, "{asked}");
        assert_eq!(shown[0]["actor_id"], "alice");
    }
    let shown = operator.learns("show --actor alice").await;
    assert!(shown.out.contains("  user alice  as "), "{shown:?}");
}

#[tokio::test]
async fn what_was_stored_in_a_row_is_no_command_to_the_terminal() {
    let (database, operator) = tracked().await;
    run(
        &database,
        "INSERT INTO jobs VALUES (7, '\u{9b}2J\u{202e}gpj')",
    )
    .await;
    run(&database, "CREATE TABLE \"a\nforged\" (id int PRIMARY KEY)").await;
    let tracked = operator.learns("track a\nforged").await;
    let status = operator.learns("status").await;
    let shown = operator.learns("show jobs").await;
    let time = now(&database).await;
    let was = operator.learns(&format!("as-of jobs id=7 {time}")).await;
    let change = operator.newest("jobs").await;
    let id = change["id"].as_str().unwrap();
    let printed = operator.learns(&format!("revert {id}")).await;
    for said in [&tracked, &status, &shown, &was, &printed].map(|said| &said.out) {
        assert!(!said.contains(['\u{9b}', '\u{202e}']), "{said:?}");
        assert!(!said.contains("\nforged"), "{said:?}");
    }
    assert!(shown.out.contains("\"\u{FFFD}2J\u{FFFD}gpj\""), "{shown:?}");
    assert!(
        printed.error.contains("--json has all of it"),
        "{printed:?}"
    );
    let object = operator.learns(&format!("revert {id} --json")).await;
    let sql = object.objects()[0]["sql"].as_str().unwrap().to_owned();
    assert!(sql.contains('\u{9b}'), "{sql}");
}

#[tokio::test]
async fn more_changes_than_a_page_has_are_shown() {
    let (database, operator) = tracked().await;
    run(
        &database,
        "INSERT INTO jobs SELECT n FROM generate_series(1, 1200) AS n",
    )
    .await;
    let shown = operator.learns("show jobs -n 1100 --json").await.objects();
    let mut ids: Vec<&str> = shown
        .iter()
        .filter_map(|change| change["id"].as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1100);
}

#[tokio::test]
async fn a_baseline_tells_what_was_there() {
    let (database, operator) = tracked().await;
    run(
        &database,
        "CREATE TABLE teams (id int PRIMARY KEY, name text)",
    )
    .await;
    run(&database, "INSERT INTO teams VALUES (1, 'a'), (2, 'b')").await;
    let tracked = operator.learns("track teams --baseline").await;
    assert!(
        tracked.out.contains("2 rows of public.teams are recorded"),
        "{tracked:?}"
    );
    let again = operator.learns("baseline teams --json").await.objects();
    assert_eq!(again, [json!({"table": "public.teams", "rows": 2})]);
    let shown = operator.newest("teams id=2").await;
    assert_eq!(shown["operation"], "baseline");
}

#[tokio::test]
async fn what_nobody_can_know_of_a_row_is_no_row_that_was_not_there() {
    let (database, operator) = tracked().await;
    run(
        &database,
        "CREATE TABLE teams (id int PRIMARY KEY, name text)",
    )
    .await;
    run(&database, "INSERT INTO teams VALUES (1, 'a')").await;
    operator.learns("track teams").await;
    let before = now(&database).await;
    run(&database, "UPDATE teams SET name = 'b'").await;
    run(&database, "TRUNCATE teams").await;
    let unknown = format!("as-of teams id=1 {before}");
    operator
        .fails(&unknown, 1, "it is not known what the row was")
        .await;
}

#[tokio::test]
async fn a_time_before_the_history_is_answered_with_its_begin() {
    let (database, operator) = tracked().await;
    run(&database, INSERT).await;
    let status = operator.learns("status --json").await.objects();
    let since: DateTime<Utc> = status[0]["since"].as_str().unwrap().parse().unwrap();
    let since = since.to_rfc3339_opts(SecondsFormat::Micros, true);
    let begin = format!("the history of public.jobs begins at {since}");
    operator.fails("as-of jobs id=7 yesterday", 1, &begin).await;
}

#[tokio::test]
async fn other_settings_are_newer_than_the_history() {
    let (_database, operator) = tracked().await;
    let before = operator.learns("status --json").await.objects();
    operator.learns("track jobs --mask token").await;
    let after = operator.learns("status --json").await.objects();
    assert_eq!(before[0]["since"], after[0]["since"]);
    assert_ne!(before[0]["settings_since"], after[0]["settings_since"]);
}

#[tokio::test]
async fn months_that_are_old_are_dropped() {
    let (database, operator) = tracked().await;
    run(
        &database,
        "INSERT INTO control_plane.row_changes (at, operation, table_schema, table_name, actor_type, actor_id) \
         VALUES ('2020-01-15', 'truncate', 'public', 'jobs', 'system', 'system')",
    )
    .await;
    let found = operator.asks("verify").await;
    assert_eq!(found.code, 3, "{found:?}");
    assert!(
        found
            .out
            .starts_with("the history: changes found no partition"),
        "{found:?}"
    );
    assert!(
        found.out.contains("`tower-audit history migrate`"),
        "{found:?}"
    );
    operator.learns("migrate").await;
    operator.learns("verify").await;

    let would = operator
        .learns("prune --keep 365d --dry-run --json")
        .await
        .objects();
    assert_eq!(would[0]["partitions"], json!(["row_changes_202001"]));
    let names = async || {
        let there = operator.learns("partitions --json").await.objects();
        let names = there
            .iter()
            .filter_map(|partition| partition["name"].as_str());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names().await[0], "row_changes_202001");
    let forever = operator.learns("prune --keep forever").await;
    assert!(forever.out.starts_with("0 months went"), "{forever:?}");
    let went = operator.learns("prune --keep 365d").await;
    assert!(went.out.contains("1 month went"), "{went:?}");
    assert!(!names().await.contains(&"row_changes_202001".to_owned()));
    operator.learns("partitions").await;
}

#[tokio::test]
async fn a_history_of_another_name_is_one_of_its_own() {
    let (database, operator) = tracked().await;
    let named = "--schema Other --history-table Changes";
    let made = operator.learns(&format!("migrate --json {named}")).await;
    assert!(made.objects().len() >= 4, "{made:?}");
    let tracked = operator.learns(&format!("track jobs --json {named}")).await;
    assert_eq!(tracked.out, "");
    operator.learns("untrack jobs").await;
    run(&database, INSERT).await;
    let shown = operator.learns(&format!("show --json {named}")).await;
    assert_eq!(shown.objects().len(), 1);
    assert_eq!(operator.learns("show --json").await.out, "");
}
