//! The contract, in memory.

use tower_audit::MemoryStore;

async fn fresh() -> MemoryStore {
    MemoryStore::new()
}

super::mount_contract!(fresh, MemoryStore::clone);
