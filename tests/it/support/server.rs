//! An axum app on a real socket.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};
use tower_audit::{
    AuditEvent, AuditLayer, MemoryStore, Policy,
    policy::{PolicyBuilder, Rule},
};

use super::{http::Client, soon};

/// An app that is served until this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn policy(rules: impl IntoIterator<Item = Rule>) -> Policy {
    let builder = rules
        .into_iter()
        .fold(Policy::builder(), PolicyBuilder::rule);
    builder.build().unwrap()
}

/// A store in memory, and a layer that writes to it.
pub(crate) struct Trail {
    pub(crate) store: MemoryStore,
    pub(crate) layer: AuditLayer,
}

impl Trail {
    pub(crate) fn new() -> Self {
        let store = MemoryStore::new();
        Self {
            layer: AuditLayer::new(store.clone()),
            store,
        }
    }

    /// Returns one whose layer has a policy of these rules.
    pub(crate) fn under(rules: impl IntoIterator<Item = Rule>) -> Self {
        let policy = policy(rules);
        Self::new().with(|layer| layer.policy(policy))
    }

    /// Serves the app inside of the layer, calls it once, and returns the status.
    pub(crate) async fn call(&self, app: Router, method: &str, path: &str) -> u16 {
        let server = Server::start(app.layer(self.layer.clone())).await;
        let mut client = server.client().await;
        client.call(method, path, &[], "").await.status
    }

    /// Sets something on the layer.
    pub(crate) fn with(self, set: impl FnOnce(AuditLayer) -> AuditLayer) -> Self {
        Self {
            layer: set(self.layer),
            ..self
        }
    }

    /// Waits for the one event, and makes sure that it is the only one.
    pub(crate) async fn only_event(&self) -> AuditEvent {
        soon(self.store.wait_for(1)).await;
        self.layer.auditor().flush().await;
        let events = self.store.events();
        assert_eq!(events.len(), 1, "{events:#?}");
        assert_eq!(self.layer.auditor().stats().accepted, 1);
        events.into_iter().next().unwrap()
    }

    /// Makes sure that nothing was recorded.
    pub(crate) async fn assert_empty(&self) {
        self.layer.auditor().flush().await;
        assert_eq!(
            self.layer.auditor().stats().accepted,
            0,
            "{:#?}",
            self.store.events()
        );
    }
}
