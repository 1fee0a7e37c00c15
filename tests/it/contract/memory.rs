//! The contract, in memory.

use tower_audit::MemoryStore;

async fn fresh() -> MemoryStore {
    MemoryStore::new()
}

super::mount_contract!(fresh, MemoryStore::clone);
super::contract_tests!(fresh, MemoryStore::clone => an_end_of_another_time_leaves_the_time_as_it_was);
