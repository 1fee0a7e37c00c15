//! Trails in Postgres.

use tower_audit_ai::PgTrails;

use super::{contract::mount_contract, support::ZONE};
use crate::support::database::Postgres;

async fn fresh() -> Postgres {
    let database = Postgres::fresh().await;
    store(&database).migrate().await.unwrap();
    database
}

fn store(database: &Postgres) -> PgTrails {
    PgTrails::new(database.pool.clone()).zone(ZONE)
}

mount_contract!(fresh, store);
