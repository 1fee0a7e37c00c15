//! Says whom to believe.

use std::{net::IpAddr, num::NonZeroUsize};

use ipnet::{IpNet, Ipv4Net};

use super::proxies::{ClientHeader, Rule, TrustedProxies};

/// Builds [`TrustedProxies`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct TrustedProxiesBuilder {
    header: ClientHeader,
    networks: Vec<String>,
    hops: Option<usize>,
}

impl TrustedProxiesBuilder {
    pub(super) fn new(header: ClientHeader) -> Self {
        Self {
            header,
            networks: Vec::new(),
            hops: None,
        }
    }

    /// Adds a network, such as `10.0.0.0/8` or `2001:db8::/32`, or a single address. Defaults to none.
    pub fn trust(mut self, network: impl Into<String>) -> Self {
        self.networks.push(network.into());
        self
    }

    /// Adds `127.0.0.0/8` and `::1`: a proxy on the same machine.
    pub fn loopback(self) -> Self {
        LOOPBACK.into_iter().fold(self, Self::trust)
    }

    /// Adds the private networks of RFC 1918 and RFC 4193 and the loopback: a load balancer or an ingress
    /// in the same network, and everything else there.
    pub fn private_networks(self) -> Self {
        PRIVATE.into_iter().fold(self.loopback(), Self::trust)
    }

    /// Sets how many proxies are between the client and this service, the nearest included, each of which
    /// appends one hop. Defaults to not counting.
    ///
    /// Networks are then only asked for the peer. **Without any, every peer counts as the nearest proxy**:
    /// only for a service that nobody else can reach.
    pub fn hops(mut self, proxies: usize) -> Self {
        self.hops = Some(proxies);
        self
    }

    /// Returns the rule.
    ///
    /// # Errors
    ///
    /// Returns [`TrustedProxiesError`] if a network is none or has clients in it, if nobody is trusted, or
    /// if hops are counted that the header does not have.
    pub fn build(self) -> Result<TrustedProxies, TrustedProxiesError> {
        let networks: Vec<IpNet> = self
            .networks
            .into_iter()
            .map(network)
            .collect::<Result<_, _>>()?;
        let hops = match self.hops.map(NonZeroUsize::new) {
            Some(None) => return Err(TrustedProxiesError::NoHops),
            Some(Some(_)) if matches!(self.header, ClientHeader::Single(_)) => {
                return Err(TrustedProxiesError::NotAList(self.header));
            }
            hops => hops.flatten(),
        };
        if networks.is_empty() && hops.is_none() {
            return Err(TrustedProxiesError::NobodyTrusted(self.header));
        }
        Ok(TrustedProxies::of(Rule {
            header: self.header,
            networks,
            hops,
        }))
    }
}

fn network(text: String) -> Result<IpNet, TrustedProxiesError> {
    let trimmed = text.trim();
    let address = || trimmed.parse::<IpAddr>().ok().map(IpNet::from);
    let parsed = trimmed.parse::<IpNet>().ok().or_else(address);
    let Some(parsed) = parsed else {
        return Err(TrustedProxiesError::NoNetwork(text));
    };
    let parsed = canonical(parsed.trunc());
    let shortest = match parsed {
        IpNet::V4(_) => SHORTEST_V4,
        IpNet::V6(_) => SHORTEST_V6,
    };
    if parsed.prefix_len() < shortest {
        return Err(TrustedProxiesError::Everybody(text));
    }
    Ok(parsed)
}

/// Returns a network of IPv4 in IPv6 as one of IPv4, as addresses are.
fn canonical(network: IpNet) -> IpNet {
    let mapped = network.addr().to_canonical();
    let length = network.prefix_len().checked_sub(96);
    match (network, mapped, length) {
        (IpNet::V6(_), IpAddr::V4(address), Some(length)) => {
            Ipv4Net::new(address, length).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

/// Why [`TrustedProxiesBuilder::build`] refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedProxiesError {
    /// The text is neither a network nor an address.
    #[error(
        "{0:?} is no network: write an address, or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\""
    )]
    NoNetwork(String),
    /// The network is so large that clients are in it: shorter than `/8` of IPv4 or `/7` of IPv6.
    #[error(
        "{0:?} trusts everybody, so every client could write its own address: name the networks of your \
         proxies, or use `hops` if only their number is known"
    )]
    Everybody(String),
    /// Nobody is trusted.
    #[error(
        "nobody is trusted to write `{0}`: add the networks of your proxies by `trust`, `loopback` or \
         `private_networks`, or use `TrustedProxies::none()`"
    )]
    NobodyTrusted(ClientHeader),
    /// The number of hops is zero.
    #[error("zero hops trust nobody: use `TrustedProxies::none()`")]
    NoHops,
    /// Hops are counted in a header that holds one address.
    #[error(
        "`{0}` holds one address, so there are no hops to count: trust the networks of the proxy instead"
    )]
    NotAList(ClientHeader),
}

/// The largest private networks: 10.0.0.0/8 and fc00::/7.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 7;

const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
