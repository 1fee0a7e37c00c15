//! Where a request came from: the address of the client behind proxies that you trust.
//!
//! By default no header is trusted, and `ip_address` is the peer of the socket. [`TrustedProxies`] says
//! which one header names the client, and whom to believe it:
//!
//! ```
//! use tower_audit::{AuditLayer, MemoryStore, client::TrustedProxies};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // nginx on this machine, behind a load balancer in 10.2.0.0/16.
//! let proxies = TrustedProxies::x_forwarded_for()
//!     .loopback()
//!     .trust("10.2.0.0/16")
//!     .build()?;
//! let layer = AuditLayer::new(MemoryStore::new()).trusted_proxies(proxies);
//! # let _ = layer; Ok(()) }
//! ```
//!
//! # The rule
//!
//! 1. One header is looked at, and no other. A peer that is not trusted has none: its headers say nothing.
//! 2. All lines of the header are one list. It is walked from its right end, where the nearest proxy wrote.
//! 3. What is trusted is skipped; the first address that is not is the client. If all are trusted it is the
//!    leftmost.
//! 4. At `unknown`, an obfuscated name (RFC 7239, section 6.3) or anything that is no address the walk
//!    stops: the last address that was trusted is the answer. Nothing to the left of it is believed.
//! 5. IPv4 in IPv6 is IPv4, for peers, hops and networks alike; ports and brackets are cut off.
//!
//! With [`hops`](TrustedProxiesBuilder::hops) the number of proxies is known instead of their addresses.
//! A list that is shorter than that was not written by them: the peer is the answer, and
//! [`CaptureStats::short_chains`](crate::layer::CaptureStats::short_chains) counts it, as does
//! `tower_audit_short_chains_total` with the feature `metrics`.
//!
//! # Guarantees
//!
//! - No header of a peer that is not trusted changes the `ip_address`.
//! - Nothing that a client writes changes it either, as long as each trusted proxy *appends* the address
//!   of its peer, or overwrites the header.
//! - `peer_address` is the socket's, whatever the headers say.
//!
//! # What it does not do
//!
//! - It does not know the networks of Cloudflare, Fastly or Google: they are public and change. Take them
//!   from the vendor, and give them to [`trust`](TrustedProxiesBuilder::trust) when the service starts.
//! - It does not read the PROXY protocol, which is the server's: put its address into
//!   [`PeerAddr`](crate::PeerAddr).
//! - A proxy that passes on a header which it neither appends to nor overwrites lets the client write it.
//!   Configure only the header that your proxy writes.

mod builder;
mod chain;
mod proxies;

pub use builder::{TrustedProxiesBuilder, TrustedProxiesError};
pub(crate) use proxies::Client;
pub use proxies::{ClientHeader, TrustedProxies};

#[cfg(test)]
mod tests;
