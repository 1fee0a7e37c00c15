//! Which route a request is on, and what its path is.

use std::{fmt, sync::Arc};

use http::{Extensions, Uri};

/// The template of a route, such as `/projects/{id}`; cheap to clone.
#[derive(Clone)]
pub(crate) enum Template {
    /// What axum's router matched.
    #[cfg(feature = "axum")]
    Matched(axum::extract::MatchedPath),
    /// What the table on the layer says, where no router could be asked.
    Table(Arc<str>),
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
        match self {
            #[cfg(feature = "axum")]
            Self::Matched(path) => path.as_str(),
            Self::Table(path) => path,
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Returns the URI as the client sent it: inside of a nested router the request has a shorter one.
pub(crate) fn original_uri(uri: &Uri, extensions: &Extensions) -> Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = extensions.get::<axum::extract::OriginalUri>() {
        return original.0.clone();
    }
    #[cfg(not(feature = "axum"))]
    let _ = extensions;
    uri.clone()
}
