//! Exactly one event a request, whatever becomes of it: over a real socket wherever one is needed.

use std::{convert::Infallible, future::pending, sync::Arc, task::Poll, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, StatusCode, header::CONTENT_LENGTH},
    middleware::{Next, from_fn},
    routing::{delete, get, post},
};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::{Notify, Semaphore};
use tower::{Layer, ServiceExt, service_fn};
use tower_audit::{
    AuditContext, AuditEvent, AuditLayer, Auditor, DeliverySettings, MemoryStore, Outcome,
    Overflow, Policy,
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::support::{
    server::{Server, Trail},
    soon,
};

fn told(event: &AuditEvent) -> (Outcome, Option<u16>, Option<&str>) {
    (event.outcome(), event.status(), event.reason())
}

#[tokio::test]
async fn each_status_is_one_row_with_its_outcome() {
    for (status, outcome) in [
        (200, Outcome::Success),
        (201, Outcome::Success),
        (204, Outcome::Success),
        (303, Outcome::Success),
        (304, Outcome::Success),
        (400, Outcome::Failure),
        (401, Outcome::Denied),
        (403, Outcome::Denied),
        (404, Outcome::Failure),
        (422, Outcome::Failure),
        (500, Outcome::Failure),
        (503, Outcome::Failure),
    ] {
        let trail = Trail::new();
        let answer = move || async move { StatusCode::from_u16(status).unwrap() };
        let server = Server::start(
            Router::new()
                .route("/", post(answer))
                .layer(trail.layer.clone()),
        )
        .await;
        let answer = server.client().await.call("POST", "/", &[], "").await;
        assert_eq!(answer.status, status);
        assert_eq!(
            told(&trail.only_event().await),
            (outcome, Some(status), None)
        );
    }
}

#[tokio::test]
async fn a_method_that_the_route_does_not_have_is_one_row() {
    let trail = Trail::new();
    let server = Server::start(
        Router::new()
            .route("/things/{id}", get(|| async {}))
            .layer(trail.layer.clone()),
    )
    .await;
    server
        .client()
        .await
        .call("DELETE", "/things/7", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(told(&event), (Outcome::Failure, Some(405), None));
    assert_eq!((event.action(), event.target().id()), ("thing.delete", "7"));
}

#[tokio::test]
async fn a_path_that_no_route_has_is_one_row() {
    let trail = Trail::new();
    let server = Server::start(
        Router::new()
            .route("/", get(|| async {}))
            .layer(trail.layer.clone()),
    )
    .await;
    server
        .client()
        .await
        .call("POST", "/wp-login.php?user=admin", &[], "")
        .await;
    let event = trail.only_event().await;
    assert_eq!(
        (event.status(), event.action(), event.route()),
        (Some(404), "http.post", None)
    );
    assert_eq!(event.path(), Some("/wp-login.php"));
}

#[tokio::test]
async fn an_error_of_the_service_is_one_row() {
    let trail = Trail::new();
    let fails = service_fn(|_: Request<()>| async { Err::<Response<Empty<Bytes>>, _>("broken") });
    let request = Request::put("/").body(()).unwrap();
    assert!(
        trail
            .layer
            .any_body()
            .layer(fails)
            .oneshot(request)
            .await
            .is_err()
    );
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Failure, None, Some("service_error"))
    );
}

async fn panics() {
    panic!("as the test wants it");
}

#[tokio::test]
async fn a_panic_is_one_row() {
    let trail = Trail::new();
    let server = Server::start(
        Router::new()
            .route("/", post(panics))
            .layer(trail.layer.clone()),
    )
    .await;
    let mut client = server.client().await;
    client.request("POST", "/", &[], "").await;
    client.closed().await;
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Failure, None, Some("panic"))
    );
}

#[tokio::test]
async fn a_panic_that_is_caught_outside_of_the_layer_is_one_row() {
    let trail = Trail::new();
    let app = Router::new()
        .route("/", post(panics))
        .layer(trail.layer.clone())
        .layer(CatchPanicLayer::new());
    let answer = Server::start(app)
        .await
        .client()
        .await
        .call("POST", "/", &[], "")
        .await;
    assert_eq!(answer.status, 500);
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Failure, None, Some("panic"))
    );
}

#[tokio::test]
async fn a_panic_that_is_caught_inside_of_the_layer_is_one_row_and_keeps_what_the_handler_said() {
    let trail = Trail::new();
    let says_and_panics = |audit: AuditContext| async move {
        audit.target_id("7");
        panics().await;
    };
    let app = Router::new()
        .route("/things", post(says_and_panics))
        .layer(CatchPanicLayer::new());
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let answer = server.client().await.call("POST", "/things", &[], "").await;
    assert_eq!(answer.status, 500);
    let event = trail.only_event().await;
    assert_eq!(
        (told(&event), event.target().id()),
        ((Outcome::Failure, Some(500), None), "7")
    );
}

#[tokio::test]
async fn a_panic_before_the_first_poll_is_one_row() {
    let trail = Trail::new();
    let service = service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Empty<Bytes>>, Infallible>> {
            panic!("as the test wants it")
        },
    );
    let call = trail
        .layer
        .any_body()
        .layer(service)
        .oneshot(Request::post("/").body(()).unwrap());
    assert!(tokio::spawn(call).await.unwrap_err().is_panic());
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Failure, None, Some("panic"))
    );
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_is_one_row_with_what_the_handler_said() {
    let trail = Trail::new();
    let started = Arc::new(Notify::new());
    let handler = {
        let started = Arc::clone(&started);
        move |audit: AuditContext| async move {
            audit.metadata("committed", true);
            started.notify_one();
            pending::<()>().await;
        }
    };
    let server = Server::start(
        Router::new()
            .route("/jobs", post(handler))
            .layer(trail.layer.clone()),
    )
    .await;
    let mut client = server.client().await;
    client.request("POST", "/jobs", &[], "").await;
    soon(started.notified()).await;
    drop(client);
    let event = trail.only_event().await;
    assert_eq!(told(&event), (Outcome::Aborted, None, None));
    assert_eq!(event.metadata().get("committed").unwrap(), true);
}

#[tokio::test]
async fn a_request_that_a_timeout_outside_drops_is_one_row() {
    let trail = Trail::new();
    let never =
        service_fn(|_: Request<()>| pending::<Result<Response<Empty<Bytes>>, Infallible>>());
    let call = trail
        .layer
        .any_body()
        .layer(never)
        .oneshot(Request::post("/").body(()).unwrap());
    assert!(
        tokio::time::timeout(Duration::from_millis(1), call)
            .await
            .is_err()
    );
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Aborted, None, None)
    );
}

/// A body of one chunk that then waits for ever.
fn endless_body() -> Body {
    let mut chunk = Some(Bytes::from("first"));
    let frames = std::iter::from_fn(move || chunk.take());
    Body::new(Stalling { frames, end: None })
}

/// Yields the frames, and then the end, if there is one.
struct Stalling<I> {
    frames: I,
    end: Option<Result<(), &'static str>>,
}

impl<I: Iterator<Item = Bytes> + Unpin> http_body::Body for Stalling<I> {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.frames.next(), self.end) {
            (Some(chunk), _) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            (None, None) => Poll::Pending,
            (None, Some(Ok(()))) => Poll::Ready(None),
            (None, Some(Err(error))) => Poll::Ready(Some(Err(error))),
        }
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_midway_is_one_row_with_the_status_that_was_sent() {
    let trail = Trail::new();
    let app = Router::new()
        .route("/export", post(|| async { endless_body() }))
        .layer(trail.layer.clone());
    let server = Server::start(app).await;
    let mut client = server.client().await;
    client.request("POST", "/export", &[], "").await;
    client.read_until("first").await;
    drop(client);
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Aborted, Some(200), None)
    );
}

#[tokio::test]
async fn a_body_that_fails_midway_is_one_row() {
    let trail = Trail::new();
    let failing = || {
        Body::new(Stalling {
            frames: [Bytes::from("first")].into_iter(),
            end: Some(Err("broken")),
        })
    };
    let app = Router::new()
        .route("/export", post(move || async move { failing() }))
        .layer(trail.layer.clone());
    let server = Server::start(app).await;
    let mut client = server.client().await;
    client.request("POST", "/export", &[], "").await;
    client.closed().await;
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Failure, Some(200), Some("body_error"))
    );
}

#[tokio::test]
async fn a_body_that_panics_is_one_row() {
    let trail = Trail::new();
    let frames = || std::iter::from_fn(|| -> Option<Bytes> { panic!("as the test wants it") });
    let body = move || async move {
        Body::new(Stalling {
            frames: frames(),
            end: None,
        })
    };
    let server = Server::start(
        Router::new()
            .route("/export", post(body))
            .layer(trail.layer.clone()),
    )
    .await;
    let mut client = server.client().await;
    client.request("POST", "/export", &[], "").await;
    client.closed().await;
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Failure, Some(200), Some("panic"))
    );
}

#[tokio::test]
async fn a_streamed_body_that_ends_is_a_success() {
    let trail = Trail::new();
    let chunks = || [Bytes::from("first"), Bytes::from("second")].into_iter();
    let body = move || async move {
        Body::new(Stalling {
            frames: chunks(),
            end: Some(Ok(())),
        })
    };
    let server = Server::start(
        Router::new()
            .route("/export", post(body))
            .layer(trail.layer.clone()),
    )
    .await;
    let mut client = server.client().await;
    client.request("POST", "/export", &[], "").await;
    client.read_until("0\r\n\r\n").await;
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Success, Some(200), None)
    );
}

#[tokio::test]
async fn a_body_is_complete_when_all_that_the_head_announced_was_sent() {
    let trail = Trail::new();
    // The inner body never says that it has ended; the server stops asking after five bytes.
    let answer = || async { ([(CONTENT_LENGTH, "5")], endless_body()) };
    let server = Server::start(
        Router::new()
            .route("/export", post(answer))
            .layer(trail.layer.clone()),
    )
    .await;
    let answer = server.client().await.call("POST", "/export", &[], "").await;
    assert_eq!(answer.body, b"first");
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Success, Some(200), None)
    );
}

/// A body of one chunk and unknown length, that knows when it has ended.
struct OneChunk(Option<Bytes>);

impl http_body::Body for OneChunk {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[tokio::test]
async fn a_body_is_complete_when_it_says_that_it_has_ended() {
    let trail = Trail::new();
    let answers = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(OneChunk(Some(Bytes::from("only")))))
    });
    let response = trail
        .layer
        .any_body()
        .layer(answers)
        .oneshot(Request::post("/").body(()).unwrap())
        .await
        .unwrap();
    let mut body = response.into_body();
    // As a server does: it asks no more once the body says that this was all.
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Success, Some(200), None)
    );
}

#[tokio::test]
async fn a_response_of_announced_length_zero_is_complete() {
    let trail = Trail::new();
    let answer = || async { ([(CONTENT_LENGTH, "0")], endless_body()) };
    let server = Server::start(
        Router::new()
            .route("/", post(answer))
            .layer(trail.layer.clone()),
    )
    .await;
    server.client().await.call("POST", "/", &[], "").await;
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Success, Some(200), None)
    );
}

#[tokio::test]
async fn a_response_to_head_is_complete_without_its_body() {
    let trail = Trail::new().with(|layer| layer.policy(Policy::everything()));
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(trail.layer.clone());
    let server = Server::start(app).await;
    assert_eq!(
        server
            .client()
            .await
            .call("HEAD", "/", &[], "")
            .await
            .status,
        200
    );
    let event = trail.only_event().await;
    assert_eq!(
        (told(&event), event.method()),
        ((Outcome::Success, Some(200), None), Some("HEAD"))
    );
}

#[tokio::test]
async fn bodies_pass_through_byte_for_byte() {
    let trail = Trail::new();
    let app = Router::new()
        .route("/echo", post(|body: Bytes| async move { body }))
        .layer(trail.layer.clone());
    let server = Server::start(app).await;
    let body = "0123456789abcdef".repeat(65_536);
    assert_eq!(
        server
            .client()
            .await
            .call("POST", "/echo", &[], &body)
            .await
            .body,
        body.as_bytes()
    );
    trail.only_event().await;
}

#[tokio::test]
async fn requests_on_one_connection_are_one_row_each() {
    let trail = Trail::new();
    let server = Server::start(
        Router::new()
            .route("/", delete(|| async {}))
            .layer(trail.layer.clone()),
    )
    .await;
    let mut client = server.client().await;
    for _ in 0..5 {
        client.call("DELETE", "/", &[], "").await;
    }
    trail.layer.auditor().flush().await;
    assert_eq!(trail.store.events().len(), 5);
}

#[tokio::test]
async fn a_plain_read_is_no_row() {
    let trail = Trail::new();
    let server = Server::start(
        Router::new()
            .route("/", get(|| async { "hello" }))
            .layer(trail.layer.clone()),
    )
    .await;
    server.client().await.call("GET", "/", &[], "").await;
    server.client().await.call("GET", "/nowhere", &[], "").await;
    trail.assert_empty().await;
}

#[tokio::test]
async fn a_read_that_is_denied_is_one_row() {
    let trail = Trail::new();
    let denied = get(|| async { StatusCode::FORBIDDEN });
    let server = Server::start(Router::new().route("/", denied).layer(trail.layer.clone())).await;
    server.client().await.call("GET", "/", &[], "").await;
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Denied, Some(403), None)
    );
}

#[tokio::test]
async fn a_handler_may_leave_its_request_out_of_the_trail_and_put_it_in() {
    let trail = Trail::new();
    let app = Router::new()
        .route(
            "/noise",
            post(|audit: AuditContext| async move { audit.skip() }),
        )
        .route(
            "/secret",
            get(|audit: AuditContext| async move { audit.record() }),
        )
        .layer(trail.layer.clone());
    let server = Server::start(app).await;
    server.client().await.call("POST", "/noise", &[], "").await;
    server.client().await.call("GET", "/secret", &[], "").await;
    assert_eq!(trail.only_event().await.path(), Some("/secret"));
}

#[tokio::test]
async fn two_layers_around_one_request_are_one_row() {
    let trail = Trail::new();
    let app = Router::new()
        .route("/", post(|| async {}))
        .layer(trail.layer.clone())
        .layer(trail.layer.clone());
    Server::start(app)
        .await
        .client()
        .await
        .call("POST", "/", &[], "")
        .await;
    trail.only_event().await;
}

#[tokio::test]
async fn a_plain_tower_service_is_audited_too() {
    let trail = Trail::new();
    let service = service_fn(|req: Request<Full<Bytes>>| async move {
        Ok::<_, Infallible>(Response::new(req.into_body()))
    });
    let request = Request::builder()
        .method(Method::DELETE)
        .uri("/a/b")
        .body(Full::from("echo"))
        .unwrap();
    let response = trail
        .layer
        .any_body()
        .layer(service)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "echo"
    );
    let event = trail.only_event().await;
    assert_eq!(
        (event.action(), event.path(), event.outcome()),
        ("http.delete", Some("/a/b"), Outcome::Success)
    );
}

#[tokio::test]
async fn a_hyper_server_without_axum_is_audited_too() {
    use hyper::{body::Incoming, server::conn::http1};
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};

    let trail = Trail::new();
    let echo = service_fn(|req: Request<Incoming>| async move {
        Ok::<_, Infallible>(Response::new(req.into_body()))
    });
    let service = TowerToHyperService::new(trail.layer.any_body().layer(echo));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await
    });
    let answer = crate::support::http::Client::connect(address)
        .await
        .call("PUT", "/a/b", &[], "hello")
        .await;
    assert_eq!(answer.body, b"hello");
    soon(server).await.unwrap().unwrap();
    let event = trail.only_event().await;
    assert_eq!((event.action(), event.path()), ("http.put", Some("/a/b")));
    assert_eq!(told(&event), (Outcome::Success, Some(200), None));
}

/// A store that takes nothing until the gate opens.
#[derive(Clone)]
struct Gated(Arc<Semaphore>, MemoryStore);

impl tower_audit::EventWriter for Gated {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), tower_audit::StoreError> {
        self.0.acquire().await.unwrap().forget();
        self.1.append(batch).await
    }

    async fn check(&self) -> Result<tower_audit::store::StoreStatus, tower_audit::StoreError> {
        Ok(tower_audit::store::StoreStatus::default())
    }

    async fn reap(&self, _: chrono::DateTime<chrono::Utc>) -> Result<u64, tower_audit::StoreError> {
        Ok(0)
    }
}

#[tokio::test]
async fn a_request_that_waits_for_room_runs_its_handler_only_then() {
    let (gate, store) = (Arc::new(Semaphore::new(0)), MemoryStore::new());
    let settings = DeliverySettings::new().capacity(1.try_into().unwrap());
    let settings = settings.overflow(Overflow::Wait(Duration::from_secs(3_600)));
    let auditor = Auditor::builder()
        .delivery(settings)
        .start(Gated(Arc::clone(&gate), store.clone()));
    let (arrived, ran) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let count = |counter: &Arc<Semaphore>| {
        let counter = Arc::clone(counter);
        move || counter.add_permits(1)
    };
    let (arrive, run) = (count(&arrived), count(&ran));
    let app = Router::new()
        .route("/", post(move || async move { run() }))
        .layer(AuditLayer::new(&auditor))
        .layer(from_fn(move |req, next: Next| {
            arrive();
            next.run(req)
        }));
    let server = Server::start(app).await;
    server.client().await.call("POST", "/", &[], "").await;
    let mut second = server.client().await;
    second.request("POST", "/", &[], "").await;
    // All of this is one thread: whoever has arrived has also been as far as it could get.
    soon(arrived.acquire_many(2)).await.unwrap().forget();
    assert_eq!(ran.available_permits(), 1);
    gate.add_permits(2);
    assert_eq!(soon(second.head()).await.0, 200);
    soon(store.wait_for(2)).await;
    assert_eq!(
        (ran.available_permits(), auditor.stats().dropped.total()),
        (2, 0)
    );
}

/// A body that begins, and then waits until it is dropped.
fn endless() -> Body {
    let first = tokio_stream::iter([Ok::<_, Infallible>(Bytes::from("first"))]);
    Body::from_stream(tokio_stream::StreamExt::chain(
        first,
        tokio_stream::pending(),
    ))
}

#[tokio::test]
async fn what_was_refused_stays_refused_if_the_client_does_not_wait_for_all_of_the_answer() {
    for (status, outcome) in [
        (StatusCode::UNAUTHORIZED, Outcome::Denied),
        (StatusCode::FORBIDDEN, Outcome::Denied),
        (StatusCode::NOT_FOUND, Outcome::Failure),
        (StatusCode::OK, Outcome::Aborted),
    ] {
        let trail = Trail::new().with(|layer| layer.policy(Policy::everything()));
        let app = Router::new().route("/", get(async move || (status, endless())));
        let server = Server::start(app.layer(trail.layer.clone())).await;
        let mut client = server.client().await;
        client.request("GET", "/", &[], "").await;
        client.read_until("first").await;
        drop(client);
        assert_eq!(
            told(&trail.only_event().await),
            (outcome, Some(status.as_u16()), None)
        );
    }
}

#[tokio::test]
async fn a_body_with_trailers_is_complete() {
    let trail = Trail::new();
    let handler = async || {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [Frame::data(Bytes::from("done")), Frame::trailers(trailers)];
        let frames = tokio_stream::iter(frames.map(Ok::<_, Infallible>));
        let body = http_body_util::StreamBody::new(frames);
        ([("trailer", "grpc-status")], Body::new(body))
    };
    let app = Router::new().route("/", post(handler));
    let server = Server::start(app.layer(trail.layer.clone())).await;
    let mut client = server.client().await;
    client.request("POST", "/", &["te: trailers"], "").await;
    client.read_until("grpc-status: 0").await;
    assert_eq!(
        told(&trail.only_event().await),
        (Outcome::Success, Some(200), None)
    );
}

#[tokio::test]
async fn what_a_handler_called_denied_stays_denied_if_the_client_does_not_wait() {
    let trail = Trail::new();
    let handler = async |audit: AuditContext| {
        audit.outcome(Outcome::Denied);
        endless()
    };
    let server = Server::start(
        Router::new()
            .route("/", get(handler))
            .layer(trail.layer.clone()),
    )
    .await;
    let mut client = server.client().await;
    client.request("GET", "/", &[], "").await;
    client.read_until("first").await;
    drop(client);
    assert_eq!(trail.only_event().await.outcome(), Outcome::Denied);
}
