//! The quickstart, as a process of its own, seen from outside: over HTTP and by plain SQL.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::support::{database::Postgres, http::Client, soon};

/// Builds the example once, with the features of the whole workspace, and returns its path.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        build.args([
            "build",
            "--quiet",
            "--workspace",
            "--all-features",
            "--locked",
            "--bin",
            "quickstart",
        ]);
        assert!(build.status().unwrap().success());
        // target/<profile>/deps/it-<hash> is us.
        let profile = std::env::current_exe()
            .unwrap()
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .to_owned();
        profile.join("quickstart")
    })
}

/// A running quickstart, killed with this.
struct Quickstart {
    process: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Quickstart {
    async fn start(database: Option<&str>, folder: &Path) -> Self {
        let mut command = Command::new(binary());
        command
            .current_dir(folder)
            .env("PORT", "0")
            .env_remove("DATABASE_URL")
            .kill_on_drop(true);
        command.envs(database.map(|url| ("DATABASE_URL", url)));
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        soon(output.read_line(&mut first)).await.unwrap();
        let address = first
            .split("http://")
            .nth(1)
            .unwrap()
            .split(". ")
            .next()
            .unwrap()
            .parse()
            .unwrap();
        Self {
            process,
            output,
            address,
        }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Sends SIGTERM and returns the last line that it prints.
    async fn terminate(mut self) -> String {
        let id = self.process.id().unwrap().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        soon(self.output.read_to_string(&mut rest)).await.unwrap();
        assert!(soon(self.process.wait()).await.unwrap().success());
        rest.lines().last().unwrap().to_owned()
    }
}

const ALICE: &str = "authorization: Bearer demo-alice";
const JSON: &str = "content-type: application/json";
const AGENT: &str = "user-agent: test/1";

/// One create by alice and one refused delete by nobody.
async fn create_and_refused_delete(client: &mut Client) {
    let created = client
        .call(
            "POST",
            "/projects",
            &[ALICE, JSON, AGENT],
            r#"{"name": "apollo"}"#,
        )
        .await;
    assert_eq!(
        (created.status, created.json()["id"].as_str()),
        (201, Some("1"))
    );
    let refused = client.call("DELETE", "/projects/1", &[AGENT], "").await;
    assert_eq!(refused.status, 401);
}

type Row = (
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    String,
);

fn expected() -> [Row; 2] {
    [
        [
            "user",
            "alice",
            "project.create",
            "project",
            "1",
            "success",
            "127.0.0.1",
            "test/1",
        ],
        [
            "anonymous",
            "anonymous",
            "project.delete",
            "project",
            "1",
            "denied",
            "127.0.0.1",
            "test/1",
        ],
    ]
    .map(|[a, b, c, d, e, f, g, h]| {
        let text = str::to_owned;
        (
            text(a),
            text(b),
            text(c),
            text(d),
            text(e),
            text(f),
            text(g),
            text(h),
        )
    })
}

#[tokio::test]
async fn on_sqlite_a_create_and_a_refused_delete_are_two_rows() {
    let folder = TempDir::new().unwrap();
    let quickstart = Quickstart::start(None, folder.path()).await;
    create_and_refused_delete(&mut quickstart.client().await).await;
    assert_eq!(
        quickstart.terminate().await,
        "audit: accepted 2, written 2, spooled 0, dead-lettered 0, dropped 0, left 0"
    );
    let url = format!("sqlite://{}", folder.path().join("audit.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT actor_type, actor_id, action, target_type, target_id, outcome, ip_address, user_agent
         FROM audit_logs ORDER BY created_at",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(rows, expected());
}

#[tokio::test]
async fn on_postgres_a_create_and_a_refused_delete_are_two_rows() {
    let (folder, database) = (TempDir::new().unwrap(), Postgres::fresh().await);
    let quickstart = Quickstart::start(Some(&database.url), folder.path()).await;
    create_and_refused_delete(&mut quickstart.client().await).await;
    quickstart.terminate().await;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT actor_type, actor_id, action, target_type, target_id, outcome, host(ip_address), user_agent
         FROM control_plane.audit_logs ORDER BY created_at",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(rows, expected());
}

#[tokio::test]
async fn the_api_does_what_its_help_says() {
    let folder = TempDir::new().unwrap();
    let quickstart = Quickstart::start(None, folder.path()).await;
    let mut client = quickstart.client().await;
    create_and_refused_delete(&mut client).await;
    let bob = "authorization: Bearer demo-bob";
    let (guess, right) = (
        r#"{"user": "bob", "password": "guess"}"#,
        r#"{"user": "bob", "password": "demo"}"#,
    );
    for (method, path, headers, body, status) in [
        ("GET", "/projects/1", &[][..], "", 200),
        ("DELETE", "/projects/1", &[bob], "", 403),
        ("DELETE", "/projects/1", &[ALICE], "", 204),
        ("GET", "/projects/1", &[], "", 404),
        ("POST", "/login", &[JSON], guess, 401),
        ("POST", "/login", &[JSON], right, 200),
    ] {
        assert_eq!(
            client.call(method, path, headers, body).await.status,
            status,
            "{method} {path}"
        );
    }
    let expected = [
        "user.login success",
        "user.login denied",
        "project.delete success",
        "project.delete denied",
        "project.delete denied",
        "project.create success",
    ];
    assert_eq!(soon(newest(&mut client, expected.len())).await, expected);
}

/// Returns action and outcome of what `/audit` shows, as soon as it shows so many: the writer is a
/// moment behind the answers.
async fn newest(client: &mut Client, count: usize) -> Vec<String> {
    loop {
        let search = "/audit/events?q=-action:audit.*";
        let page = client.call("GET", search, &[ALICE], "").await.json();
        let events = page["events"].as_array().unwrap();
        if events.len() == count {
            let told = |event: &serde_json::Value| {
                format!("{} {}", event["action"], event["outcome"]).replace('"', "")
            };
            return events.iter().map(told).collect();
        }
    }
}

#[tokio::test]
async fn after_20_000_requests_and_sigterm_every_one_is_a_row() {
    let (folder, database) = (TempDir::new().unwrap(), Postgres::fresh().await);
    let quickstart = Quickstart::start(Some(&database.url), folder.path()).await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = quickstart.client().await;
        clients.spawn(async move {
            for _ in 0..2_500 {
                let created = client
                    .call("POST", "/projects", &[ALICE, JSON], r#"{"name": "x"}"#)
                    .await;
                assert_eq!(created.status, 201);
            }
        });
    }
    clients.join_all().await;
    assert_eq!(
        quickstart.terminate().await,
        "audit: accepted 20000, written 20000, spooled 0, dead-lettered 0, dropped 0, left 0"
    );
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM control_plane.audit_logs")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(rows, 20_000);
}

#[tokio::test]
async fn a_client_that_stalls_does_not_keep_it_from_ending_with_its_report() {
    let folder = TempDir::new().unwrap();
    let quickstart = Quickstart::start(None, folder.path()).await;
    create_and_refused_delete(&mut quickstart.client().await).await;
    let mut stalled = quickstart.client().await;
    stalled.send("POST /login HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{").await;
    assert!(
        quickstart
            .terminate()
            .await
            .starts_with("audit: accepted 2, written 2")
    );
}

#[tokio::test]
async fn with_a_database_that_is_down_it_starts_and_answers() {
    let folder = TempDir::new().unwrap();
    let quickstart =
        Quickstart::start(Some("postgres://nobody@127.0.0.1:1/none"), folder.path()).await;
    let mut client = quickstart.client().await;
    create_and_refused_delete(&mut client).await;
    let answer = client.call("GET", "/audit/events", &[ALICE], "").await;
    assert_eq!(answer.status, 503);
}
