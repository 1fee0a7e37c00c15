//! The routes of an OpenAPI document.

use http::Method;
use serde_json::Value;

/// Returns the operations of an OpenAPI document that may change something: their methods and templates.
pub(super) fn mutations(document: &Value) -> Result<Vec<(Method, String)>, OpenApiError> {
    let paths = document.get("paths").and_then(Value::as_object);
    let base = base(document);
    let mut routes = Vec::new();
    for (path, operations) in paths.ok_or(OpenApiError::NoPaths)? {
        if operations.get("$ref").is_some() {
            return Err(OpenApiError::Reference(path.clone()));
        }
        for (key, method) in METHODS {
            if operations.get(key).is_some() {
                routes.push((method, format!("{base}{path}")));
            }
        }
    }
    if routes.is_empty() {
        return Err(OpenApiError::NoMutations);
    }
    Ok(routes)
}

/// Returns the path of the first server, below which the paths are.
fn base(document: &Value) -> &str {
    let url = document.pointer("/servers/0/url").and_then(Value::as_str);
    let url = url.unwrap_or_default();
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    };
    path.trim_end_matches('/')
}

/// Why a document has no routes to check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenApiError {
    /// There is no object `paths`.
    #[error("there is no object `paths`: this is no OpenAPI document")]
    NoPaths,
    /// A path refers to another place in the document.
    #[error("the path {0:?} is a `$ref`, which is not followed: resolve the references first")]
    Reference(String),
    /// No operation may change anything.
    #[error("no path has a post, put, patch or delete, so there is nothing to check")]
    NoMutations,
}

const METHODS: [(&str, Method); 4] = [
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
];
