//! Which route a request is on, and what its path is.

use std::fmt;

use http::{Extensions, Uri};

/// The template of a route, such as `/projects/{id}`, as a router noted it; cheap to clone.
#[derive(Clone)]
pub(crate) enum Template {
    #[cfg(feature = "axum")]
    Matched(axum::extract::MatchedPath),
}

impl Template {
    /// Returns the template that a router noted in the request's extensions.
    #[cfg_attr(
        not(feature = "axum"),
        expect(unused_variables, reason = "only axum notes it")
    )]
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        #[cfg(feature = "axum")]
        return extensions
            .get::<axum::extract::MatchedPath>()
            .cloned()
            .map(Self::Matched);
        #[cfg(not(feature = "axum"))]
        None
    }

    pub(crate) fn as_str(&self) -> &str {
        match *self {
            #[cfg(feature = "axum")]
            Self::Matched(ref path) => path.as_str(),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Returns the template that a router noted in the request's extensions.
#[cfg_attr(
    not(feature = "axum"),
    expect(unused_variables, reason = "only axum notes it")
)]
pub(crate) fn template(extensions: &Extensions) -> Option<&str> {
    #[cfg(feature = "axum")]
    return extensions
        .get::<axum::extract::MatchedPath>()
        .map(axum::extract::MatchedPath::as_str);
    #[cfg(not(feature = "axum"))]
    None
}

/// Returns the URI as the client sent it: inside of a nested router the request has a shorter one.
pub(crate) fn original_uri<'a>(uri: &'a Uri, extensions: &'a Extensions) -> &'a Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    #[cfg(not(feature = "axum"))]
    let _ = extensions;
    uri
}
