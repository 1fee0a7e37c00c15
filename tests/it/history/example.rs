//! The example, over HTTP and by plain SQL.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tower_audit::{Auditor, EventId, PageSize};
use tower_audit_core::changes::{ChangeFilter, ChangeReader as _, Hidden, Operation, RowChange};
use tower_audit_history::History;
use uuid::Uuid;

use crate::support::{
    database::Postgres,
    http::{Answer, Client},
    server::Server,
    soon,
};

/// The example on a database of its own, where alice has signed up.
struct Example {
    client: Client,
    auditor: Auditor,
    history: History,
    _server: Server,
    database: Postgres,
}

impl Example {
    async fn start() -> Self {
        let database = Postgres::fresh().await;
        let app = ::history::app(database.pool.clone()).await.unwrap();
        let server = Server::start(app.router).await;
        let mut this = Self {
            client: server.client().await,
            auditor: app.auditor,
            history: app.history,
            _server: server,
            database,
        };
        let alice = json!({"name": "Alice Ansel", "email": EMAIL});
        assert_eq!(this.alice("POST", "/users", alice).await.status, 201);
        this
    }

    /// Sends a request of alice.
    async fn alice(&mut self, method: &str, path: &str, body: Value) -> Answer {
        self.call("alice", method, path, body).await
    }

    async fn call(&mut self, user: &str, method: &str, path: &str, body: Value) -> Answer {
        let user = format!("authorization: Bearer demo-{user}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let headers = [user.as_str(), "content-type: application/json"];
        self.client.call(method, path, &headers, &body).await
    }

    /// Makes an API key; returns its id and its secret.
    async fn new_key(&mut self) -> (String, String) {
        let created = self.alice("POST", "/apikeys", json!({"name": "ci"})).await;
        assert_eq!(created.status, 201);
        id_and_secret(&created)
    }

    /// Makes a job with two endpoints, of which one has a secret; returns its id.
    async fn new_job(&mut self) -> i64 {
        let job = json!({"name": "backup", "schedule": "@daily", "endpoints": [
            {"url": "https://example.com/begin", "headers": {"authorization": "Bearer hunter2"}},
            {"url": "https://example.com/end"},
        ]});
        let created = self.alice("POST", "/jobs", job).await;
        assert_eq!(created.status, 201);
        created.json()["id"].as_i64().unwrap()
    }

    /// Returns the one event of this action, as soon as it is written.
    async fn only_event(&self, action: &str) -> EventId {
        let select = "SELECT id FROM control_plane.audit_logs WHERE action = $1";
        let ids = soon(async {
            loop {
                self.auditor.flush().await;
                let select = sqlx::query_scalar(select).bind(action);
                let ids: Vec<Uuid> = select.fetch_all(&self.database.pool).await.unwrap();
                if !ids.is_empty() {
                    break ids;
                }
            }
        })
        .await;
        assert_eq!(ids.len(), 1, "{action}");
        EventId::from_uuid(ids[0])
    }

    async fn changes(&self, filter: ChangeFilter) -> Vec<RowChange> {
        let page = self.history.changes(&filter, None, PageSize::MAX).await;
        page.unwrap().changes
    }

    /// Returns everything that the trail and the history hold, as text.
    async fn everything(&self) -> String {
        let all = "SELECT concat((SELECT string_agg(r::text, ' ') FROM control_plane.row_changes AS r), ' ', \
                   (SELECT string_agg(r::text, ' ') FROM control_plane.audit_logs AS r))";
        let all = sqlx::query_scalar(all).fetch_one(&self.database.pool);
        all.await.unwrap()
    }

    /// Returns the time by the clock of the database, as a path has it.
    async fn now(&self) -> String {
        let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.database.pool);
        let now: DateTime<Utc> = now.await.unwrap();
        now.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

fn id_and_secret(answer: &Answer) -> (String, String) {
    let body = answer.json();
    let text = |member: &str| body[member].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

const EMAIL: &str = "alice@example.com";

#[tokio::test]
async fn one_request_leaves_one_row_and_its_changes_with_secrets_masked() {
    let mut example = Example::start().await;
    let (id, first) = example.new_key().await;
    let rotate = format!("/apikeys/{id}/rotate");
    let rotated = example.alice("POST", &rotate, Value::Null).await;
    let (_, second) = id_and_secret(&rotated);
    assert_ne!(first, second);

    let event = example.only_event("apikey.rotate").await;
    let changes = example.changes(ChangeFilter::new().event(event)).await;
    assert_eq!(changes.len(), 1, "{changes:#?}");
    let change = &changes[0];
    assert_eq!(
        (change.table.to_string().as_str(), change.operation),
        ("public.apikey", Operation::Update)
    );
    assert_eq!(json!(change.key), json!({"id": id}));
    assert_eq!(change.actor.id(), "alice");
    for column in ["key_hash", "secret"] {
        let fields = change.fields();
        let field = fields.iter().find(|field| field.column == column).unwrap();
        for value in [field.old, field.new] {
            assert_eq!(value.and_then(Hidden::of), Some(Hidden::Masked), "{column}");
        }
    }
    let everything = example.everything().await;
    assert!(everything.contains(&id) && everything.contains("Alice Ansel"));
    for secret in [first.as_str(), &second, EMAIL] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn the_viewer_shows_what_the_request_changed() {
    let mut example = Example::start().await;
    let (id, first) = example.new_key().await;
    let rotate = format!("/apikeys/{id}/rotate");
    let rotated = example.alice("POST", &rotate, Value::Null).await;
    let (_, second) = id_and_secret(&rotated);

    let event = example.only_event("apikey.rotate").await;
    let path = format!("/audit/view/{event}");
    let page = example.alice("GET", &path, Value::Null).await;
    assert_eq!(page.status, 200);
    let page = String::from_utf8(page.body).unwrap();
    for shown in [
        "Rows that it changed",
        "public.apikey",
        "key_hash",
        "masked",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains(&first) && !page.contains(&second));
}

#[tokio::test]
async fn deleting_a_job_takes_its_endpoints_along_in_the_same_request() {
    let mut example = Example::start().await;
    let id = example.new_job().await;
    let path = format!("/jobs/{id}");
    let deleted = example.alice("DELETE", &path, Value::Null).await;
    assert_eq!(deleted.status, 204);

    let event = example.only_event("job.delete").await;
    let changes = example.changes(ChangeFilter::new().event(event)).await;
    let mut told: Vec<_> = changes
        .iter()
        .map(|change| (change.table.table(), change.operation))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("job_endpoints", Operation::Delete),
            ("job_endpoints", Operation::Delete),
            ("jobs", Operation::Delete),
        ]
    );
    let transaction = changes[0].transaction_id;
    for change in &changes {
        assert_eq!(change.transaction_id, transaction);
        assert_eq!(change.actor.id(), "alice");
    }
    let everything = example.everything().await;
    assert!(everything.contains("https://example.com/begin") && !everything.contains("hunter2"));
}

#[tokio::test]
async fn what_a_job_was_before_can_be_asked_for() {
    let mut example = Example::start().await;
    let none_yet = example.now().await;
    let path = format!("/jobs/{}", example.new_job().await);
    let before = example.now().await;
    let change = json!({"schedule": "@hourly", "status": "paused"});
    assert_eq!(example.alice("PATCH", &path, change).await.status, 204);
    let after = example.now().await;
    let deleted = example.alice("DELETE", &path, Value::Null).await;
    assert_eq!(deleted.status, 204);
    let gone = example.now().await;

    for (time, schedule, status) in [(&before, "@daily", "active"), (&after, "@hourly", "paused")] {
        let as_of = format!("{path}/as-of/{time}");
        let job = example.alice("GET", &as_of, Value::Null).await.json();
        assert_eq!(
            (&job["name"], &job["schedule"], &job["status"]),
            (&json!("backup"), &json!(schedule), &json!(status))
        );
    }
    for (user, time) in [("alice", &none_yet), ("alice", &gone), ("bob", &before)] {
        let as_of = format!("{path}/as-of/{time}");
        let answer = example.call(user, "GET", &as_of, Value::Null).await;
        assert_eq!(answer.status, 404, "{user} {as_of}");
    }
}

#[tokio::test]
async fn an_api_key_cannot_be_changed_past_the_app() {
    let mut example = Example::start().await;
    example.new_key().await;
    let pool = &example.database.pool;
    for sql in ["UPDATE apikey SET enabled = false", r#"DELETE FROM "user""#] {
        let error = sqlx::query(sql).execute(pool).await.unwrap_err();
        let code = error.as_database_error().unwrap().code().unwrap();
        // insufficient_privilege
        assert_eq!(code, "42501", "{sql}");
    }
    let enabled = sqlx::query_scalar("SELECT enabled FROM apikey").fetch_one(pool);
    let is_enabled: bool = enabled.await.unwrap();
    assert!(is_enabled);
}

#[tokio::test]
async fn what_is_no_request_may_change_a_job_and_is_the_systems() {
    let mut example = Example::start().await;
    let id = example.new_job().await;
    sqlx::query("UPDATE jobs SET next_run_at = now() WHERE id = $1")
        .bind(id)
        .execute(&example.database.pool)
        .await
        .unwrap();
    let changes = example.changes(ChangeFilter::new().actor("system")).await;
    let [change] = &changes[..] else {
        panic!("{changes:#?}");
    };
    assert_eq!(json!(change.key), json!({"id": id}));
    assert_eq!(change.event_id, None);
    assert!(!change.database_user.is_empty());
}

#[tokio::test]
async fn it_starts_again_on_what_it_made() {
    let mut example = Example::start().await;
    let (id, _) = example.new_key().await;
    let again = ::history::app(example.database.pool.clone()).await.unwrap();
    assert_eq!(again.history.verify().await.unwrap(), []);
    let rotate = format!("/apikeys/{id}/rotate");
    let rotated = example.alice("POST", &rotate, Value::Null).await;
    assert_eq!(rotated.status, 200);
}
