//! What was noticed while requests were captured.

/// What was noticed while requests were captured; made by
/// [`AuditLayer::capture_stats`](super::AuditLayer::capture_stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureStats {
    /// Requests that came over fewer proxies than
    /// [`hops`](crate::client::TrustedProxiesBuilder::hops) says. Their peer is recorded as the client.
    pub short_chains: u64,
}
