//! What must hold whatever a client writes into its headers.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use tower_audit::client::{TrustedProxies, TrustedProxiesBuilder};

/// Takes the bytes as the lines of each header that a rule may read, and panics if they make a
/// difference to the address of a client.
pub(crate) fn client(bytes: &[u8]) {
    let rules = [
        ("x-forwarded-for", TrustedProxies::x_forwarded_for()),
        ("forwarded", TrustedProxies::forwarded()),
        (
            "x-real-ip",
            TrustedProxies::header(HeaderName::from_static("x-real-ip")),
        ),
    ];
    for (name, rule) in rules {
        let name = HeaderName::from_static(name);
        let mut headers = HeaderMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Ok(line) = HeaderValue::from_bytes(line) {
                headers.append(&name, line);
            }
        }
        from_a_stranger(rule.clone(), &headers);
        if name != "x-real-ip" {
            behind_a_proxy(rule, &name, headers, bytes.len().is_multiple_of(2));
        }
    }
}

/// A peer that is not trusted stays the client.
fn from_a_stranger(rule: TrustedProxiesBuilder, headers: &HeaderMap) {
    let peer = IpAddr::from([198, 51, 100, 9]);
    assert_eq!(trusting(rule).client(Some(peer), headers), Some(peer));
}

/// Behind a proxy that appends, to the last line or in one of its own, its peer is the client.
fn behind_a_proxy(
    rule: TrustedProxiesBuilder,
    name: &HeaderName,
    mut headers: HeaderMap,
    is_joined: bool,
) {
    let says: &[u8] = match name.as_str() {
        "forwarded" => b"proto=https;for=\"203.0.113.7:80\"",
        _ => b"203.0.113.7",
    };
    let mut lines: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    let line = match lines.pop() {
        Some(last) if is_joined => [last.as_bytes(), b", ", says].concat(),
        last => {
            lines.extend(last);
            says.to_vec()
        }
    };
    headers.remove(name);
    for line in lines {
        headers.append(name, line);
    }
    headers.append(
        name,
        HeaderValue::from_bytes(&line).expect("both parts were values"),
    );
    let (peer, client) = ([10, 0, 0, 1].into(), [203, 0, 113, 7].into());
    assert_eq!(
        trusting(rule.clone()).client(Some(peer), &headers),
        Some(client)
    );
    let counted = rule.hops(1).build().expect("one hop is a rule");
    assert_eq!(counted.client(Some(peer), &headers), Some(client));
}

fn trusting(rule: TrustedProxiesBuilder) -> TrustedProxies {
    rule.trust("10.0.0.0/8")
        .build()
        .expect("the network is one")
}
