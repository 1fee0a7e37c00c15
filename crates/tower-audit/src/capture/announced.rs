//! What the headers say of a body.

use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};

/// What the headers say of a body.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub(super) kind: Kind,
    pub(super) length: Option<u64>,
    has_type: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    /// JSON, if somebody undoes its encoding, or it has none.
    Encoded,
    Other,
}

impl Announced {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let is_encoded = text(CONTENT_ENCODING)
            .is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity"));
        Self {
            kind: match text(CONTENT_TYPE).is_some_and(is_json) {
                true if is_encoded => Kind::Encoded,
                true => Kind::Json,
                false => Kind::Other,
            },
            length: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            has_type: headers.contains_key(CONTENT_TYPE),
        }
    }

    /// Returns whether the headers say that there is a body.
    pub(super) fn is_announced(&self) -> bool {
        self.has_type || self.length.is_some()
    }
}

/// Returns whether a content type is that of JSON: `application/json`, or one that ends in `+json` (RFC 6839).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
    let is_plain = kind.eq_ignore_ascii_case("application") && subtype.eq_ignore_ascii_case("json");
    is_plain || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "application/vnd.api+JSON ;a=b",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "text/plain",
            "application/jsonp",
            "text/event-stream",
            "application/x-ndjson",
            "json",
            "",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}
