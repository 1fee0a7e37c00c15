//! Under which names the server answers.
//!
//! A page of another site may let its own name point to this machine, and then ask in the name of whoever looks at it
//! (DNS rebinding). Its requests have its name in `Host`.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// The names that the server answers to.
#[derive(Clone, Debug)]
pub(super) struct Hosts(Arc<[String]>);

impl Hosts {
    /// Returns the address, localhost, and these names.
    pub(super) fn new(address: SocketAddr, names: Vec<String>) -> Self {
        let address = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let ours = [address, "localhost".to_owned()];
        Self(ours.into_iter().chain(names).collect())
    }

    /// Returns whether a request for one of these names has these headers, whatever the port: a tunnel has another
    /// one.
    fn know(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let host = host.to_str().ok().and_then(|host| name(host).ok());
        host.is_some_and(|host| self.0.contains(&host))
    }
}

/// Answers 421 to requests for any other name.
pub(super) async fn refuse_others(
    State(hosts): State<Hosts>,
    req: Request,
    next: Next,
) -> Response {
    if hosts.know(req.headers()) {
        return next.run(req).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, REFUSAL).into_response()
}

/// Returns the name of a host in lower case, without its port.
pub(super) fn name(text: &str) -> Result<String, String> {
    match text.parse::<Authority>() {
        Ok(host) if !host.host().is_empty() && !text.contains('@') => {
            Ok(host.host().to_ascii_lowercase())
        }
        _ => Err("a name is such as audit.example.com".to_owned()),
    }
}

const REFUSAL: &str =
    "The trail is not served under this name. Whoever runs it can allow the name with --host.\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(listen: &str, hosts: &[&str]) -> bool {
        let ours = Hosts::new(
            listen.parse().unwrap(),
            vec![name("Audit.Example.com:8443").unwrap()],
        );
        let hosts = hosts.iter().map(|host| (HOST, host.parse().unwrap()));
        ours.know(&hosts.collect())
    }

    #[test]
    fn only_names_of_ours_are_known_whatever_the_port() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "localhost:9999",
            "LOCALHOST",
            "audit.example.com",
        ] {
            assert!(is_known("127.0.0.1:8080", &[host]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8080",
            "localhost@evil.example",
            "evil@localhost",
            "",
            "[::1]",
        ] {
            assert!(!is_known("127.0.0.1:8080", &[host]), "{host}");
        }
        assert!(is_known("[::1]:8080", &["[::1]:8080"]));
    }

    #[test]
    fn a_request_for_no_name_or_for_two_is_not_known() {
        assert!(!is_known("127.0.0.1:8080", &[]));
        let both = ["127.0.0.1:8080", "evil.example"];
        assert!(!is_known("127.0.0.1:8080", &both));
    }
}
