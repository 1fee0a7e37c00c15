//! Which store it is, for whoever learns at run time.

use std::{env, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use tower_audit_core::{EventId, EventWriter, PageSize, StoreError, store::StoreStatus};

use crate::{
    Analytics, Days, DualTrails, MemoryTrails, MessageId, Trail, TrailChange, TrailCursor,
    TrailPage, TrailStore,
};

/// Where trails are kept, as a setting says.
///
/// ```
/// use tower_audit_ai::Backend;
///
/// assert_eq!("dual".parse(), Ok(Backend::Dual));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// In memory, for development.
    #[default]
    Memory,
    /// In a database.
    Database,
    /// In both, of which the memory is read: for the move.
    Dual,
}

impl Backend {
    /// Returns what `AUDIT_TRAIL_BACKEND` says; the memory if it says nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if it says something else.
    pub fn from_env() -> Result<Self, ParseBackendError> {
        match env::var_os("AUDIT_TRAIL_BACKEND") {
            None => Ok(Self::default()),
            Some(text) => text.to_str().unwrap_or_default().parse(),
        }
    }

    /// Returns the store that it is.
    pub fn store<D: TrailStore>(self, memory: MemoryTrails, database: D) -> AnyTrails<D> {
        match self {
            Self::Memory => AnyTrails::Memory(memory),
            Self::Database => AnyTrails::Database(database),
            Self::Dual => AnyTrails::Dual(DualTrails::new(memory, database)),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Database => "database",
            Self::Dual => "dual",
        })
    }
}

impl FromStr for Backend {
    type Err = ParseBackendError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "memory" => Ok(Self::Memory),
            "database" => Ok(Self::Database),
            "dual" => Ok(Self::Dual),
            _ => Err(ParseBackendError),
        }
    }
}

/// It is no backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AUDIT_TRAIL_BACKEND is `memory`, `database` or `dual`")]
pub struct ParseBackendError;

/// The store that a [`Backend`] is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyTrails<D> {
    /// The memory.
    Memory(MemoryTrails),
    /// The database.
    Database(D),
    /// Both.
    Dual(DualTrails<MemoryTrails, D>),
}

/// Runs an expression with the store that it is.
macro_rules! with_store {
    ($any:expr, $store:ident => $do:expr) => {
        match $any {
            Self::Memory($store) => $do,
            Self::Database($store) => $do,
            Self::Dual($store) => $do,
        }
    };
}

impl<D: TrailStore> EventWriter<TrailChange> for AnyTrails<D> {
    async fn append(&self, batch: &[TrailChange]) -> Result<(), StoreError> {
        with_store!(self, store => store.append(batch).await)
    }

    async fn check(&self) -> Result<StoreStatus, StoreError> {
        with_store!(self, store => store.check().await)
    }

    async fn reap(&self, created_before: DateTime<Utc>) -> Result<u64, StoreError> {
        with_store!(self, store => store.reap(created_before).await)
    }
}

impl<D: TrailStore> TrailStore for AnyTrails<D> {
    async fn get(&self, message_id: &MessageId) -> Result<Option<Trail>, StoreError> {
        with_store!(self, store => store.get(message_id).await)
    }

    async fn list(
        &self,
        project_id: &str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Result<TrailPage, StoreError> {
        with_store!(self, store => store.list(project_id, older_than, size).await)
    }

    async fn of_event(&self, event_id: EventId, size: PageSize) -> Result<Vec<Trail>, StoreError> {
        with_store!(self, store => store.of_event(event_id, size).await)
    }

    async fn projects(
        &self,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<Vec<String>, StoreError> {
        with_store!(self, store => store.projects(after, size).await)
    }

    async fn analytics(&self, project_id: &str, days: Days) -> Result<Analytics, StoreError> {
        with_store!(self, store => store.analytics(project_id, days).await)
    }

    async fn recount(&self) -> Result<u64, StoreError> {
        with_store!(self, store => store.recount().await)
    }

    async fn cleanup(&self, older_than: DateTime<Utc>) -> Result<u64, StoreError> {
        with_store!(self, store => store.cleanup(older_than).await)
    }
}
