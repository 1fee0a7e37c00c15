//! Reads the list of hops in a header, from its right end.
//!
//! The right end is what the trusted proxies wrote. Reading from there, nothing that a client put on the
//! left, such as a quote without an end, changes what is read.

use std::net::IpAddr;

/// A hop: an address, or something that names none.
pub(super) type Hop = Option<IpAddr>;

/// Returns the hops of a line of `X-Forwarded-For`, rightmost first.
pub(super) fn x_forwarded_for(line: &[u8]) -> impl Iterator<Item = Hop> {
    line.rsplit(|byte| *byte == b',').map(address)
}

/// Returns the hops of a line of `Forwarded` (RFC 7239), rightmost first.
pub(super) fn forwarded(line: &[u8]) -> impl Iterator<Item = Hop> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let (left, element) = split_last(rest?, b',');
        rest = left;
        Some(node(element))
    })
}

/// Returns the address in the `for` of an element, if it has exactly one.
fn node(element: &[u8]) -> Hop {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let (left, pair) = split_last(pairs, b';');
        rest = left;
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"for") {
            if found.is_some() {
                return None;
            }
            found = Some(value);
        }
    }
    address(unquote(found?)?)
}

/// Parts the text at the last separator that is not in a quoted string; `None` if there is none.
fn split_last(text: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    for (at, byte) in text.iter().enumerate().rev() {
        if *byte == b'"' {
            // From the right, the first quote closes. The one that opens has no backslash before it.
            let is_escaped = is_quoted && at > 0 && text[at - 1] == b'\\';
            is_quoted ^= !is_escaped;
        } else if *byte == separator && !is_quoted {
            return (Some(&text[..at]), &text[at + 1..]);
        }
    }
    (None, text)
}

/// Returns the text of a token or of a quoted string. An address needs no escapes, so what has some is none.
fn unquote(value: &[u8]) -> Option<&[u8]> {
    let text = match value {
        [b'"', text @ .., b'"'] => text,
        _ => value,
    };
    (!text.iter().any(|byte| matches!(byte, b'"' | b'\\'))).then_some(text)
}

/// Returns the address that the text is, without port and brackets, and IPv4 as IPv4.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    // The longest is an IPv6 address with an IPv4 tail, in brackets, with a port.
    if text.len() > "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535".len() {
        return None;
    }
    let host = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            without_port(rest).filter(|rest| rest.is_empty())?;
            return Some(IpAddr::V6(host.parse().ok()?).to_canonical());
        }
        // An address of version 6 has more than one colon, and no port without brackets.
        None if text.matches(':').count() == 1 => without_port(text)?,
        None => text,
    };
    host.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

/// Cuts off `:port`, if there is one.
fn without_port(text: &str) -> Option<&str> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Some(text);
    };
    let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    is_port.then_some(host)
}
