//! Who is at the other end of the socket.

use std::net::{IpAddr, SocketAddr};

use http::Extensions;

/// The address at the other end of the socket, as a request extension: for servers that are not
/// axum's.
///
/// With axum it is found without this, provided that the app is served with
/// `into_make_service_with_connect_info::<SocketAddr>()` (or, in tests, has a
/// `MockConnectInfo(SocketAddr)` layer around the audit layer).
///
/// ```
/// use tower_audit::PeerAddr;
///
/// # let peer: std::net::SocketAddr = ([127, 0, 0, 1], 8080).into();
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddr(peer));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// Returns the address of the peer, with IPv4 in IPv6 unwrapped. A unix socket has none.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let address = extensions.get::<PeerAddr>().map(|peer| peer.0);
    #[cfg(feature = "axum")]
    let address = {
        use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
        address
            .or_else(|| {
                extensions
                    .get::<ConnectInfo<SocketAddr>>()
                    .map(|info| info.0)
            })
            .or_else(|| {
                extensions
                    .get::<MockConnectInfo<SocketAddr>>()
                    .map(|info| info.0)
            })
    };
    address.map(|address| address.ip().to_canonical())
}
