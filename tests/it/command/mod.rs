//! The command `tower-audit`, as an operator uses it.

mod ai;
mod copies;
mod doctor;
mod history;
mod migrations;
mod serve_spool;
mod session;

use std::{path::Path, process::Stdio};

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};
use tower_audit::{
    Actor, AnyStore, AuditEvent, EventWriter, Outcome, PgStore, SqliteStore, Target,
};

use crate::support::{
    database::{Postgres, Sqlite},
    soon,
};

/// Somebody at a terminal, in a folder of their own.
struct Operator {
    url: String,
    folder: TempDir,
    /// What the names of the roles begin with, where there are some.
    of_roles: Option<String>,
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    error: String,
}

impl Said {
    fn objects(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Operator {
    fn of(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            folder: TempDir::new().unwrap(),
            of_roles: None,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tower-audit-command"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("DATABASE_URL").kill_on_drop(true);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command with the database in the environment.
    async fn runs(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        said(command.env("DATABASE_URL", &self.url)).await
    }

    /// Runs a command that has to succeed, and returns what it said.
    async fn does(&self, arguments: &[&str]) -> Said {
        let said = self.runs(arguments).await;
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

async fn said(command: &mut Command) -> Said {
    let output = soon(command.output()).await.unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

fn old(days: i64, actor: &str) -> AuditEvent {
    let target = Target::new("project", days);
    let event = AuditEvent::builder(Actor::user(actor), "project.update", target);
    let event = event.created_at(Utc::now() - TimeDelta::days(days));
    let outcome = if days % 2 == 0 {
        Outcome::Success
    } else {
        Outcome::Denied
    };
    event.outcome(outcome).metadata("plan", "pro").build()
}

/// From an empty database to a trail that was searched, held and pruned.
async fn a_day_of_an_operator(url: &str, store: AnyStore) {
    let operator = Operator::of(url);
    let before = operator.runs(&["migrate", "--status"]).await;
    assert_eq!(before.code, 3, "{before:?}");
    assert!(before.out.contains("missing"), "{before:?}");
    operator.does(&["migrate"]).await;
    operator.does(&["migrate", "--status"]).await;

    let events: Vec<_> = (0..60)
        .map(|days| old(days, if days % 2 == 0 { "alice" } else { "bob" }))
        .collect();
    store.append(&events).await.unwrap();

    reads_it(&operator).await;
    prunes_it(&operator).await;
}

async fn reads_it(operator: &Operator) {
    let found = operator
        .does(&["search", "actor:bob", "-outcome:success", "-n", "3"])
        .await;
    assert!(
        found.out.contains("project.update") && found.out.matches("denied").count() == 3,
        "{found:?}"
    );
    let found = operator
        .does(&["search", "--json", "--since", "10d", "actor:alice"])
        .await
        .objects();
    assert_eq!(found.len(), 5);
    let id = found[0]["id"].as_str().unwrap();
    let shown = operator.does(&["show", id]).await;
    assert!(shown.out.contains("\"plan\": \"pro\""), "{shown:?}");
    assert_eq!(
        operator.does(&["show", id, "--json"]).await.objects(),
        found[..1]
    );
    let nowhere = operator
        .runs(&["show", "00000000-0000-7000-8000-000000000000"])
        .await;
    assert_eq!(nowhere.code, 4, "{nowhere:?}");

    let top = operator.does(&["top", "actor", "--json"]).await.objects();
    assert_eq!((top.len(), top[0]["events"].as_u64()), (2, Some(30)));
    let counted = operator
        .does(&["histogram", "--json", "--since", "20d", "--buckets", "10"])
        .await
        .objects();
    assert_eq!(counted.len(), 10);
    operator.does(&["histogram", "--since", "20d"]).await;
    operator.does(&["top", "action"]).await;
}

async fn prunes_it(operator: &Operator) {
    std::fs::write(
        operator.path().join("policy.toml"),
        "default = \"forever\"\nrules = [{ match = \"actor:alice\", keep = \"30d\" }]",
    )
    .unwrap();
    operator
        .does(&["hold", "place", "case", "target:40", "--reason", "114"])
        .await;
    let holds = operator.does(&["hold", "list"]).await;
    assert!(
        holds.out.contains("case") && holds.out.contains("target:40"),
        "{holds:?}"
    );
    let would = operator
        .does(&["prune", "--policy", "policy.toml", "--dry-run", "--json"])
        .await
        .objects();
    assert_eq!(
        (would[0]["deleted"].as_u64(), would[0]["held"].as_u64()),
        (Some(14), Some(1))
    );
    let went = operator.does(&["prune", "--policy", "policy.toml"]).await;
    assert!(
        went.out.contains("14 rows went") && went.out.contains("by a hold: 1"),
        "{went:?}"
    );
    operator.does(&["hold", "release", "case"]).await;
    assert_eq!(operator.runs(&["hold", "release", "case"]).await.code, 4);
    let left = operator
        .does(&["search", "--json", "-n", "100", "-action:audit.*"])
        .await;
    assert_eq!(left.objects().len(), 46);
}

#[tokio::test]
async fn an_operator_of_postgres_gets_from_an_empty_database_to_a_pruned_trail() {
    let database = Postgres::fresh().await;
    let store = PgStore::new(database.pool.clone());
    a_day_of_an_operator(&database.url, store.into()).await;
    let operator = Operator::of(&database.url);
    let plain = operator.does(&["partitions"]).await;
    assert!(plain.out.contains("has no partitions"), "{plain:?}");
    operator
        .does(&["partitions", "convert", "--to", "monthly"])
        .await;
    let there = operator
        .does(&["partitions", "list", "--json"])
        .await
        .objects();
    assert!(there.len() >= 3 && there[0]["from"].is_null(), "{there:?}");
    operator.does(&["partitions", "create"]).await;
}

#[tokio::test]
async fn an_operator_of_sqlite_gets_from_an_empty_database_to_a_pruned_trail() {
    let database = Sqlite::fresh().await;
    let store = SqliteStore::new(database.pool.clone());
    a_day_of_an_operator(&database.url, store.into()).await;
    let operator = Operator::of(&database.url);
    for arguments in [
        &["partitions"][..],
        &["migrate", "--layout", "daily"],
        &["migrate", "--roles"],
    ] {
        let said = operator.runs(arguments).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.error.contains("are for Postgres"), "{said:?}");
    }
}

#[tokio::test]
async fn a_table_can_be_laid_out_in_days_by_the_command() {
    let database = Postgres::fresh().await;
    let operator = Operator::of(&database.url);
    operator
        .does(&["migrate", "--layout", "daily", "--full-indexes"])
        .await;
    let there = operator.does(&["partitions", "--json"]).await.objects();
    assert_eq!(there.len(), 9);
}

#[tokio::test]
async fn a_tail_that_follows_tells_of_what_is_written_from_then_on() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    store
        .append(&[old(1, "alice"), old(2, "bob")])
        .await
        .unwrap();
    let operator = Operator::of(&database.url);
    let mut command = operator.command(&["tail", "-f", "--json", "actor:alice"]);
    let mut tail = command
        .env("DATABASE_URL", &database.url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = soon(lines.next_line()).await.unwrap().unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        event["target_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(next().await, "1");
    store
        .append(&[old(3, "bob"), old(4, "alice")])
        .await
        .unwrap();
    assert_eq!(next().await, "4");
    tail.kill().await.unwrap();
}

#[tokio::test]
async fn flags_come_before_the_environment_and_that_before_the_file() {
    let (first, second, third) = (
        Sqlite::migrated().await,
        Sqlite::migrated().await,
        Sqlite::migrated().await,
    );
    for (database, actor) in [
        (&first, "of-flag"),
        (&second, "of-environment"),
        (&third, "of-file"),
    ] {
        SqliteStore::new(database.pool.clone())
            .append(&[old(1, actor)])
            .await
            .unwrap();
    }
    let operator = Operator::of(&second.url);
    let file = format!(
        "database = \"{}\"\n[retention]\ndefault = \"90d\"\n",
        third.url
    );
    std::fs::write(operator.path().join("tower-audit.toml"), file).unwrap();
    let who = |said: Said| said.objects()[0]["actor_id"].as_str().unwrap().to_owned();
    let search = ["search", "--json"];
    assert_eq!(who(said(&mut operator.command(&search)).await), "of-file");
    // As the environment, and before the file.
    std::fs::write(
        operator.path().join(".env"),
        format!("DATABASE_URL={}\n", second.url),
    )
    .unwrap();
    assert_eq!(
        who(said(&mut operator.command(&search)).await),
        "of-environment"
    );
    assert_eq!(
        who(operator
            .does(&["search", "--json", "--database", &first.url])
            .await),
        "of-flag"
    );
    // The policy is in the file.
    operator.does(&["prune", "--dry-run"]).await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    std::fs::write(operator.path().join("bad.toml"), "defualt = \"90d\"").unwrap();
    for (arguments, code, expected) in [
        (&["search", "actr:alice"][..], 1, "did you mean `actor`"),
        (&["search", "--since", "soon"], 1, "--since soon is no time"),
        (&["top", "nothing"], 2, "there is no such field"),
        (&["top", "id"], 1, "too many values"),
        (&["prune"], 1, "which policy?"),
        (
            &["prune", "--policy", "nowhere.toml"],
            1,
            "nowhere.toml cannot be read",
        ),
        (&["prune", "--policy", "bad.toml"], 1, "bad.toml, line 1"),
        (
            &["hold", "place", "a", "actor:b", "--reason", " "],
            1,
            "a hold needs",
        ),
        (
            &["--table", "a b", "search"],
            1,
            "is not a usable table name",
        ),
        (
            &["--config", "nowhere.toml", "search"],
            1,
            "nowhere.toml cannot be read",
        ),
        (
            &["--database", "mysql://u:hunter2@h/d", "search"],
            1,
            "none of postgres://",
        ),
        (
            &["--database", "sqlite:///nowhere/at/all.db", "search"],
            1,
            "cannot be opened",
        ),
        (
            &["--database", "postgres://u:hunter2@127.0.0.1:1/d", "search"],
            1,
            "cannot be reached",
        ),
        (&["frobnicate"], 2, "unrecognized subcommand"),
        (&["postgres://u:hunter2@h/d"], 2, "postgres://u:***@h/d"),
        (
            &["tail", "-f", "--until", "yesterday"],
            1,
            "a tail that follows has no end",
        ),
    ] {
        let said = operator.runs(arguments).await;
        assert_eq!(said.code, code, "{arguments:?}: {said:?}");
        assert!(said.error.contains(expected), "{arguments:?}: {said:?}");
        assert!(!said.error.contains("hunter2"), "{said:?}");
    }
    let nothing = said(&mut operator.command(&["search"])).await;
    assert!(nothing.error.contains("which database?"), "{nothing:?}");
}

#[tokio::test]
async fn a_file_of_settings_that_cannot_be_read_tells_nothing_of_what_is_in_it() {
    let database = Sqlite::migrated().await;
    let operator = Operator::of(&database.url);
    std::fs::write(
        operator.path().join(".env"),
        "DATABASE_URL=postgres://app:hunter2 is it@db/app\n",
    )
    .unwrap();
    let without = said(&mut operator.command(&["search"])).await;
    assert_eq!(without.code, 1, "{without:?}");
    assert!(without.error.contains("the file .env"), "{without:?}");
    assert!(!without.error.contains("hunter2"), "{without:?}");
    operator.does(&["search"]).await;
    let help = said(&mut operator.command(&["--help"])).await;
    assert_eq!(help.code, 0, "{help:?}");
    assert!(help.out.contains("Exit codes"), "{help:?}");
}

#[tokio::test]
async fn a_row_of_a_time_that_nobody_can_show_hides_no_other_one() {
    let database = Postgres::migrated().await;
    let store = PgStore::new(database.pool.clone());
    store.append(&[old(1, "alice")]).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO control_plane.audit_logs (actor_id, actor_type, action, target_type, target_id, outcome, created_at) \
         VALUES ('eve', 'user', 'a.b', 't', '1', 'success', '290000-01-01')",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let operator = Operator::of(&database.url);
    let found = operator.does(&["search", "--json"]).await.objects();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["created_at"], "9999-12-31T23:59:59.999999Z");
    let exported = operator.does(&["export", "-action:audit.*"]).await;
    assert_eq!(exported.objects().len(), 2, "{exported:?}");
    let doctor = operator.runs(&["doctor"]).await;
    assert!(doctor.out.contains("after the year 9999"), "{doctor:?}");
    // More of them than a page has.
    sqlx::raw_sql(
        "INSERT INTO control_plane.audit_logs (actor_id, actor_type, action, target_type, target_id, outcome, created_at) \
         SELECT 'eve', 'user', 'a.b', 't', '1', 'success', '280000-01-01' FROM generate_series(1, 3000)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let ends = operator.runs(&["export"]).await;
    assert_eq!(ends.code, 1, "{ends:?}");
    assert!(ends.error.contains("beyond the year 9999"), "{ends:?}");
}

#[tokio::test]
async fn partitions_of_days_stay_days_after_a_conversion() {
    let database = Postgres::migrated().await;
    let operator = Operator::of(&database.url);
    let there = operator
        .does(&["partitions", "convert", "--to", "daily", "--json"])
        .await
        .objects();
    assert!(there.len() > 1, "{there:?}");
    operator.does(&["partitions", "create"]).await;
    operator.does(&["doctor"]).await;
    let store = PgStore::new(database.pool.clone());
    for partition in &store.partitions().await.unwrap()[1..] {
        let length = partition.until.unwrap() - partition.from.unwrap();
        assert_eq!(length, TimeDelta::days(1), "{partition:?}");
    }
    let again = operator
        .does(&["partitions", "convert", "--to", "monthly"])
        .await;
    assert!(again.error.contains("has partitions already"), "{again:?}");
}
