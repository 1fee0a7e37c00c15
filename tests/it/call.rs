//! Functions with `#[audited]`: in a request, in a job, and nowhere.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    handler::Handler,
    http::{Request, StatusCode},
    routing::{get, post},
};
use tokio::sync::Notify;
use tower::{Layer as _, ServiceExt as _};
use tower_audit::{
    Actor, AuditContext, AuditEvent, Auditor, AuthFailed, MemoryStore, Outcome, Text, audited,
    call::{AuditReason, Job},
    privacy::{Redaction, Treatment},
    unaudited,
};

use crate::support::{
    server::{Server, Trail},
    soon,
};

async fn call(trail: &Trail, app: Router, method: &str, path: &str) -> u16 {
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let headers = ["x-request-id: r-1"];
    server
        .client()
        .await
        .call(method, path, &headers, "")
        .await
        .status
}

fn told(event: &AuditEvent) -> (&str, &str, &str) {
    (event.action(), event.target().kind(), event.target().id())
}

#[audited(action = "project.archive", target = "project:{id}")]
async fn archive(Path(id): Path<u64>) -> StatusCode {
    match id {
        404 => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

#[tokio::test]
async fn an_audited_handler_names_its_request() {
    let trail = Trail::new();
    let app = Router::new().route("/things/{id}", get(archive));
    assert_eq!(call(&trail, app, "GET", "/things/7").await, 200);
    let event = trail.only_event().await;
    assert_eq!(told(&event), ("project.archive", "project", "7"));
    assert_eq!(
        (event.outcome(), event.status()),
        (Outcome::Success, Some(200))
    );
}

#[tokio::test]
async fn the_status_says_how_a_handler_ended_that_returns_no_result() {
    let trail = Trail::new();
    let app = Router::new().route("/things/{id}", get(archive));
    call(&trail, app, "GET", "/things/404").await;
    assert_eq!(trail.only_event().await.outcome(), Outcome::Failure);
}

#[derive(Debug)]
enum Refusal {
    NotOwner,
    Database,
}

impl AuditReason for Refusal {
    fn audit_reason(&self) -> Text {
        Text::from_static(match self {
            Self::NotOwner => "not_owner",
            Self::Database => "database",
        })
    }

    fn audit_outcome(&self) -> Outcome {
        match self {
            Self::NotOwner => Outcome::Denied,
            Self::Database => Outcome::Failure,
        }
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        match self {
            // Who may not see it is not told that it is there.
            Self::NotOwner => StatusCode::NOT_FOUND.into_response(),
            Self::Database => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

#[audited(action = "project.purge")]
async fn purge(Path(id): Path<u64>) -> Result<(), Refusal> {
    match id {
        1 => Err(Refusal::NotOwner),
        2 => Err(Refusal::Database),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn an_error_says_its_reason_and_how_it_ended() {
    for (path, outcome, reason) in [
        ("/projects/1", Outcome::Denied, Some("not_owner")),
        ("/projects/2", Outcome::Failure, Some("database")),
        ("/projects/3", Outcome::Success, None),
    ] {
        let trail = Trail::new();
        let app = Router::new().route("/projects/{id}", post(purge));
        call(&trail, app, "POST", path).await;
        let event = trail.only_event().await;
        assert_eq!((event.outcome(), event.reason()), (outcome, reason));
        // Without a target of its own it is that of the route.
        assert_eq!(told(&event), ("project.purge", "project", &path[10..]));
    }
}

struct Leaky;

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot connect to postgres://bob:hunter2@db/app")
    }
}

struct Silent;

#[audited(action = "report.send", target = "report:{id}")]
async fn send(id: u8) -> Result<u8, Leaky> {
    if id == 0 { Err(Leaky) } else { Ok(id) }
}

#[audited(action = "report.silence")]
async fn silence() -> Result<(), Silent> {
    Err(Silent)
}

/// Runs the work as a job, and returns what was recorded.
async fn job<F: Future>(work: F) -> Vec<AuditEvent> {
    let store = MemoryStore::new();
    let auditor = Auditor::new(store.clone());
    Job::new(&auditor).run(work).await;
    auditor.flush().await;
    store.events()
}

#[tokio::test]
async fn in_a_job_a_function_has_a_row_of_its_own_by_the_system() {
    let events = job(send(7)).await;
    assert_eq!(events.len(), 1);
    assert_eq!(told(&events[0]), ("report.send", "report", "7"));
    assert_eq!(events[0].actor(), &Actor::system());
    assert_eq!(
        (events[0].outcome(), events[0].reason()),
        (Outcome::Success, None)
    );
    assert!(events[0].duration().is_some());
}

#[tokio::test]
async fn a_job_may_run_in_somebodys_name() {
    let store = MemoryStore::new();
    let auditor = Auditor::new(store.clone());
    let actor = Actor::user("alice").tenant("acme");
    drop(Job::new(&auditor).actor(actor).run(send(7)).await);
    auditor.flush().await;
    assert_eq!(store.events()[0].actor(), &Actor::user("alice"));
    assert_eq!(store.events()[0].tenant_id(), Some("acme"));
}

#[tokio::test]
async fn an_error_that_can_be_shown_is_the_reason_without_its_secrets() {
    let events = job(send(0)).await;
    assert_eq!(events[0].outcome(), Outcome::Failure);
    assert_eq!(
        events[0].reason(),
        Some("cannot connect to postgres://[redacted]@db/app")
    );
}

#[tokio::test]
async fn an_error_that_says_nothing_is_a_failure_all_the_same() {
    let events = job(silence()).await;
    assert_eq!(
        (events[0].outcome(), events[0].reason()),
        (Outcome::Failure, None)
    );
}

#[audited(action = "report.wait")]
async fn wait_for_ever() {
    std::future::pending().await
}

#[audited(action = "report.panic")]
async fn panics() {
    panic!("as the test wants it");
}

#[tokio::test]
async fn a_function_that_is_dropped_or_panics_has_its_row() {
    let events = job(tokio::time::timeout(Duration::ZERO, wait_for_ever())).await;
    assert_eq!(
        (events[0].action(), events[0].outcome()),
        ("report.wait", Outcome::Aborted)
    );

    let store = MemoryStore::new();
    let auditor = Auditor::new(store.clone());
    let work = Job::new(&auditor).run(panics());
    assert!(tokio::spawn(work).await.unwrap_err().is_panic());
    let event = &soon(store.wait_for(1)).await[0];
    assert_eq!(
        (event.outcome(), event.reason()),
        (Outcome::Failure, Some("panic"))
    );
}

#[audited(action = "team.create", target = "team:{name}")]
async fn create_team(name: &str) -> Result<(), Refusal> {
    if name == "bad" {
        Err(Refusal::Database)
    } else {
        Ok(())
    }
}

#[audited(action = "user.sign_up", target = "user:{name}")]
async fn sign_up(audit: AuditContext, Path(name): Path<String>) -> StatusCode {
    audit.actor(Actor::user(&name).tenant("acme"));
    drop(create_team("bad").await);
    StatusCode::CREATED
}

#[tokio::test]
async fn what_else_is_done_in_a_request_has_rows_of_its_own() {
    let trail = Trail::new();
    let app = Router::new().route("/users/{name}", post(sign_up));
    call(&trail, app, "POST", "/users/bob").await;
    soon(trail.store.wait_for(2)).await;
    trail.layer.auditor().flush().await;
    let events = trail.store.events();
    assert_eq!(events.len(), 2);
    let (request, team) = match events[0].action() {
        "user.sign_up" => (&events[0], &events[1]),
        _ => (&events[1], &events[0]),
    };
    assert_eq!(told(request), ("user.sign_up", "user", "bob"));
    assert_eq!(request.outcome(), Outcome::Success);
    assert_eq!(told(team), ("team.create", "team", "bad"));
    assert_eq!(
        (team.outcome(), team.reason()),
        (Outcome::Failure, Some("database"))
    );
    assert_eq!((team.status(), team.method()), (None, Some("POST")));
    for event in [request, team] {
        assert_eq!(event.actor(), &Actor::user("bob"));
        assert_eq!(event.tenant_id(), Some("acme"));
        assert_eq!(event.request_id(), Some("r-1"));
        assert_eq!(event.ip_address(), Some([127, 0, 0, 1].into()));
        assert_eq!(event.route(), Some("/users/{name}"));
    }
    assert_ne!(request.id(), team.id());
}

#[tokio::test]
async fn a_function_below_the_handler_names_the_request_and_its_error_is_the_outcome() {
    let trail = Trail::new();
    // The handler swallows the error.
    let handler = async || drop(create_team("bad").await);
    call(&trail, Router::new().route("/", post(handler)), "POST", "/").await;
    let event = trail.only_event().await;
    assert_eq!(told(&event), ("team.create", "team", "bad"));
    assert_eq!(
        (event.outcome(), event.reason()),
        (Outcome::Failure, Some("database"))
    );
    assert_eq!(event.status(), Some(200));
}

#[tokio::test]
async fn what_the_handler_says_later_goes_before_the_attribute() {
    let trail = Trail::new();
    let handler = async |audit: AuditContext| {
        drop(create_team("good").await);
        audit.target_id("t-1");
    };
    call(&trail, Router::new().route("/", post(handler)), "POST", "/").await;
    assert_eq!(
        told(&trail.only_event().await),
        ("team.create", "team", "t-1")
    );
}

#[tokio::test]
async fn what_a_handler_left_out_stays_out() {
    let trail = Trail::new();
    let handler = async |audit: AuditContext| {
        audit.skip();
        drop(create_team("good").await);
    };
    call(&trail, Router::new().route("/", post(handler)), "POST", "/").await;
    trail.assert_empty().await;
    let trail = Trail::new();
    let handler = async || drop(create_team("good").await);
    // The attribute is nearer to what is done than the route.
    let app = Router::new().route("/", post(handler.layer(unaudited())));
    call(&trail, app, "POST", "/").await;
    assert_eq!(trail.only_event().await.action(), "team.create");
}

#[tokio::test]
async fn without_anybody_to_record_it_the_function_runs() {
    assert_eq!(send(7).await.ok(), Some(7));
}

#[tokio::test]
async fn an_activity_of_the_catalog_names_action_and_target() {
    let trail = Trail::new();
    let handler =
        async |audit: AuditContext| audit.did(tower_audit::catalog::api_key::rotated("k-1"));
    call(&trail, Router::new().route("/", post(handler)), "POST", "/").await;
    assert_eq!(
        told(&trail.only_event().await),
        ("api_key.rotate", "api_key", "k-1")
    );
}

#[audited(action = "user.login")]
async fn login(audit: AuditContext) -> Result<(), StatusCode> {
    audit.auth_failed(AuthFailed::new("wrong_password").claimed("alice"));
    Err(StatusCode::UNAUTHORIZED)
}

#[tokio::test]
async fn the_reason_that_a_handler_gives_goes_before_what_its_error_shows() {
    let trail = Trail::new();
    call(&trail, Router::new().route("/", post(login)), "POST", "/").await;
    let event = trail.only_event().await;
    assert_eq!(event.outcome(), Outcome::Denied);
    assert_eq!(event.reason(), Some("wrong_password (claimed: \"alice\")"));
}

#[derive(Debug)]
struct Iban;

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("status code: 7, iban=DE89")
    }
}

#[audited(action = "account.check")]
async fn check() -> Result<(), Iban> {
    Err(Iban)
}

#[tokio::test]
async fn what_an_error_shows_is_redacted_as_the_layer_says() {
    let redaction = Redaction::builder().name("iban", Treatment::Mask).build();
    let trail = Trail::new().with(|layer| layer.redaction(redaction.unwrap()));
    let handler = async || drop(check().await);
    call(&trail, Router::new().route("/", post(handler)), "POST", "/").await;
    let event = trail.only_event().await;
    assert_eq!(event.reason(), Some("status code: 7, iban=[redacted]"));
}

struct Undecided;

impl AuditReason for Undecided {
    fn audit_reason(&self) -> Text {
        Text::from_static("undecided")
    }

    fn audit_outcome(&self) -> Outcome {
        Outcome::Pending
    }
}

#[audited(action = "report.decide")]
async fn decide() -> Result<(), Undecided> {
    Err(Undecided)
}

#[tokio::test]
async fn an_error_is_final_whatever_it_says() {
    assert_eq!(job(decide()).await[0].outcome(), Outcome::Failure);
}

#[audited(action = "project.open")]
async fn forbidden() -> Result<(), StatusCode> {
    Err(StatusCode::FORBIDDEN)
}

#[tokio::test]
async fn an_error_behind_a_status_that_denies_is_denied() {
    let trail = Trail::new();
    call(
        &trail,
        Router::new().route("/", post(forbidden)),
        "POST",
        "/",
    )
    .await;
    let event = trail.only_event().await;
    assert_eq!(
        (event.outcome(), event.reason()),
        (Outcome::Denied, Some("403 Forbidden"))
    );
}

#[audited(action = "team.clean")]
async fn outlive(go: Arc<Notify>) {
    go.notified().await;
}

#[tokio::test]
async fn a_function_that_outlives_its_request_has_the_route_and_no_secret_of_it() {
    let trail = Trail::new();
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let handler = async move |_: AuditContext, Path(name): Path<String>| {
        drop(create_team(&name).await);
        let mut second = Box::pin(outlive(wait));
        // It begins in the request, and ends after it.
        let begun = tokio::time::timeout(Duration::ZERO, &mut second).await;
        assert!(begun.is_err());
        drop(tokio::spawn(second));
    };
    let app = Router::new().route("/reset/{token}", post(handler));
    let service = trail.layer.layer(app);
    let request = Request::post("/reset/hunter2").body(Body::empty()).unwrap();
    drop(soon(service.oneshot(request)).await.unwrap());
    soon(trail.store.wait_for(1)).await;
    go.notify_one();
    let events = soon(trail.store.wait_for(2)).await;
    for event in &events {
        assert_eq!(event.route(), Some("/reset/{token}"));
        assert!(!event.path().unwrap().contains("hunter2"), "{event:?}");
    }
}

#[tokio::test]
async fn the_id_that_is_asked_for_after_the_end_is_that_of_the_row() {
    let trail = Trail::new();
    let (keep, kept) = tokio::sync::oneshot::channel();
    let keep = Arc::new(std::sync::Mutex::new(Some(keep)));
    let handler = async move |audit: AuditContext| {
        let keep = keep.lock().unwrap().take().unwrap();
        assert!(keep.send(audit).is_ok());
    };
    let app = Router::new().route("/", post(handler));
    assert_eq!(call(&trail, app, "POST", "/").await, 200);
    let id = trail.only_event().await.id();
    let context = soon(kept).await.unwrap();
    assert_eq!(context.event_id(), id);
}
