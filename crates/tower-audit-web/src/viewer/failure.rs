//! The page that says what went wrong.

use askama::Template;
use axum::response::Response;
use http::header;

use super::page;
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "failure.html")]
struct Failure<'a> {
    base: &'a str,
    text: &'a str,
    has_ai: bool,
    problem: &'a Problem,
}

/// Returns the page for a problem.
pub(crate) fn failure(base: &str, problem: &Problem) -> Response {
    let mut response = page(&Failure {
        base,
        text: "",
        has_ai: false,
        problem,
    });
    *response.status_mut() = problem.status();
    for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
        if let Some(value) = problem.header(&name) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
