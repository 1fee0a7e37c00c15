//! The command `tower-audit`, looking after a spool and serving the viewer.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, SqlitePool};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};
use tower_audit::{
    Actor, AuditEvent, Auditor, DeliverySettings, EventReader, EventWriter, Filter, Outcome,
    PageSize, Seek, SqliteStore, Target,
    spool::{self, ProcessState, Spool},
};

use tower_audit_ai::{PgTrails, SqliteTrails};
use tower_audit_history::History;

use super::{Said, said};
use crate::support::{
    LIMIT,
    database::{Postgres, Sqlite},
    events::{at, builder, event},
    http::Client,
    soon,
    store::{State, Switch},
    until,
};

fn command(arguments: &[&str], folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-audit-command"));
    command.args(arguments).current_dir(folder.path());
    command
        .env_remove("DATABASE_URL")
        .env_remove(PASSWORD_VARIABLE);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command to its end.
async fn runs(url: Option<&str>, arguments: &[&str]) -> Said {
    let folder = TempDir::new().unwrap();
    let mut command = command(arguments, &folder);
    command.envs(url.map(|url| ("DATABASE_URL", url)));
    said(&mut command).await
}

fn down() -> DeliverySettings {
    DeliverySettings::new().retry(Duration::from_millis(1), Duration::from_millis(20))
}

/// Returns an auditor whose store does what the test says, with these events in its spool.
async fn spooled(folder: &Path, store: &Switch, events: &[AuditEvent]) -> Auditor {
    let spool = Spool::open(folder).unwrap();
    let auditor = Auditor::builder().delivery(down()).spool(spool);
    let auditor = auditor.start(store.clone());
    for event in events {
        auditor.record(event.clone());
    }
    let count = u64::try_from(events.len()).unwrap();
    // It takes over what others left there, too.
    until(|| auditor.stats().queued == 0 && auditor.stats().spooled >= count).await;
    auditor
}

/// Leaves a spool behind as a service does whose store was down until its end.
async fn leave(folder: &Path, events: &[AuditEvent]) {
    let auditor = spooled(folder, &Switch::new(State::Down), events).await;
    soon(auditor.shutdown(LIMIT)).await;
    drop(auditor);
    let has_ended = || {
        let processes = spool::inspect(folder).unwrap().processes;
        let mut states = processes.iter().map(|process| process.state);
        states.all(|state| state == ProcessState::Ended)
    };
    until(has_ended).await;
}

fn poison() -> AuditEvent {
    let target = Target::new("project", 7);
    AuditEvent::builder(Actor::user("alice"), "poison.row", target)
        .created_at(at(9))
        .build()
}

async fn run(pool: &SqlitePool, sql: &str) {
    let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    statement.execute(pool).await.unwrap();
}

async fn rows(pool: &SqlitePool) -> Vec<AuditEvent> {
    let store = SqliteStore::new(pool.clone());
    let all = Filter::new();
    let page = store.page(&all, Seek::Oldest, PageSize::MAX).await;
    let mut events = page.unwrap().events;
    // A page has the newest first.
    events.reverse();
    events
}

const POISON: &str = "CREATE TRIGGER poison BEFORE INSERT ON audit_logs
     WHEN NEW.action = 'poison.row' BEGIN SELECT RAISE(ABORT, 'poison'); END";

#[tokio::test]
async fn what_waits_in_a_spool_is_said_without_a_database_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let empty = runs(None, &["spool", "inspect", path]).await;
    assert_eq!(empty.code, 0, "{empty:?}");
    assert!(empty.out.contains("nothing waits"), "{empty:?}");

    leave(folder.path(), &[event(3), event(1), event(2)]).await;
    let _living = Spool::open(folder.path()).unwrap();
    for _ in 0..2 {
        let seen = runs(None, &["spool", "inspect", path, "--json"]).await;
        assert_eq!(seen.code, 3, "{seen:?}");
        let parts = seen.objects();
        let states: Vec<&Value> = parts.iter().map(|part| &part["state"]).collect();
        assert_eq!(states, ["ended", "living"]);
        assert_eq!(
            json!([parts[0]["events"], parts[0]["damaged"], parts[1]["events"]]),
            json!([3, 0, 0])
        );
        let time =
            |field: &str| -> DateTime<Utc> { parts[0][field].as_str().unwrap().parse().unwrap() };
        assert_eq!((time("oldest"), time("newest")), (at(1), at(3)));
    }
    let seen = runs(None, &["spool", "inspect", path]).await;
    assert!(
        seen.out.contains("ended") && seen.out.contains("tower-audit spool replay"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn what_is_damaged_is_said_and_a_folder_that_is_none_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let quarantine = folder.path().join("quarantine");
    std::fs::create_dir(&quarantine).unwrap();
    std::fs::write(quarantine.join("0.seg"), "this has never been a segment").unwrap();
    std::fs::write(folder.path().join("dead-letters.jsonl"), "{\"at\"\n").unwrap();
    let seen = runs(None, &["spool", "inspect", path, "--json"]).await;
    assert_eq!(seen.code, 3, "{seen:?}");
    let parts = seen.objects();
    assert_eq!(
        json!([parts[0]["state"], parts[0]["damaged"]]),
        json!(["quarantine", 1])
    );
    assert_eq!(
        json!([parts[1]["state"], parts[1]["damaged"]]),
        json!(["dead_letters", 1])
    );
    for action in ["inspect", "replay", "dead-letters"] {
        let nowhere = runs(None, &["spool", action, "/nowhere/at/all"]).await;
        assert_eq!(nowhere.code, 1, "{nowhere:?}");
        assert!(nowhere.error.contains("/nowhere/at/all"), "{nowhere:?}");
    }
}

#[tokio::test]
async fn what_an_ended_process_left_is_written_and_nothing_is_left() {
    let (database, folder) = (Sqlite::migrated().await, TempDir::new().unwrap());
    let path = folder.path().to_str().unwrap();
    let events = [event(1), event(2), event(3)];
    leave(folder.path(), &events[..2]).await;
    leave(folder.path(), &events[2..]).await;
    let said = runs(Some(&database.url), &["spool", "replay", path]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out
            .contains("3 events written, 0 dead-lettered, 0 left"),
        "{said:?}"
    );
    let written = rows(&database.pool).await;
    assert_eq!(
        written.iter().map(AuditEvent::id).collect::<Vec<_>>(),
        events.iter().map(AuditEvent::id).collect::<Vec<_>>()
    );
    assert_eq!(runs(None, &["spool", "inspect", path]).await.code, 0);
    let again = runs(None, &["spool", "replay", path]).await;
    assert_eq!(again.code, 0, "nothing waits, so no database: {again:?}");
}

#[tokio::test]
async fn a_replay_leaves_everything_where_it_is_if_the_database_is_not_ready() {
    let (database, folder) = (Sqlite::fresh().await, TempDir::new().unwrap());
    let path = folder.path().to_str().unwrap();
    leave(folder.path(), &[event(1)]).await;
    let before = spool::inspect(folder.path()).unwrap();
    let said = runs(Some(&database.url), &["spool", "replay", path]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.error.contains("left alone") && said.error.contains("run the migrations"),
        "{said:?}"
    );
    assert_eq!(spool::inspect(folder.path()).unwrap(), before);
}

#[tokio::test]
async fn a_replay_that_runs_out_of_time_says_so_and_the_next_one_goes_on() {
    let (database, folder) = (Sqlite::migrated().await, TempDir::new().unwrap());
    let path = folder.path().to_str().unwrap();
    leave(folder.path(), &[event(1), event(2)]).await;
    let other = database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let replay = ["spool", "replay", path, "--timeout", "1"];
    let said = runs(Some(&database.url), &replay).await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.out.contains("2 left") && said.out.contains("run it again"),
        "{said:?}"
    );
    other.rollback().await.unwrap();
    let said = runs(Some(&database.url), &["spool", "replay", path]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(rows(&database.pool).await.len(), 2);
}

#[tokio::test]
async fn a_replay_leaves_the_spool_of_a_living_process_to_it() {
    let (database, folder) = (Sqlite::migrated().await, TempDir::new().unwrap());
    let path = folder.path().to_str().unwrap();
    let store = Switch::new(State::Down);
    let living = spooled(folder.path(), &store, &[event(1), event(2)]).await;
    let replay = ["spool", "replay", path, "--json"];
    let said = runs(Some(&database.url), &replay).await;
    assert_eq!(said.code, 0, "{said:?}");
    let report = &said.objects()[0];
    assert_eq!(
        json!([report["written"], report["of_living_processes"]]),
        json!([0, 2])
    );
    store.set(State::Up);
    until(|| living.stats().written == 2).await;
    assert_eq!(rows(&database.pool).await.len(), 0);
}

#[tokio::test]
async fn what_the_database_refused_is_listed_and_tried_again_until_it_is_written() {
    let (database, folder) = (Sqlite::migrated().await, TempDir::new().unwrap());
    let path = folder.path().to_str().unwrap();
    let url = Some(&*database.url);
    run(&database.pool, POISON).await;
    leave(folder.path(), &[event(1), poison(), event(2)]).await;
    let replay = ["spool", "replay", path, "--json"];
    let report = runs(url, &replay).await.objects().remove(0);
    assert_eq!(
        json!([report["written"], report["dead_lettered"], report["left"]]),
        json!([2, 1, 0])
    );
    let seen = runs(None, &["spool", "inspect", path, "--json"]).await;
    assert_eq!(seen.code, 3, "{seen:?}");
    assert_eq!(seen.objects()[0]["reasons"][0]["letters"], 1);

    let list = ["spool", "dead-letters", path];
    let listed = runs(None, &list).await;
    assert_eq!(listed.code, 3, "{listed:?}");
    assert!(listed.out.contains("poison.row"), "{listed:?}");
    let retry = ["spool", "dead-letters", path, "--retry"];
    let refused = runs(url, &retry).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.out.contains("refused again") && refused.out.contains("poison"),
        "{refused:?}"
    );

    run(&database.pool, "DROP TRIGGER poison").await;
    let written = runs(url, &retry).await;
    assert_eq!(written.code, 0, "{written:?}");
    assert_eq!(rows(&database.pool).await.len(), 3);
    assert_eq!(runs(None, &list).await.code, 3, "it was not to be removed");
    let removed = runs(url, &["spool", "dead-letters", path, "--retry", "--remove"]).await;
    assert_eq!(removed.code, 0, "{removed:?}");
    assert!(removed.out.contains("1 letters removed"), "{removed:?}");
    let listed = runs(None, &list).await;
    assert!(listed.out.contains("no dead letters"), "{listed:?}");
    assert_eq!((listed.code, rows(&database.pool).await.len()), (0, 3));
}

#[tokio::test]
async fn only_letters_whose_events_are_written_are_removed() {
    let (database, folder) = (Sqlite::migrated().await, TempDir::new().unwrap());
    run(&database.pool, POISON).await;
    let file = folder.path().join("letters.jsonl");
    let letters = tower_audit::dead_letters::DeadLetters::open(&file).unwrap();
    for event in [event(1), poison(), event(2)] {
        let json = serde_json::to_vec(&event).unwrap();
        letters.append("a check failed", &json).unwrap();
    }
    let damaged = "{\"at\": \"cut o";
    let mut content = std::fs::read_to_string(&file).unwrap();
    content += damaged;
    std::fs::write(&file, &content).unwrap();
    let path = file.to_str().unwrap();
    let retry = [
        "spool",
        "dead-letters",
        path,
        "--retry",
        "--remove",
        "--json",
    ];
    let said = runs(Some(&database.url), &retry).await;
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(
        said.objects()[1],
        json!({"written": 2, "refused": 1, "damaged": 1, "untried": 0, "removed": 2})
    );
    let kept = content.lines().nth(1).unwrap();
    let left = std::fs::read_to_string(&file).unwrap();
    assert_eq!(left, format!("{kept}\n{damaged}"));
    let remove = ["spool", "dead-letters", path, "--remove"];
    assert_eq!(runs(Some(&database.url), &remove).await.code, 2);
}

/// A viewer that is served, killed with this.
struct Served {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl Served {
    async fn start(url: &str, arguments: &[&str], password: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let arguments = [&["serve", "--listen", "127.0.0.1:0"][..], arguments].concat();
        let mut command = command(&arguments, &folder);
        command
            .env("DATABASE_URL", url)
            .envs(password.map(|password| (PASSWORD_VARIABLE, password)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let first = soon(lines.next_line()).await.unwrap().unwrap();
        let (_, address) = first.split_once("http://").unwrap();
        let (address, _) = address.split_once("/audit").unwrap();
        Self {
            process,
            lines,
            address: address.parse().unwrap(),
            _folder: folder,
        }
    }

    /// Returns the answer to a GET with these lines in its head.
    async fn get_with(&self, path: &str, headers: &[&str]) -> Answer {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let mut client = Client::connect(self.address).await;
        client
            .send(format!(
                "GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"
            ))
            .await;
        let (status, head) = client.head().await;
        let body = String::from_utf8(client.rest().await).unwrap();
        Answer { status, head, body }
    }

    /// Returns the answer to a GET of somebody who knows the password.
    async fn get(&self, path: &str) -> Answer {
        let host = format!("host: {}", self.address);
        self.get_with(path, &[&*host, ALICE]).await
    }

    /// Sends SIGTERM, and returns what was said on standard output until the end.
    async fn stops(mut self) -> String {
        let id = self.process.id().unwrap().to_string();
        let kill = soon(Command::new("kill").args(["-TERM", &id]).status()).await;
        assert!(kill.unwrap().success());
        let mut out = String::new();
        let mut stdout = self.process.stdout.take().unwrap();
        soon(stdout.read_to_string(&mut out)).await.unwrap();
        assert_eq!(soon(self.process.wait()).await.unwrap().code(), Some(0));
        out
    }
}

const PASSWORD_VARIABLE: &str = "TOWER_AUDIT_SERVE_PASSWORD";
const PASSWORD: Option<&str> = Some("correct horse");
/// `alice:correct horse`
const ALICE: &str = "authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==";
/// `alice:wrong horse`
const WRONG: &str = "authorization: Basic YWxpY2U6d3JvbmcgaG9yc2U=";

#[tokio::test]
async fn what_else_is_in_the_database_is_served_where_it_is_there() {
    let (sqlite, postgres) = (Sqlite::migrated().await, Postgres::migrated().await);
    for (url, is_postgres) in [(&sqlite.url, false), (&postgres.url, true)] {
        let served = Served::start(url, &[], PASSWORD).await;
        assert_eq!(served.get("/audit/view/ai").await.status, 404);
        served.stops().await;
        match is_postgres {
            true => {
                PgTrails::new(postgres.pool.clone())
                    .migrate()
                    .await
                    .unwrap();
                History::new(postgres.pool.clone()).migrate().await.unwrap();
            }
            false => {
                SqliteTrails::new(sqlite.pool.clone())
                    .migrate()
                    .await
                    .unwrap();
            }
        }
        let served = Served::start(url, &[], PASSWORD).await;
        assert_eq!(served.get("/audit/view/ai").await.status, 200);
        let document = served.get("/audit/openapi.json").await.body;
        assert_eq!(document.contains("/events/{id}/changes"), is_postgres);
        served.stops().await;
    }
}

#[tokio::test]
async fn whoever_knows_the_password_looks_and_every_look_is_a_row() {
    let database = Sqlite::migrated().await;
    let store = SqliteStore::new(database.pool.clone());
    store.append(&[event(1)]).await.unwrap();
    let served = Served::start(&database.url, &[], PASSWORD).await;
    let host = format!("host: {}", served.address);
    for headers in [&[&*host][..], &[&*host, WRONG]] {
        let refused = served.get_with("/audit/events", headers).await;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(
            refused.head.contains("www-authenticate: basic realm="),
            "{refused:?}"
        );
        assert!(!refused.body.contains("project.update"), "{refused:?}");
    }
    let home = served.get("/").await;
    assert_eq!(home.status, 307, "{home:?}");
    assert!(home.head.contains("location: /audit\r"), "{home:?}");
    for path in ["/audit", "/audit/events"] {
        let seen = served.get(path).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        assert!(seen.body.contains("project.update"), "{seen:?}");
    }
    let said = served.stops().await;
    assert!(said.contains("audit: accepted 4, written 4"), "{said}");

    let mut looks = rows(&database.pool).await;
    looks.retain(|event| event.action() == "audit.log.view");
    let who = |event: &AuditEvent| {
        let actor = event.actor();
        let method = actor.method().unwrap_or_default().to_owned();
        (actor.id().to_owned(), method, event.outcome())
    };
    let refused = ("anonymous".to_owned(), String::new(), Outcome::Denied);
    let alice = ("alice".to_owned(), "basic".to_owned(), Outcome::Success);
    assert_eq!(
        looks.iter().map(who).collect::<Vec<_>>(),
        [refused.clone(), refused, alice.clone(), alice]
    );
}

#[tokio::test]
async fn without_a_password_one_is_made_and_said_once() {
    let database = Sqlite::migrated().await;
    let mut served = Served::start(&database.url, &[], None).await;
    let line = soon(served.lines.next_line()).await.unwrap().unwrap();
    let (_, password) = line.split_once("password: ").unwrap();
    assert!(
        password.len() == 32 && password.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{line}"
    );
    assert_eq!(served.get("/audit/events").await.status, 401);
    let password = password.to_owned();
    assert!(!served.stops().await.contains(&password));
}

#[tokio::test]
async fn a_request_for_another_name_is_refused_before_anything_else() {
    let database = Sqlite::migrated().await;
    let arguments = ["--host", "audit.example.com"];
    let served = Served::start(&database.url, &arguments, PASSWORD).await;
    for (host, status) in [
        ("host: evil.example", 421),
        ("host: localhost.evil.example", 421),
        ("x-host: localhost", 421),
        ("host: localhost:1", 200),
        ("host: Audit.Example.com", 200),
    ] {
        let answer = served.get_with("/audit/events", &[host, ALICE]).await;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
    served.stops().await;
    assert_eq!(rows(&database.pool).await.len(), 2);
}

#[tokio::test]
async fn what_is_served_can_be_less_than_all() {
    let database = Sqlite::migrated().await;
    let of = |seconds: i64, tenant: &'static str| {
        let event = builder(seconds).tenant_id(tenant);
        let event = event.ip_address("192.0.2.77".parse().unwrap());
        event.metadata("of", tenant).build()
    };
    let store = SqliteStore::new(database.pool.clone());
    store
        .append(&[of(1, "acme"), of(2, "other")])
        .await
        .unwrap();
    let arguments = ["--tenant", "acme", "--hide-personal", "--no-export"];
    let served = Served::start(&database.url, &arguments, PASSWORD).await;
    let seen = served.get("/audit/events").await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(seen.body.contains("acme"), "{seen:?}");
    for hidden in ["other", "192.0.2.77"] {
        assert!(!seen.body.contains(hidden), "{seen:?}");
    }
    assert_eq!(served.get("/audit/export").await.status, 403);
    served.stops().await;
}

#[tokio::test]
async fn what_would_not_be_safe_to_serve_is_refused_with_what_to_do() {
    let (ready, fresh) = (Sqlite::migrated().await, Sqlite::fresh().await);
    let remote = ["serve", "--listen", "0.0.0.0:0"];
    let said = runs(Some(&ready.url), &remote).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.error.contains("TLS") && said.error.contains("--danger-allow-remote"),
        "{said:?}"
    );
    let local = ["serve", "--listen", "127.0.0.1:0"];
    let said = runs(Some(&fresh.url), &local).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.error.contains("run the migrations"), "{said:?}");
    let host = ["serve", "--host", "http://audit.example.com/"];
    assert_eq!(runs(Some(&ready.url), &host).await.code, 2);
    let folder = TempDir::new().unwrap();
    let mut command = command(&local, &folder);
    command
        .env("DATABASE_URL", &ready.url)
        .env(PASSWORD_VARIABLE, "");
    let output = soon(command.output()).await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("is empty"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_user_who_may_only_read_is_refused_unless_looks_may_go_unrecorded() {
    let database = Postgres::migrated().await;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let user = format!("t{}_looks", &id[id.len() - 12..]);
    let run = async |sql: String| {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql));
        statement.execute(&database.pool).await.unwrap();
    };
    run(format!(
        "CREATE ROLE {user} LOGIN; GRANT USAGE ON SCHEMA control_plane TO {user};
         GRANT SELECT ON ALL TABLES IN SCHEMA control_plane TO {user}"
    ))
    .await;
    let (options, server) = (&database.options, database.address().await);
    let name = options.get_database().unwrap();
    let url = format!("postgres://{user}@{server}/{name}");
    let said = runs(Some(&url), &["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.error.contains("--unrecorded"), "{said:?}");

    let mut served = Served::start(&url, &["--unrecorded"], PASSWORD).await;
    assert_eq!(served.get("/audit/events").await.status, 200);
    let look = soon(async {
        loop {
            let line = served.lines.next_line().await.unwrap().unwrap();
            if let Ok(event) = serde_json::from_str::<AuditEvent>(&line) {
                break event;
            }
        }
    })
    .await;
    assert_eq!(
        (look.action(), look.actor().id()),
        ("audit.log.view", "alice")
    );
    served.stops().await;
    let rows = sqlx::query_scalar("SELECT count(*) FROM control_plane.audit_logs");
    let rows: i64 = rows.fetch_one(&database.pool).await.unwrap();
    assert_eq!(rows, 0);
    run(format!("DROP OWNED BY {user}; DROP ROLE {user}")).await;
}
