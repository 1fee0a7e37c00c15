//! A store in memory that does what the test says.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tower_audit::{AuditEvent, EventWriter, MemoryStore, StoreError};

/// What the store does when it is asked to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    Down,
    /// It does not answer, until the state changes.
    Hangs,
}

/// A store in memory that does what the test says; clones share everything.
#[derive(Clone)]
pub(crate) struct Switch {
    pub(crate) rows: MemoryStore,
    state: Arc<watch::Sender<State>>,
}

impl Switch {
    pub(crate) fn new(state: State) -> Self {
        Self {
            rows: MemoryStore::new(),
            state: Arc::new(watch::Sender::new(state)),
        }
    }

    pub(crate) fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    async fn answer(&self) -> Result<(), StoreError> {
        let mut state = self.state.subscribe();
        let state = *state
            .wait_for(|state| *state != State::Hangs)
            .await
            .unwrap();
        match state {
            State::Up => Ok(()),
            State::Down | State::Hangs => Err(StoreError::Unavailable("switched off".into())),
        }
    }
}

impl EventWriter for Switch {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
        self.answer().await?;
        self.rows.append(batch).await
    }

    async fn check(&self) -> Result<tower_audit::store::StoreStatus, StoreError> {
        self.answer()
            .await
            .map(|()| tower_audit::store::StoreStatus::default())
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.answer().await?;
        self.rows.reap(created_before).await
    }
}
