//! The rule, as a table, and what nobody can break.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use proptest::prelude::*;

use super::{TrustedProxies, TrustedProxiesBuilder, TrustedProxiesError};

const XFF: &str = "x-forwarded-for";

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    headers
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The proxies of most rows: 10.0.0.0/8 and 2001:db8:f::/48.
fn ours(builder: TrustedProxiesBuilder) -> TrustedProxies {
    let builder = builder.trust("10.0.0.0/8").trust("2001:db8:f::/48");
    builder.build().unwrap()
}

fn xff() -> TrustedProxies {
    ours(TrustedProxies::x_forwarded_for())
}

fn fwd() -> TrustedProxies {
    ours(TrustedProxies::forwarded())
}

fn real_ip() -> TrustedProxies {
    ours(TrustedProxies::header(HeaderName::from_static("x-real-ip")))
}

fn hops(count: usize) -> TrustedProxies {
    let builder = TrustedProxies::x_forwarded_for().hops(count);
    builder.build().unwrap()
}

/// Returns the rule that a row of the table names.
fn rule(name: &str) -> TrustedProxies {
    match name.split_once('=') {
        Some((_, count)) => hops(count.parse().unwrap()),
        None => match name {
            "xff" => xff(),
            "fwd" => fwd(),
            "real-ip" => real_ip(),
            "none" => TrustedProxies::none(),
            _ => panic!("no rule {name}"),
        },
    }
}

#[test]
fn the_client_is_who_the_table_says() {
    let rows = include_str!("table.txt").lines();
    let rows = rows.filter(|row| !row.is_empty() && !row.starts_with('#'));
    let mut checked = 0;
    for row in rows {
        let [what, name, peer, lines, client] = row
            .split(" | ")
            .collect::<Vec<_>>()
            .try_into()
            .expect("a row has five cells");
        let lines = lines.replace('→', "\t");
        let lines: Vec<(&str, &str)> = lines
            .split(" & ")
            .filter_map(|line| line.split_once(": "))
            .collect();
        let found = rule(name).client(Some(ip(peer)), &headers(&lines));
        assert_eq!(found, Some(ip(client)), "{what}");
        checked += 1;
    }
    assert_eq!(checked, 60);
}

#[test]
fn without_a_peer_no_header_is_believed() {
    let lines = headers(&[(XFF, "203.0.113.7")]);
    assert_eq!(xff().client(None, &lines), None);
    assert_eq!(hops(1).client(None, &lines), None);
}

#[test]
fn only_a_list_that_is_too_short_counts_as_short() {
    let is_short = |hops: TrustedProxies, lines| {
        hops.resolve(Some(ip("192.0.2.1")), &headers(lines))
            .is_short
    };
    assert!(is_short(hops(2), &[(XFF, "203.0.113.7")]));
    assert!(!is_short(hops(1), &[(XFF, "203.0.113.7")]));
    assert!(!is_short(xff(), &[]));
}

#[test]
fn hops_are_counted_for_trusted_peers_only_if_networks_are_named() {
    let builder = TrustedProxies::x_forwarded_for().hops(1);
    let proxies = builder.trust("10.0.0.0/8").build().unwrap();
    let lines = headers(&[(XFF, "203.0.113.7")]);
    let client = |peer| proxies.client(Some(ip(peer)), &lines).unwrap();
    assert_eq!(client("10.0.0.1"), ip("203.0.113.7"));
    assert_eq!(client("198.51.100.9"), ip("198.51.100.9"));
}

#[test]
fn a_list_without_end_is_not_walked_to_its_end() {
    let long = "203.0.113.7,".to_owned() + &"10.0.0.2,".repeat(10_000) + "10.0.0.2";
    let client = xff().client(Some(ip("10.0.0.1")), &headers(&[(XFF, &long)]));
    assert_eq!(client, Some(ip("10.0.0.2")));
}

#[test]
fn a_network_of_mapped_addresses_is_one_of_ipv4() {
    let builder = TrustedProxies::x_forwarded_for().trust("::ffff:10.0.0.0/104");
    let lines = headers(&[(XFF, "203.0.113.7")]);
    let client = builder
        .build()
        .unwrap()
        .client(Some(ip("10.0.0.1")), &lines);
    assert_eq!(client, Some(ip("203.0.113.7")));
}

#[test]
fn the_presets_trust_what_they_say() {
    let lines = headers(&[(XFF, "203.0.113.7")]);
    let believed = |builder: TrustedProxiesBuilder, peer| {
        builder.build().unwrap().client(Some(ip(peer)), &lines) == Some(ip("203.0.113.7"))
    };
    let xff = TrustedProxies::x_forwarded_for;
    for peer in ["127.0.0.1", "::1"] {
        assert!(believed(xff().loopback(), peer), "{peer}");
    }
    assert!(!believed(xff().loopback(), "10.0.0.1"));
    for peer in ["10.1.2.3", "172.31.0.1", "192.168.1.1", "fd00::1", "::1"] {
        assert!(believed(xff().private_networks(), peer), "{peer}");
    }
    for peer in ["172.32.0.1", "100.64.0.1", "2001:db8::1", "8.8.8.8"] {
        assert!(!believed(xff().private_networks(), peer), "{peer}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    use TrustedProxiesError as Error;
    let xff = TrustedProxies::x_forwarded_for;
    let refused = |builder: TrustedProxiesBuilder| builder.build().unwrap_err();
    for text in ["10.0.0.0/33", "10.0.0/8", "", "proxy", "10.0.0.0/8,::1"] {
        assert_eq!(
            refused(xff().trust(text)),
            Error::NoNetwork(text.to_owned()),
            "{text}"
        );
    }
    for text in [
        "0.0.0.0/0",
        "0.0.0.0/1",
        "::/0",
        "2000::/3",
        "::ffff:0:0/96",
    ] {
        assert_eq!(
            refused(xff().trust(text)),
            Error::Everybody(text.to_owned()),
            "{text}"
        );
    }
    assert!(refused(xff()).to_string().contains("`x-forwarded-for`"));
    assert_eq!(refused(xff().hops(0)), Error::NoHops);
    let single = TrustedProxies::header(HeaderName::from_static("x-real-ip"));
    assert!(matches!(refused(single.hops(1)), Error::NotAList(_)));
}

fn any_headers() -> impl Strategy<Value = Vec<(HeaderName, Vec<u8>)>> {
    let names = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];
    let name = proptest::sample::select(names.to_vec()).prop_map(HeaderName::from_static);
    let raw = prop::collection::vec(any::<u8>(), 0..60);
    let alike =
        r#"(for=|FOR="|,|;|"|\\|\[|\]|:|10\.0\.0\.[1-9]|203\.0\.113\.7|unknown|::1| ){0,12}"#;
    let value = prop_oneof![raw, alike.prop_map(String::into_bytes)];
    prop::collection::vec((name, value), 0..5)
}

fn appended(lines: Vec<(HeaderName, Vec<u8>)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.append(name, value);
        }
    }
    headers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_header_of_a_stranger_changes_the_address(lines in any_headers(), peer in any::<[u8; 4]>()) {
        let peer = IpAddr::from(peer);
        prop_assume!(!matches!(peer, IpAddr::V4(v4) if v4.octets()[0] == 10));
        let headers = appended(lines);
        for proxies in [xff(), fwd(), real_ip(), TrustedProxies::none()] {
            prop_assert_eq!(proxies.client(Some(peer), &headers), Some(peer));
        }
    }

    #[test]
    fn whatever_a_client_sends_is_not_believed_behind_a_proxy_that_appends(
        lines in any_headers(),
        is_joined in any::<bool>(),
    ) {
        let client = ip("203.0.113.99");
        let mut headers = appended(lines);
        for (name, says) in [
            (HeaderName::from_static(XFF), client.to_string()),
            (FORWARDED, format!("for={client};proto=https")),
        ] {
            // A proxy appends a line, or to the last line.
            let before: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
            match before.split_last() {
                Some((last, rest)) if is_joined => {
                    headers.remove(&name);
                    for line in rest {
                        headers.append(&name, line.clone());
                    }
                    let joined = [last.as_bytes(), b", ", says.as_bytes()].concat();
                    headers.append(name, HeaderValue::from_bytes(&joined).unwrap());
                }
                _ => {
 headers.append(name, HeaderValue::from_str(&says).unwrap());
}
            }
        }
        for proxies in [xff(), fwd(), hops(1)] {
            prop_assert_eq!(proxies.client(Some(ip("10.0.0.1")), &headers), Some(client));
        }
    }
}

#[cfg(feature = "metrics")]
#[test]
fn a_list_that_is_too_short_is_counted_where_it_can_be_seen() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let client = crate::client::Client::new(hops(2));
    metrics::with_local_recorder(&recorder, || {
        for _ in 0..3 {
            client.address(Some([10, 0, 0, 1].into()), &HeaderMap::new());
        }
    });
    let all = snapshotter.snapshot().into_vec();
    let counted: Vec<_> = all
        .iter()
        .map(|(key, _, _, value)| (key.key().name(), value))
        .collect();
    let expected = DebugValue::Counter(3);
    assert_eq!(counted, [("tower_audit_short_chains_total", &expected)]);
    assert_eq!(client.short_chains(), 3);
}
