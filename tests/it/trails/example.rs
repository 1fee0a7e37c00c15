//! The example `ai-chat`, over HTTP.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::body::{Body, HttpBody as _};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use tower_audit::{EventReader as _, Filter, Outcome, PageSize, Seek, SqliteStore};
use tower_audit_ai::{Trail, TrailStatus, Usage};

use super::support::id;
use crate::support::{database::Sqlite, soon};

struct Chat {
    app: ai_chat::App,
    database: Sqlite,
}

impl Chat {
    async fn start() -> Self {
        let database = Sqlite::fresh().await;
        let app = ai_chat::app(database.pool.clone(), Duration::ZERO)
            .await
            .unwrap();
        Self { app, database }
    }

    async fn call(&self, req: Request<Body>) -> Response<Body> {
        soon(self.app.router.clone().oneshot(req)).await.unwrap()
    }

    async fn ask(&self, text: &str) -> Response<Body> {
        let question = serde_json::json!({ "text": text }).to_string();
        let req = Request::post("/projects/demo/chat")
            .header("authorization", "Bearer demo-alice")
            .header("content-type", "application/json");
        let answer = self.call(req.body(Body::from(question)).unwrap()).await;
        assert_eq!(answer.status(), 200);
        answer
    }

    async fn look(&self, path: &str) -> String {
        let req = Request::get(path).header("authorization", "Bearer demo-auditor");
        let answer = self.call(req.body(Body::empty()).unwrap()).await;
        let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    async fn trail(&self, message: &str) -> Trail {
        soon(self.app.trails.flush()).await;
        self.app.trails.get(&id(message)).await.unwrap().unwrap()
    }

    /// Returns how the newest chat ended, as the audit trail says.
    async fn outcome(&self) -> (String, Outcome) {
        soon(self.app.auditor.flush()).await;
        let store = SqliteStore::new(self.database.pool.clone());
        let filter = Filter::new().action("chat.ask");
        let page = store
            .page(&filter, Seek::Newest, PageSize::MAX)
            .await
            .unwrap();
        (page.events[0].id().to_string(), page.events[0].outcome())
    }
}

fn message(answer: &Response<Body>) -> String {
    let message = answer.headers()["x-message-id"].to_str().unwrap();
    message.to_owned()
}

#[tokio::test]
async fn an_answer_is_streamed_and_its_call_hangs_on_its_request() {
    let chat = Chat::start().await;
    let answer = chat.ask("say this again").await;
    let message = message(&answer);
    let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(
        body,
        "data: say\n\ndata: this\n\ndata: again\n\nevent: end\ndata: done\n\n"
    );
    let trail = chat.trail(&message).await;
    assert_eq!(trail.status, TrailStatus::Completed);
    assert_eq!(trail.usage, Some(Usage::new(15, 3)));
    assert_eq!(trail.served_model.as_deref(), Some("parrot-large-2026-11"));
    let computed = trail.computed_cost.unwrap();
    assert_eq!(computed.total().to_string(), "0.00009");
    assert_eq!(trail.actor.unwrap().id(), "alice");
    let (event, outcome) = chat.outcome().await;
    assert_eq!(trail.event_id.unwrap().to_string(), event);
    assert_eq!(outcome, Outcome::Success);
    let page = chat.look(&format!("/audit/view/ai/calls/{message}")).await;
    assert!(
        page.contains("I shall say them again") && page.contains(&event),
        "{page}"
    );
    let project = chat.look("/audit/view/ai/projects/demo").await;
    assert!(project.contains("0.00009 USD"), "{project}");
    let totals = chat.look("/audit/ai/projects/demo/analytics").await;
    let totals: Value = serde_json::from_str(&totals).unwrap();
    assert_eq!(totals["total"]["completed"], 1);
}

#[tokio::test]
async fn a_client_that_leaves_midway_leaves_a_call_that_failed_with_what_passed() {
    let chat = Chat::start().await;
    let answer = chat.ask("one two three four").await;
    let message = message(&answer);
    let mut body = answer.into_body();
    for _ in 0..2 {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        soon(frame).await.unwrap().unwrap();
    }
    drop(body);
    let trail = chat.trail(&message).await;
    assert_eq!(trail.status, TrailStatus::Failed);
    assert_eq!(trail.usage, Some(Usage::new(0, 2)));
    let said = trail.error.unwrap();
    assert!(said.contains("before the call did"), "{said}");
    let (_, outcome) = chat.outcome().await;
    assert_eq!(outcome, Outcome::Aborted);
}
