//! How a pool is.

use std::time::Duration;

use sqlx::{Database, Pool};
use tower_audit_core::store::PoolStatus;

/// Returns how a pool is, of which a connection was there after this time.
pub(crate) fn pool_status<D: Database>(pool: &Pool<D>, wait: Duration) -> PoolStatus {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    PoolStatus::new(
        pool.size(),
        idle,
        pool.options().get_max_connections(),
        wait,
    )
}
