//! The trace id of a W3C `traceparent`.

/// Returns the trace id of a `traceparent` header, or `None` if the header is not valid.
///
/// See <https://www.w3.org/TR/trace-context/#traceparent-header>: `version-traceid-parentid-flags`,
/// in lower-case hexadecimal; later versions may append fields.
pub(super) fn trace_id(header: &str) -> Option<&str> {
    let bytes = header.as_bytes();
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let field = |from: usize, to: usize| {
        let field = bytes.get(from..to)?;
        let is_closed = matches!(bytes.get(to), None | Some(b'-'));
        (is_closed && field.iter().all(is_hex)).then_some(field)
    };
    let is_zero = |field: &[u8]| field.iter().all(|byte| *byte == b'0');
    let (version, trace) = (field(0, 2)?, field(3, 35)?);
    let (parent, _flags) = (field(36, 52)?, field(53, 55)?);
    let is_valid = version != b"ff"
        && (version != b"00" || bytes.len() == 55)
        && !is_zero(trace)
        && !is_zero(parent);
    is_valid.then(|| &header[3..35])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_valid_header_has_a_trace_id() {
        for header in [
            format!("00-{TRACE}-00f067aa0ba902b7-01"),
            format!("cc-{TRACE}-00f067aa0ba902b7-01-more"),
        ] {
            assert_eq!(trace_id(&header), Some(TRACE), "{header}");
        }
    }

    #[test]
    fn an_invalid_header_has_none() {
        for header in [
            "",
            "00",
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{TRACE}'; --0f067aa0ba902b7-01"),
        ] {
            assert_eq!(trace_id(header), None, "{header}");
        }
    }
}
