//! The style and the script of the viewer. They change with the version alone, and say nothing about anybody.

use http::{HeaderName, header};

pub(crate) async fn style() -> ([(HeaderName, &'static str); 2], &'static str) {
    answer(
        "text/css; charset=utf-8",
        include_str!("../../assets/viewer.css"),
    )
}

pub(crate) async fn script() -> ([(HeaderName, &'static str); 2], &'static str) {
    answer(
        "text/javascript; charset=utf-8",
        include_str!("../../assets/viewer.js"),
    )
}

fn answer(
    content_type: &'static str,
    text: &'static str,
) -> ([(HeaderName, &'static str); 2], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "private, max-age=600"),
    ];
    (headers, text)
}
