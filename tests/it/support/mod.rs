//! What the tests stand on.

pub(crate) mod database;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod server;
pub(crate) mod store;

use std::time::Duration;

/// How long a test waits for a state before it fails. Never a measure: only a way out.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Waits for the future, and fails the test if it takes for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("the state that the test waits for did not come")
}

/// Waits until the condition holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
