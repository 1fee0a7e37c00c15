//! Trails in memory.

use std::num::NonZeroUsize;

use tower_audit_ai::{MemoryTrails, Trail, TrailStore as _};

use super::{
    contract::mount_contract,
    support::{ZONE, all_days, changes, id, write},
};

async fn fresh() {}

fn store((): &()) -> MemoryTrails {
    MemoryTrails::with_capacity(NonZeroUsize::new(10_000).unwrap(), ZONE)
}

mount_contract!(fresh, store);

#[tokio::test]
async fn the_oldest_trail_is_forgotten_when_there_is_no_room_and_what_they_add_up_to_is_not() {
    let store = MemoryTrails::with_capacity(NonZeroUsize::new(2).unwrap(), ZONE);
    let begun = changes(async |trails| {
        for number in 1..=3 {
            let message = format!("m{number}");
            trails.begin(Trail::placeholder(&message, "p", "m").unwrap());
        }
    })
    .await;
    write(&store, &begun).await;
    // What is forgotten does not come back to be counted twice.
    write(&store, &begun[..1]).await;
    assert_eq!(store.get(&id("m1")).await.unwrap(), None);
    assert!(store.get(&id("m3")).await.unwrap().is_some());
    let analytics = store.analytics("p", all_days()).await.unwrap();
    assert_eq!(analytics.total.calls, 3);
}
