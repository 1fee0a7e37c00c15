//! The viewer: pages that the server renders, which work without a script and better with it.

#[cfg(feature = "ai")]
mod ai;
mod assets;
mod calls;
mod changes;
mod chart;
#[cfg(feature = "ai")]
mod costs;
mod detail;
mod failure;
mod links;
mod list;
mod picks;
mod rows;

#[cfg(feature = "ai")]
pub(crate) use ai::{call_page, project_page, projects_page};
pub(crate) use assets::{icon, script, style};
pub(crate) use detail::detail;
pub(crate) use failure::failure;
pub(crate) use list::list;

use std::sync::Arc;

use axum::response::{Html, IntoResponse, Response};

use crate::problem::Problem;

/// Under which path a browser finds the router.
#[derive(Clone, Debug)]
pub(crate) struct Base(pub(crate) Arc<str>);

/// Returns whether the path, below the router, is one of a page.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/view/")
}

/// Renders a page.
fn page(template: &impl askama::Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a page of the audit viewer cannot be rendered");
            Problem::no_such_page().into_response()
        }
    }
}
