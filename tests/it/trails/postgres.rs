//! Trails in Postgres.

use tower_audit_ai::{PgTrails, Trail, TrailStore as _, Usage};

use super::{
    contract::mount_contract,
    support::{ZONE, all_days, changes, dollars, id, write},
};
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

#[tokio::test]
async fn sums_that_somebody_changed_by_hand_are_counted_again() {
    let database = fresh().await;
    let store = store(&database);
    let now = chrono::Utc::now();
    let recorded = changes(async |trails| {
        for message in ["m1", "m2"] {
            let placeholder = Trail::placeholder(message, "p", "m").unwrap();
            trails.begin(placeholder.started_at(now));
            let cost = dollars("0.0000000001", "0.2");
            trails.complete(&id(message), Usage::new(3, 4), Some(cost), Vec::new());
        }
    })
    .await;
    write(&store, &recorded).await;
    let right = store.analytics("p", all_days()).await.unwrap();
    let wrong = "UPDATE control_plane.ai_trails_tallies SET calls = 99, slowest_micros = 0; DELETE FROM control_plane.ai_trails_costs; \
         INSERT INTO control_plane.ai_trails_tallies SELECT 'p', '2026-01-01', model, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM control_plane.ai_trails_tallies";
    sqlx::raw_sql(wrong).execute(&database.pool).await.unwrap();
    assert_ne!(store.analytics("p", all_days()).await.unwrap(), right);
    assert_eq!(store.recount().await.unwrap(), 2);
    assert_eq!(store.analytics("p", all_days()).await.unwrap(), right);
    // Of a day whose trails are deleted only the sums know.
    store.cleanup(chrono::Utc::now()).await.unwrap();
    assert_eq!(store.recount().await.unwrap(), 0);
    assert_eq!(
        store.analytics("p", all_days()).await.unwrap().total,
        right.total
    );
}
