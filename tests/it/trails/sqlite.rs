//! Trails in SQLite.

use tower_audit_ai::SqliteTrails;

use super::{contract::mount_contract, support::ZONE};
use crate::support::database::Sqlite;

async fn fresh() -> Sqlite {
    let database = Sqlite::fresh().await;
    store(&database).migrate().await.unwrap();
    database
}

fn store(database: &Sqlite) -> SqliteTrails {
    SqliteTrails::new(database.pool.clone()).zone(ZONE)
}

mount_contract!(fresh, store);
