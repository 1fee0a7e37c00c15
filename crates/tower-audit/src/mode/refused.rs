//! What a client is told whose request cannot be recorded.

use std::fmt;

use http::{Response, StatusCode};
use tower_audit_core::delivery::NotKept;

/// Why this library answered a request whose handler did not run. It is in the extensions of the
/// response, so that a layer outside can make an answer of the app's own of it.
///
/// ```
/// use http::Response;
/// use tower_audit::mode::Refused;
///
/// fn in_our_format(response: Response<String>) -> Response<String> {
///     if response.extensions().get::<Refused>().is_some() {
///         return response.map(|_| r#"{"error": "try again later"}"#.to_owned());
///     }
///     response
/// }
/// # let _ = in_our_format;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The record could not be kept: 503.
    NotKept(NotKept),
    /// A route with a [mode](crate::mode) is not inside of an audit layer: 500.
    NoLayer,
}

impl Refused {
    fn status(self) -> StatusCode {
        match self {
            Self::NotKept(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoLayer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn into_response<B>(self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKept(reason) => write!(f, "the request cannot be recorded: {reason}"),
            Self::NoLayer => f.write_str(
                "the annotation of this route has a mode, but no AuditLayer is around it: add the layer after \
                 the route",
            ),
        }
    }
}

impl std::error::Error for Refused {}
