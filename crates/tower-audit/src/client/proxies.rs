//! Whom to believe, and the walk.

use std::{
    fmt,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

use super::{
    builder::TrustedProxiesBuilder,
    chain::{self, Hop},
};

/// Which header names the client, and which peers are believed. Cheap to clone. See the
/// [module page](crate::client).
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    // `None` trusts nobody.
    rule: Option<Arc<Rule>>,
}

/// A header, and who may write it: `networks`, or whoever there is if only `hops` are known.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) header: ClientHeader,
    pub(super) networks: Vec<IpNet>,
    pub(super) hops: Option<NonZeroUsize>,
}

/// The one header that names the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientHeader {
    /// `X-Forwarded-For`: a list to which each proxy appends its peer.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): a list to which each proxy appends a `for`.
    Forwarded,
    /// A header that holds one address and that the proxy overwrites, such as `X-Real-IP`.
    Single(HeaderName),
}

impl ClientHeader {
    fn name(&self) -> HeaderName {
        match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => FORWARDED,
            Self::Single(name) => name.clone(),
        }
    }
}

impl fmt::Display for ClientHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().as_str())
    }
}

impl TrustedProxies {
    /// Returns the default: nobody is trusted, the client is the peer of the socket.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns a builder that reads `X-Forwarded-For`.
    pub fn x_forwarded_for() -> TrustedProxiesBuilder {
        TrustedProxiesBuilder::new(ClientHeader::XForwardedFor)
    }

    /// Returns a builder that reads `Forwarded` (RFC 7239).
    pub fn forwarded() -> TrustedProxiesBuilder {
        TrustedProxiesBuilder::new(ClientHeader::Forwarded)
    }

    /// Returns a builder that reads a header of one address, such as `x-real-ip` or `cf-connecting-ip`. Only
    /// for a proxy that overwrites it. If it comes twice it says nothing.
    ///
    /// ```
    /// use http::HeaderName;
    /// use tower_audit::client::TrustedProxies;
    ///
    /// let proxies = TrustedProxies::header(HeaderName::from_static("x-real-ip")).loopback().build();
    /// assert!(proxies.is_ok());
    /// ```
    pub fn header(name: HeaderName) -> TrustedProxiesBuilder {
        let header = match name {
            name if name == X_FORWARDED_FOR => ClientHeader::XForwardedFor,
            FORWARDED => ClientHeader::Forwarded,
            name => ClientHeader::Single(name),
        };
        TrustedProxiesBuilder::new(header)
    }

    /// Returns the address of the client, as a request with this peer and these headers names it.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use tower_audit::client::TrustedProxies;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let proxies = TrustedProxies::x_forwarded_for().trust("10.0.0.0/8").build()?;
    /// let mut headers = HeaderMap::new();
    /// headers.insert("x-forwarded-for", HeaderValue::from_static("6.6.6.6, 203.0.113.7, 10.0.0.2"));
    ///
    /// let client = proxies.client(Some("10.0.0.1".parse()?), &headers);
    /// assert_eq!(client, Some("203.0.113.7".parse()?)); // who sent the first one is not believed
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        self.resolve(peer, headers).address
    }

    pub(super) fn of(rule: Rule) -> Self {
        Self {
            rule: Some(Arc::new(rule)),
        }
    }

    pub(super) fn resolve(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Resolution {
        let peer = peer.map(|peer| peer.to_canonical());
        let (address, is_short) = match (&self.rule, peer) {
            (Some(rule), Some(peer)) => rule.client(peer, headers),
            // A unix socket has no peer that could be trusted.
            (_, peer) => (peer, false),
        };
        Resolution { address, is_short }
    }
}

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    pub(super) address: Option<IpAddr>,
    /// There were fewer hops than there must be.
    pub(super) is_short: bool,
}

impl Rule {
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> (Option<IpAddr>, bool) {
        if !self.trusts(peer) {
            return (Some(peer), false);
        }
        let lines = headers.get_all(self.header.name());
        let lines = lines.iter().rev().map(http::HeaderValue::as_bytes);
        match &self.header {
            ClientHeader::XForwardedFor => self.walk(peer, lines.flat_map(chain::x_forwarded_for)),
            ClientHeader::Forwarded => self.walk(peer, lines.flat_map(chain::forwarded)),
            ClientHeader::Single(_) => {
                let mut lines = lines;
                let only = lines.next().filter(|_| lines.next().is_none());
                (Some(only.and_then(chain::address).unwrap_or(peer)), false)
            }
        }
    }

    /// Returns whether a peer may say whom it stands for. Where only the number of hops is known, any may.
    fn trusts(&self, address: IpAddr) -> bool {
        let is_counted = self.networks.is_empty() && self.hops.is_some();
        is_counted || self.is_known(address)
    }

    fn is_known(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    fn walk(&self, peer: IpAddr, hops: impl Iterator<Item = Hop>) -> (Option<IpAddr>, bool) {
        match self.hops {
            Some(count) => count_down(peer, hops, count),
            None => (Some(self.skip_known(peer, hops)), false),
        }
    }

    /// Returns the first address that is not trusted.
    fn skip_known(&self, peer: IpAddr, hops: impl Iterator<Item = Hop>) -> IpAddr {
        let mut last = peer;
        for hop in hops.take(MAX_HOPS) {
            let Some(address) = hop else { break };
            last = address;
            if !self.is_known(address) {
                break;
            }
        }
        last
    }
}

/// Returns the address that the outermost of `count` proxies saw.
fn count_down(
    peer: IpAddr,
    mut hops: impl Iterator<Item = Hop>,
    count: NonZeroUsize,
) -> (Option<IpAddr>, bool) {
    let mut last = peer;
    for _ in 0..count.get() {
        match hops.next() {
            Some(Some(address)) => last = address,
            Some(None) => return (Some(last), false),
            // Nobody who is trusted wrote this.
            None => return (Some(peer), true),
        }
    }
    (Some(last), false)
}

/// The rule on a layer, with what it counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    proxies: TrustedProxies,
    short_chains: Arc<AtomicU64>,
    has_warned: Arc<AtomicBool>,
}

impl Client {
    pub(crate) fn new(proxies: TrustedProxies) -> Self {
        Self {
            proxies,
            ..Self::default()
        }
    }

    pub(crate) fn address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let found = self.proxies.resolve(peer, headers);
        if found.is_short {
            self.short_chains.fetch_add(1, Ordering::Relaxed);
            #[cfg(feature = "metrics")]
            metrics::counter!("tower_audit_short_chains_total").increment(1);
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "a request came over fewer proxies than `hops` says; the peer is recorded as the client, \
                     and `capture_stats().short_chains` counts it"
                );
            }
        }
        found.address
    }

    pub(crate) fn short_chains(&self) -> u64 {
        self.short_chains.load(Ordering::Relaxed)
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Longer lists come from somebody who wants to be walked for long.
const MAX_HOPS: usize = 64;
