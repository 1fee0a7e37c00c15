//! The style, the script and the icon of the viewer. They change with the version alone, and say nothing about anybody.

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

pub(crate) async fn icon() -> ([(HeaderName, &'static str); 2], &'static str) {
    answer("image/svg+xml", include_str!("../../assets/viewer.svg"))
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
