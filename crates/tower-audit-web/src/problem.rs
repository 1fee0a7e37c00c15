//! What went wrong, as `application/problem+json` (RFC 9457).

use std::ops::Deref;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tower_audit_core::{
    StoreError,
    search::{Field, SearchError},
};
use utoipa::ToSchema;

use crate::access::Refusal;

/// What went wrong, and what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Facts>);

/// What is said of a problem.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Facts {
    /// Names the kind of problem.
    pub(crate) r#type: &'static str,
    /// What went wrong, in a few words that are the same each time.
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What went wrong this time.
    pub(crate) detail: String,
    /// Which parameter is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    /// Where in the parameter, in characters from 1 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<usize>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    #[serde(skip)]
    challenge: Option<HeaderValue>,
    #[serde(skip)]
    pub(crate) login: Option<String>,
}

impl Facts {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            r#type: kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
            position: None,
            hint: None,
            challenge: None,
            login: None,
        }
    }

    fn hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.to_owned()),
            ..self
        }
    }
}

impl From<Facts> for Problem {
    fn from(facts: Facts) -> Self {
        Self(Box::new(facts))
    }
}

impl Deref for Problem {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl Problem {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Facts::new(status, kind, title, detail).into()
    }

    pub(crate) fn bad_parameter(parameter: &str, detail: impl Into<String>, hint: &str) -> Self {
        let (kind, title) = ("urn:tower-audit:bad-parameter", "A parameter is wrong");
        let facts = Facts::new(StatusCode::BAD_REQUEST, kind, title, detail);
        Facts {
            parameter: Some(parameter.to_owned()),
            ..facts.hint(hint)
        }
        .into()
    }

    pub(crate) fn bad_search(error: &SearchError) -> Self {
        let (kind, title) = ("urn:tower-audit:bad-search", "The search is wrong");
        let facts = Facts::new(StatusCode::BAD_REQUEST, kind, title, error.problem());
        Facts {
            parameter: Some("q".to_owned()),
            position: Some(error.character()),
            ..facts.hint(error.hint())
        }
        .into()
    }

    pub(crate) fn hidden(field: Field) -> Self {
        let (kind, title) = ("urn:tower-audit:hidden", "Personal data is hidden");
        let detail = format!("`{}` is hidden from you", field.key());
        let facts = Facts::new(StatusCode::FORBIDDEN, kind, title, detail);
        let hint = "search for something else, or ask whoever gives access for personal data";
        facts.hint(hint).into()
    }

    pub(crate) fn no_export() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "urn:tower-audit:no-export",
            "No export",
            "you may look at the trail, but not export it",
        )
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "urn:tower-audit:cross-site",
            "Another site asks",
            "the trail does not answer to pages of other sites",
        )
    }

    pub(crate) fn no_such_event() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:tower-audit:no-such-event",
            "There is no such event",
            "no event with this id is there",
        )
    }

    #[cfg(feature = "ai")]
    pub(crate) fn no_such_project() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:tower-audit:no-such-project",
            "There is no such project",
            "no project with this id is there",
        )
    }

    #[cfg(feature = "ai")]
    pub(crate) fn no_such_trail() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:tower-audit:no-such-trail",
            "There is no such call",
            "no call of a model with this message id is there",
        )
    }

    pub(crate) fn no_such_page() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:tower-audit:no-such-page",
            "There is no such page",
            "nothing is here",
        )
    }

    pub(crate) fn bad_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "urn:tower-audit:bad-method",
            "The trail is only read",
            "use GET",
        )
    }

    pub(crate) fn too_many(what: &str) -> Self {
        let (kind, title) = (TOO_MANY, "Too many at once");
        let detail = format!("too many {what} are running, or too many of yours");
        let facts = Facts::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail);
        facts.hint("try again when one of them has ended").into()
    }

    pub(crate) fn not_recorded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:tower-audit:not-recorded",
            "The export cannot be recorded",
            "an export that leaves no trace is not made",
        )
    }

    /// Returns the status, which was one.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

const TOO_MANY: &str = "urn:tower-audit:too-many";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (kind, title, detail) = match refusal.facts.status {
            StatusCode::UNAUTHORIZED => (
                "urn:tower-audit:unauthenticated",
                "Sign in first",
                "nobody knows who you are",
            ),
            StatusCode::FORBIDDEN => (
                "urn:tower-audit:forbidden",
                "No access",
                "you may not see the trail",
            ),
            _ => (
                "urn:tower-audit:unavailable",
                "Not now",
                "whoever decides who may see the trail cannot be asked",
            ),
        };
        Facts {
            challenge: refusal.facts.challenge,
            login: refusal.facts.login,
            ..Facts::new(refusal.facts.status, kind, title, detail)
        }
        .into()
    }
}

impl From<StoreError> for Problem {
    /// What the store said is logged, and for nobody else.
    fn from(error: StoreError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(error = %error, source, "the trail cannot be read");
        let (detail, hint) = match &error {
            StoreError::NotReady { .. } => (
                "the trail is not ready",
                "whoever runs this service finds more in its log",
            ),
            StoreError::Unavailable(_) => (
                "the trail does not answer, or not in time",
                "try again, and ask for less: a shorter time, or one actor or target",
            ),
            _ => (
                "the trail holds something that cannot be read",
                "whoever runs this service finds more in its log",
            ),
        };
        let status = if error.is_transient() {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let (kind, title) = ("urn:tower-audit:store", "The trail cannot be read");
        Facts::new(status, kind, title, detail).hint(hint).into()
    }
}

impl Problem {
    /// Returns what a header says of the problem.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<HeaderValue> {
        match *name {
            header::WWW_AUTHENTICATE => self.challenge.clone(),
            // An export takes a while.
            header::RETRY_AFTER if self.r#type == TOO_MANY => Some(HeaderValue::from_static("60")),
            header::RETRY_AFTER if self.status == 503 => Some(HeaderValue::from_static("5")),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&*self).unwrap_or_default();
        let mut response = (
            self.status(),
            [(header::CONTENT_TYPE, "application/problem+json")],
            body,
        )
            .into_response();
        for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
            if let Some(value) = self.header(&name) {
                response.headers_mut().insert(name, value);
            }
        }
        // For whoever says it in another form.
        response.extensions_mut().insert(self);
        response
    }
}
