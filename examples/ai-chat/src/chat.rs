//! The chat.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response, Sse, sse::Event},
};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use tower_audit::AuditContext;
use tower_audit_ai::{Call, SqliteTrails, Trail, Trails};
use uuid::Uuid;

use crate::{
    auth::AuthUser,
    model::{self, Piece},
};

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) trails: Trails<SqliteTrails>,
    pub(crate) word: Duration,
}

#[derive(Deserialize)]
pub(crate) struct Question {
    text: String,
}

/// Answers word by word, as server-sent events. The trail hangs on the audit event of the request.
pub(crate) async fn chat(
    _user: AuthUser,
    audit: AuditContext,
    State(Service { trails, word }): State<Service>,
    Path(project): Path<String>,
    Json(question): Json<Question>,
) -> Response {
    let message = format!("msg_{}", Uuid::now_v7().simple());
    audit.action("chat.ask");
    audit.target("project", project.as_str());
    let placeholder = match Trail::placeholder(&message, project, model::NAME) {
        Ok(placeholder) => placeholder,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let call = trails.start(placeholder.context_layers(1).context(&audit));
    let answer = model::ask(&question.text, word);
    let headers = [("x-message-id", message)];
    (headers, Sse::new(told(call, answer))).into_response()
}

/// Passes an answer on, and counts what passes. The call goes with the stream: if that is dropped, because the client has left, it is recorded
/// as failed with the tokens that passed.
fn told(
    call: Call,
    answer: impl Stream<Item = Piece> + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    stream::unfold(
        (Some(call), Box::pin(answer)),
        |(call, mut answer)| async move {
            let mut call = call?;
            let (event, call) = match answer.next().await? {
                Piece::Token(token) => {
                    call.streamed(1);
                    (Event::default().data(token), Some(call))
                }
                Piece::End(usage, thought) => {
                    call.served_by(model::SERVED);
                    call.complete(Some(usage), None, thought);
                    (Event::default().event("end").data("done"), None)
                }
            };
            Some((Ok(event), (call, answer)))
        },
    )
}
