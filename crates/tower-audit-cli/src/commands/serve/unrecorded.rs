//! Who looked, on standard error.

use std::io::{self, Write as _};

use chrono::{DateTime, Utc};
use tokio::task::spawn_blocking;
use tower_audit_core::{AuditEvent, EventWriter, StoreError, store::StoreStatus};

/// Writes events to standard error, as JSON Lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToStandardError;

impl EventWriter for ToStandardError {
    async fn append(&self, batch: &[AuditEvent]) -> Result<(), StoreError> {
        let mut lines = Vec::new();
        for event in batch {
            serde_json::to_writer(&mut lines, event)
                .map_err(|error| StoreError::Rejected(error.into()))?;
            lines.push(b'\n');
        }
        // Whoever reads may be slow.
        let written = spawn_blocking(move || io::stderr().lock().write_all(&lines)).await;
        written
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        Ok(StoreStatus::default())
    }

    async fn reap(&self, _created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        // Nothing that was written can be written over.
        Ok(0)
    }
}
