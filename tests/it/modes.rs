//! Durable and strict routes, and a full queue that refuses.

use std::{
    convert::Infallible,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    handler::Handler,
    middleware::{Next, from_fn},
    response::IntoResponse as _,
    routing::post,
};
use http::{Method, Request, Response, StatusCode};
use tempfile::TempDir;
use tokio::{sync::Semaphore, time::timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_audit::{
    Actor, AuditContext, AuditLayer, Auditor, DeliverySettings, Mode, Outcome, Overflow, Target,
    audited,
    delivery::{Confirm, NotKept},
    identify,
    mode::Refused,
    spool::Spool,
    unaudited,
};

use crate::support::{
    server::Server,
    soon,
    store::{State, Switch},
    until,
};

fn quick() -> DeliverySettings {
    DeliverySettings::new().retry(Duration::from_millis(1), Duration::from_millis(20))
}

/// One that makes nobody wait for what will not come.
fn impatient() -> DeliverySettings {
    quick().confirm_timeout(Duration::from_millis(50))
}

fn request() -> Request<Body> {
    Request::post("/things/7").body(Body::empty()).unwrap()
}

/// An app with one route in a mode, whose handler counts how often it runs.
struct App {
    store: Switch,
    auditor: Auditor,
    runs: Arc<AtomicUsize>,
    router: Router,
    _folder: Option<TempDir>,
}

impl App {
    fn new(mode: Mode, state: State) -> Self {
        Self::with(mode, state, quick(), None)
    }

    fn with_spool(mode: Mode, state: State, settings: DeliverySettings) -> Self {
        Self::with(mode, state, settings, Some(TempDir::new().unwrap()))
    }

    fn with(mode: Mode, state: State, settings: DeliverySettings, folder: Option<TempDir>) -> Self {
        let store = Switch::new(state);
        let mut builder = Auditor::builder().delivery(settings);
        if let Some(folder) = &folder {
            builder = builder.spool(Spool::open(folder.path()).unwrap());
        }
        let auditor = builder.start(store.clone());
        let runs = Arc::new(AtomicUsize::new(0));
        let handler = {
            let runs = Arc::clone(&runs);
            move || {
                runs.fetch_add(1, Ordering::SeqCst);
                ready("done")
            }
        };
        let annotation = audited("thing.do").target("thing", "id").mode(mode);
        let router = Router::new()
            .route("/things/{id}", post(handler.layer(annotation)))
            .layer(AuditLayer::new(&auditor));
        Self {
            store,
            auditor,
            runs,
            router,
            _folder: folder,
        }
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    async fn call(&self) -> Response<Body> {
        soon(self.router.clone().oneshot(request())).await.unwrap()
    }

    fn spawn(&self) -> tokio::task::JoinHandle<Response<Body>> {
        let call = self.router.clone().oneshot(request());
        tokio::spawn(async move { call.await.unwrap() })
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let events = self.store.rows.events();
        events.iter().map(|event| event.outcome()).collect()
    }
}

fn refused<B>(response: &Response<B>) -> Option<NotKept> {
    match response.extensions().get::<Refused>() {
        Some(Refused::NotKept(reason)) => Some(*reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_durable_request_is_answered_only_when_its_row_is_there() {
    let app = App::new(Mode::Durable, State::Hangs);
    let call = app.spawn();
    until(|| app.auditor.stats().in_flight == 1).await;
    assert_eq!((app.runs(), call.is_finished()), (1, false));
    app.store.set(State::Up);
    assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);
    assert_eq!(app.outcomes(), [Outcome::Success]);
    assert_eq!(app.auditor.stats().accepted, 1);
}

#[tokio::test]
async fn a_durable_request_that_nobody_could_keep_is_refused_before_its_handler_runs() {
    // One write that takes too long is enough, and then nobody tries for a long time.
    let settings = DeliverySettings::new()
        .write_timeout(Duration::from_millis(10))
        .retry(Duration::from_secs(360_000), Duration::from_secs(360_000));
    let app = App::with(Mode::Durable, State::Hangs, settings, None);
    app.auditor.record(crate::support::events::event(1));
    until(|| app.auditor.can_keep(false).is_err()).await;
    let response = app.call().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused(&response), Some(NotKept::Unavailable));
    assert_eq!((app.runs(), app.auditor.stats().refused), (0, 1));
}

#[tokio::test]
async fn with_the_store_down_a_durable_request_is_answered_when_it_is_in_the_spool() {
    let app = App::with_spool(Mode::Durable, State::Down, quick());
    assert_eq!(app.call().await.status(), StatusCode::OK);
    assert_eq!(
        (app.auditor.stats().spooled, app.auditor.stats().unconfirmed),
        (1, 0)
    );
    app.store.set(State::Up);
    assert_eq!(
        soon(app.store.rows.wait_for(1)).await[0].outcome(),
        Outcome::Success
    );
}

#[tokio::test]
async fn a_spool_that_does_not_count_leaves_a_durable_request_unconfirmed_or_refused() {
    let settings = impatient().confirm(Confirm::Store);
    let app = App::with_spool(Mode::Durable, State::Down, settings);
    assert_eq!(app.call().await.status(), StatusCode::OK);
    assert_eq!((app.runs(), app.auditor.stats().unconfirmed), (1, 1));
}

#[tokio::test]
async fn what_has_happened_is_answered_even_if_nobody_can_confirm_its_row() {
    let app = App::with(Mode::Durable, State::Hangs, impatient(), None);
    assert_eq!(app.call().await.status(), StatusCode::OK);
    assert_eq!((app.runs(), app.auditor.stats().unconfirmed), (1, 1));
    app.store.set(State::Up);
    soon(app.auditor.flush()).await;
    assert_eq!(app.outcomes(), [Outcome::Success]);
}

#[tokio::test]
async fn a_durable_request_for_which_the_queue_has_no_room_is_refused() {
    let settings = impatient().capacity(1.try_into().unwrap());
    let app = App::with(Mode::Durable, State::Hangs, settings, None);
    app.auditor.record(crate::support::events::event(1));
    let response = app.call().await;
    assert_eq!(refused(&response), Some(NotKept::Full));
    assert_eq!((app.runs(), app.auditor.stats().dropped.total()), (0, 0));
}

#[tokio::test]
async fn a_durable_request_whose_client_leaves_while_it_waits_has_its_row() {
    let app = App::new(Mode::Durable, State::Hangs);
    let call = app.spawn();
    until(|| app.auditor.stats().in_flight == 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    app.store.set(State::Up);
    soon(app.auditor.flush()).await;
    assert_eq!(app.outcomes(), [Outcome::Success]);
}

#[tokio::test]
async fn a_strict_handler_runs_only_when_its_pending_row_is_there() {
    let app = App::new(Mode::Strict, State::Hangs);
    let call = app.spawn();
    until(|| app.auditor.stats().in_flight == 1).await;
    assert_eq!((app.runs(), call.is_finished()), (0, false));
    app.store.set(State::Up);
    assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);
    let rows = app.store.rows.events();
    assert_eq!(
        (rows.len(), rows[0].outcome(), rows[0].status()),
        (1, Outcome::Success, Some(200))
    );
    assert_eq!((rows[0].action(), rows[0].target().id()), ("thing.do", "7"));
    assert_eq!(
        (app.auditor.stats().accepted, app.auditor.stats().written),
        (2, 2)
    );
}

#[tokio::test]
async fn a_strict_handler_sees_its_own_pending_row_and_whom_it_names() {
    let store = Switch::new(State::Up);
    let rows = store.rows.clone();
    let handler = move |audit: AuditContext| async move {
        let pending = rows.events().pop().unwrap();
        assert_eq!(
            (pending.outcome(), pending.id()),
            (Outcome::Pending, audit.event_id())
        );
        assert_eq!(
            (pending.actor().id(), pending.action()),
            ("alice", "thing.do")
        );
        audit.metadata("said", "later");
        StatusCode::CREATED
    };
    let handler = handler.layer(audited("thing.do").mode(Mode::Strict));
    let router: Router = Router::new()
        .route("/things/{id}", post(handler))
        .layer(identify::<String>(|name| Actor::user(name)))
        .layer(Extension("alice".to_owned()))
        .layer(AuditLayer::new(Auditor::new(store.clone())));
    let response = soon(router.oneshot(request())).await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let rows = store.rows.events();
    assert_eq!((rows.len(), rows[0].outcome()), (1, Outcome::Success));
    assert_eq!(rows[0].metadata().get("said").unwrap(), "later");
}

#[tokio::test]
async fn a_strict_request_whose_intent_cannot_be_written_is_refused_and_says_so_later() {
    for state in [State::Down, State::Hangs] {
        let app = App::with(Mode::Strict, state, impatient(), None);
        let response = app.call().await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((app.runs(), app.auditor.stats().refused), (0, 1));
        app.store.set(State::Up);
        soon(app.auditor.flush()).await;
        let rows = app.store.rows.events();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].outcome(), rows[0].status()),
            (Outcome::Failure, Some(503))
        );
        assert_eq!(rows[0].reason(), Some("audit_unavailable"));
    }
}

#[tokio::test]
async fn a_spool_does_not_stand_in_for_a_pending_row() {
    let app = App::with_spool(Mode::Strict, State::Down, quick());
    let response = app.call().await;
    assert!(refused(&response).is_some());
    assert_eq!(
        (response.status(), app.runs()),
        (StatusCode::SERVICE_UNAVAILABLE, 0)
    );
}

#[tokio::test]
async fn a_strict_row_whose_end_cannot_be_written_is_completed_from_the_spool() {
    let app = App::with_spool(Mode::Strict, State::Up, quick());
    let (store, auditor) = (app.store.clone(), app.auditor.clone());
    let handler = move || async move {
        store.set(State::Down);
        "done"
    };
    let handler = handler.layer(audited("thing.do").mode(Mode::Strict));
    let router: Router = Router::new()
        .route("/things/{id}", post(handler))
        .layer(AuditLayer::new(auditor));
    let response = soon(router.oneshot(request())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        (app.outcomes(), app.auditor.stats().spooled),
        (vec![Outcome::Pending], 1)
    );
    app.store.set(State::Up);
    until(|| app.outcomes() == [Outcome::Success]).await;
}

#[tokio::test]
async fn a_strict_request_whose_client_leaves_is_completed_as_aborted() {
    let store = Switch::new(State::Up);
    let auditor = Auditor::new(store.clone());
    let started = Arc::new(Semaphore::new(0));
    let start = Arc::clone(&started);
    let handler = move || async move {
        start.add_permits(1);
        std::future::pending::<()>().await
    };
    let router: Router = Router::new()
        .route(
            "/things/{id}",
            post(handler.layer(audited("thing.do").mode(Mode::Strict))),
        )
        .layer(AuditLayer::new(&auditor));
    let server = Server::start(router).await;
    let mut client = server.client().await;
    client.request("POST", "/things/7", &[], "").await;
    soon(started.acquire()).await.unwrap().forget();
    assert_eq!(store.rows.events()[0].outcome(), Outcome::Pending);
    drop(client);
    until(|| store.rows.events()[0].outcome() == Outcome::Aborted).await;
}

#[tokio::test]
async fn a_strict_handler_that_panics_is_completed_as_a_failure() {
    let store = Switch::new(State::Up);
    let auditor = Auditor::new(store.clone());
    async fn panics() {
        panic!("as the test says")
    }
    let handler = panics.layer(audited("thing.do").mode(Mode::Strict));
    let router: Router = Router::new()
        .route("/things/{id}", post(handler))
        .layer(AuditLayer::new(&auditor));
    let call = tokio::spawn(router.oneshot(request()));
    assert!(soon(call).await.unwrap_err().is_panic());
    soon(auditor.flush()).await;
    let rows = store.rows.events();
    assert_eq!(
        (rows.len(), rows[0].outcome(), rows[0].reason()),
        (1, Outcome::Failure, Some("panic"))
    );
}

#[tokio::test]
async fn in_strict_mode_it_is_too_late_to_skip() {
    let store = Switch::new(State::Up);
    let handler = |audit: AuditContext| async move { audit.skip() };
    let router: Router = Router::new()
        .route(
            "/things/{id}",
            post(handler.layer(audited("thing.do").mode(Mode::Strict))),
        )
        .layer(AuditLayer::new(Auditor::new(store.clone())));
    soon(router.oneshot(request())).await.unwrap();
    assert_eq!(store.rows.events()[0].outcome(), Outcome::Success);
}

#[tokio::test]
async fn a_durable_handler_may_skip_and_then_nobody_waits() {
    let store = Switch::new(State::Hangs);
    let auditor = Auditor::new(store.clone());
    let handler = |audit: AuditContext| async move { audit.skip() };
    let router: Router = Router::new()
        .route(
            "/things/{id}",
            post(handler.layer(audited("thing.do").mode(Mode::Durable))),
        )
        .layer(AuditLayer::new(&auditor));
    let response = soon(router.oneshot(request())).await.unwrap();
    assert_eq!(
        (response.status(), auditor.stats().accepted),
        (StatusCode::OK, 0)
    );
}

#[tokio::test]
async fn what_a_layer_inside_refuses_before_a_strict_handler_is_an_ordinary_row() {
    let app = App::new(Mode::Strict, State::Up);
    let deny = from_fn(|_: axum::extract::Request, _: Next| ready(StatusCode::UNAUTHORIZED));
    let handler = (|| async {}).layer(audited("thing.do").mode(Mode::Strict));
    let router: Router = Router::new()
        .route("/things/{id}", post(handler))
        .layer(deny)
        .layer(AuditLayer::new(&app.auditor));
    soon(router.oneshot(request())).await.unwrap();
    soon(app.auditor.flush()).await;
    assert_eq!(
        (app.outcomes(), app.auditor.stats().accepted),
        (vec![Outcome::Denied], 1)
    );
}

/// A service that does its work before its future is polled.
fn eager(
    runs: &Arc<AtomicUsize>,
) -> impl tower::Service<
    Request<Body>,
    Response = Response<Body>,
    Error = Infallible,
    Future = std::future::Ready<Result<Response<Body>, Infallible>>,
> + Clone {
    let runs = Arc::clone(runs);
    service_fn(move |_: Request<Body>| {
        runs.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(Body::empty())))
    })
}

#[tokio::test]
async fn a_service_that_works_in_call_is_held_back_too() {
    let (store, runs) = (Switch::new(State::Down), Arc::new(AtomicUsize::new(0)));
    let auditor = Auditor::builder().delivery(impatient()).start(store);
    let annotation = audited("thing.do").mode(Mode::Strict);
    let layer = AuditLayer::new(auditor).route(Method::POST, "/things/{id}", annotation);
    let response = soon(layer.layer(eager(&runs)).oneshot(request()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_mode_of_the_layer_holds_for_every_request_that_is_recorded_for_certain() {
    let store = Switch::new(State::Hangs);
    let auditor = Auditor::builder().delivery(quick()).start(store.clone());
    let router: Router = Router::new()
        .route("/things/{id}", post(|| async {}).get(|| async {}))
        .layer(AuditLayer::new(&auditor).mode(Mode::Durable));
    let read = Request::get("/things/7").body(Body::empty()).unwrap();
    soon(router.clone().oneshot(read)).await.unwrap();
    let call = tokio::spawn(router.oneshot(request()));
    until(|| auditor.stats().in_flight == 1).await;
    assert!(!call.is_finished());
    store.set(State::Up);
    soon(call).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_layer_inside_another_one_raises_the_mode_but_records_nothing_itself() {
    let (outer, inner) = (Switch::new(State::Up), Switch::new(State::Up));
    let rows = outer.rows.clone();
    let handler = move || async move {
        assert_eq!(rows.events()[0].outcome(), Outcome::Pending);
    };
    let router: Router = Router::new()
        .route("/things/{id}", post(handler))
        .layer(AuditLayer::new(Auditor::new(inner.clone())).mode(Mode::Strict))
        .layer(AuditLayer::new(Auditor::new(outer.clone())));
    soon(router.oneshot(request())).await.unwrap();
    assert_eq!(outer.rows.events()[0].outcome(), Outcome::Success);
    assert!(inner.rows.events().is_empty());
}

#[tokio::test]
async fn a_mode_without_a_layer_around_it_runs_no_handler() {
    let runs = Arc::new(AtomicUsize::new(0));
    let service = audited("thing.do").mode(Mode::Durable).layer(eager(&runs));
    let response = soon(service.oneshot(request())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.extensions().get(), Some(&Refused::NoLayer));
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[test]
fn an_unaudited_route_cannot_have_a_mode() {
    let panic = std::panic::catch_unwind(|| unaudited().mode(Mode::Strict)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("has no record that could be Strict"),
        "{message}"
    );
}

#[tokio::test]
async fn with_the_policy_reject_a_full_queue_refuses_requests_and_loses_no_record() {
    let settings = quick()
        .capacity(1.try_into().unwrap())
        .overflow(Overflow::Reject);
    let app = App::with(Mode::Background, State::Hangs, settings, None);
    let annotated = audited("thing.do").target("thing", "id");
    let layer = AuditLayer::new(&app.auditor).route(Method::POST, "/things/{id}", annotated);
    let runs = Arc::new(AtomicUsize::new(0));
    let service = layer.layer(eager(&runs));
    let statuses = [
        soon(service.clone().oneshot(request()))
            .await
            .unwrap()
            .status(),
        soon(service.oneshot(request())).await.unwrap().status(),
    ];
    assert_eq!(statuses, [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
    let stats = app.auditor.stats();
    assert_eq!(
        (
            runs.load(Ordering::SeqCst),
            stats.refused,
            stats.dropped.total()
        ),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn pending_rows_that_nobody_completes_become_unknown() {
    let store = Switch::new(State::Up);
    let auditor = Auditor::builder()
        .delivery(quick().pending_timeout(Duration::ZERO))
        .start(store.clone());
    let pending = crate::support::events::builder(1).outcome(Outcome::Pending);
    auditor.record_durable(pending.build()).await.unwrap();
    assert_eq!(store.rows.events()[0].outcome(), Outcome::Pending);
    let strict = audited("thing.do").mode(Mode::Strict);
    let _layer = AuditLayer::new(&auditor).route(Method::POST, "/things/{id}", strict);
    until(|| store.rows.events()[0].outcome() == Outcome::Unknown).await;
    until(|| auditor.stats().reaped == 1).await;
}

#[tokio::test]
async fn the_mode_of_the_layer_holds_for_an_annotated_read_too() {
    let store = Switch::new(State::Up);
    let rows = store.rows.clone();
    let handler = move || async move {
        assert_eq!(rows.events()[0].outcome(), Outcome::Pending);
        assert_eq!(rows.events()[0].action(), "secret.read");
    };
    let router: Router = Router::new()
        .route(
            "/secret",
            axum::routing::get(handler.layer(audited("secret.read"))),
        )
        .layer(AuditLayer::new(Auditor::new(store.clone())).mode(Mode::Strict));
    let read = Request::get("/secret").body(Body::empty()).unwrap();
    soon(router.oneshot(read)).await.unwrap();
    assert_eq!(store.rows.events()[0].outcome(), Outcome::Success);
}

#[tokio::test]
async fn with_the_policy_reject_an_annotated_read_that_has_no_room_does_not_run() {
    let settings = quick()
        .capacity(1.try_into().unwrap())
        .overflow(Overflow::Reject);
    let app = App::with(Mode::Background, State::Hangs, settings, None);
    app.auditor.record(crate::support::events::event(1));
    let response = app.call().await;
    assert_eq!(refused(&response), Some(NotKept::Full));
    assert_eq!((app.runs(), app.auditor.stats().dropped.total()), (0, 0));
}

#[tokio::test]
async fn strict_requests_that_wait_for_room_do_not_stand_in_each_others_way() {
    let settings = quick()
        .capacity(4.try_into().unwrap())
        .overflow(Overflow::Wait(Duration::from_secs(50)));
    let app = App::with(Mode::Strict, State::Up, settings, None);
    let calls: Vec<_> = (0..100).map(|_| app.spawn()).collect();
    for call in calls {
        assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!((app.runs(), app.auditor.stats().written), (100, 200));
}

#[tokio::test]
async fn a_queue_that_could_never_take_a_strict_request_is_refused_when_it_is_built() {
    let settings = quick().capacity(1.try_into().unwrap());
    let app = App::with(Mode::Background, State::Up, settings, None);
    let build = || AuditLayer::new(&app.auditor).mode(Mode::Strict);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(build)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("a capacity of at least 2 events"),
        "{message}"
    );
}

#[tokio::test]
async fn a_refused_request_waits_once_and_is_not_unconfirmed() {
    let app = App::with(Mode::Strict, State::Hangs, impatient(), None);
    assert_eq!(app.call().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let stats = app.auditor.stats();
    assert_eq!((stats.refused, stats.unconfirmed), (1, 0));
}

#[tokio::test]
async fn a_handler_cannot_leave_its_row_pending() {
    let store = Switch::new(State::Up);
    let handler = |audit: AuditContext| async move { audit.outcome(Outcome::Pending) };
    let router: Router = Router::new()
        .route(
            "/things/{id}",
            post(handler.layer(audited("thing.do").mode(Mode::Strict))),
        )
        .layer(AuditLayer::new(Auditor::new(store.clone())));
    soon(router.oneshot(request())).await.unwrap();
    assert_eq!(store.rows.events()[0].outcome(), Outcome::Success);
}

#[tokio::test]
async fn a_user_who_may_not_complete_rows_has_strict_requests_refused_and_the_others_recorded() {
    use crate::support::database::Postgres;
    use sqlx::{AssertSqlSafe, Executor as _};
    let database = Postgres::migrated().await;
    let role = format!("writer_{}", uuid::Uuid::now_v7().simple());
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA control_plane TO {role};
         GRANT INSERT ON control_plane.audit_logs TO {role}"
    );
    database.pool.execute(AssertSqlSafe(grants)).await.unwrap();
    let options = database.options.clone().username(&role);
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy_with(options);
    let auditor = Auditor::builder()
        .delivery(quick())
        .start(tower_audit::PgStore::new(pool.clone()));
    let runs = Arc::new(AtomicUsize::new(0));
    let strict = audited("thing.do").mode(Mode::Strict);
    let layer = AuditLayer::new(&auditor).route(Method::POST, "/things/{id}", strict);
    let service = layer.layer(eager(&runs));
    let response = soon(service.clone().oneshot(request())).await.unwrap();
    assert_eq!(refused(&response), Some(NotKept::Rejected));
    let other = Request::put("/other").body(Body::empty()).unwrap();
    soon(service.oneshot(other)).await.unwrap();
    soon(auditor.flush()).await;
    assert_eq!(
        (runs.load(Ordering::SeqCst), auditor.stats().written),
        (1, 1)
    );
    pool.close().await;
    let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    database.pool.execute(AssertSqlSafe(gone)).await.unwrap();
}

#[tokio::test]
async fn a_request_that_was_given_up_while_it_waited_for_more_room_is_counted() {
    let store = Switch::new(State::Hangs);
    let settings = quick()
        .capacity(3.try_into().unwrap())
        .overflow(Overflow::Wait(Duration::from_secs(50)))
        .write_timeout(Duration::from_secs(50));
    let auditor = Auditor::builder().delivery(settings).start(store.clone());
    for _ in 0..2 {
        let other = tower_audit::AuditEvent::builder(Actor::system(), "other", Target::none());
        auditor.record(other.build());
    }
    // The layer has the last room; the annotation gives it back, and wants two.
    let strict = (async || {}).layer(audited("thing.do").mode(Mode::Strict));
    let impatient = async |req: axum::extract::Request, next: Next| {
        let answer = timeout(Duration::from_millis(20), next.run(req)).await;
        answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
    };
    let router: Router = Router::new()
        .route("/things/{id}", post(strict))
        .layer(from_fn(impatient))
        .layer(AuditLayer::new(&auditor).mode(Mode::Durable));
    let response = soon(router.oneshot(request())).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    let stats = auditor.stats();
    assert_eq!((stats.accepted, stats.unconfirmed), (3, 1), "{stats}");
}
