//! The move from memory to a database, in steps.

use std::{sync::Arc, time::Duration};

use tokio::{sync::RwLock, task::JoinSet};
use tower_audit_ai::{
    AnyTrails, Backend, DualTrails, MemoryTrails, PgTrails, SqliteTrails, Trail, TrailStatus,
    TrailStore, Trails, Usage,
};

use super::support::{all_days, changes, dollars, get, id, write};
use crate::support::database::{Postgres, Sqlite};

/// Whoever asks a model looks here where that is to be recorded.
type Setting<D> = Arc<RwLock<Trails<AnyTrails<D>>>>;

/// How many ask at once.
const CLIENTS: u32 = 4;

/// Asks a model again and again until `Backend::Database` was used for a while; returns how many calls there were.
async fn client<D: TrailStore>(setting: Setting<D>, client: u32) -> u32 {
    let (mut calls, mut in_database) = (0, 0);
    while in_database < 50 {
        // A call is ended where it was begun.
        let trails = setting.read().await;
        in_database += u32::from(matches!(trails.store(), AnyTrails::Database(_)));
        let message = format!("m{client}-{calls}");
        let call = trails.start(Trail::placeholder(&message, "p", "m-1").unwrap());
        tokio::task::yield_now().await;
        call.complete(
            Some(Usage::new(calls, client)),
            Some(dollars("0.1", "0")),
            Vec::new(),
        );
        calls += 1;
    }
    calls
}

/// Goes on with another backend, and closes the one before when the calls that were begun there have ended.
async fn go_on<D: TrailStore + Clone>(
    setting: &Setting<D>,
    backend: Backend,
    memory: &MemoryTrails,
    database: &D,
) {
    let next = Trails::new(backend.store(memory.clone(), database.clone()));
    let before = std::mem::replace(&mut *setting.write().await, next);
    let report = before.shutdown(Duration::from_secs(30)).await;
    assert_eq!(report.left, 0);
}

async fn move_under_load<D: TrailStore + Clone>(database: D) {
    let memory = MemoryTrails::with_capacity(1_000_000.try_into().unwrap(), chrono_tz::UTC);
    let first = Trails::new(Backend::Memory.store(memory.clone(), database.clone()));
    let setting: Setting<D> = Arc::new(RwLock::new(first));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let setting = Arc::clone(&setting);
        clients.spawn(async move { (number, client(setting, number).await) });
    }
    for backend in [Backend::Dual, Backend::Database] {
        let before = setting.read().await.stats().accepted;
        while setting.read().await.stats().accepted < before + 200 {
            tokio::task::yield_now().await;
        }
        go_on(&setting, backend, &memory, &database).await;
        // What the memory alone had.
        database.append(&memory.changes()).await.unwrap();
    }
    let mut all = 0;
    while let Some(done) = clients.join_next().await {
        let (client, calls) = done.unwrap();
        setting.read().await.flush().await;
        for number in 0..calls {
            let trail = get(&database, &format!("m{client}-{number}")).await;
            assert_eq!(trail.status, TrailStatus::Completed);
            assert_eq!(trail.usage, Some(Usage::new(number, client)));
        }
        all += i64::from(calls);
    }
    let total = database.analytics("p", all_days()).await.unwrap().total;
    assert_eq!((total.calls, total.completed), (all, all));
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_from_memory_to_postgres_under_load() {
    let database = Postgres::fresh().await;
    let store = PgTrails::new(database.pool.clone());
    store.migrate().await.unwrap();
    move_under_load(store).await;
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_from_memory_to_sqlite_under_load() {
    let database = Sqlite::fresh().await;
    let store = SqliteTrails::new(database.pool.clone());
    store.migrate().await.unwrap();
    move_under_load(store).await;
}

#[tokio::test]
async fn two_stores_that_differ_are_counted_and_the_first_one_is_read() {
    let (first, second) = (MemoryTrails::new(), MemoryTrails::new());
    let begun = changes(async |trails| {
        for message in ["a", "b"] {
            trails.begin(Trail::placeholder(message, "p", "m-1").unwrap());
        }
    })
    .await;
    write(&first, &begun[..1]).await;
    let both = DualTrails::new(first, second);
    write(&both, &begun[1..]).await;
    for message in ["a", "b", "c"] {
        both.get(&id(message)).await.unwrap();
    }
    let found = both.differences();
    assert_eq!((found.compared, found.different, found.failed), (3, 1, 0));
    assert!(both.get(&id("a")).await.unwrap().is_some());
}

#[test]
fn a_backend_that_is_none_is_refused_with_what_to_write() {
    let said = "postgres".parse::<Backend>().unwrap_err().to_string();
    assert_eq!(
        said,
        "AUDIT_TRAIL_BACKEND is `memory`, `database` or `dual`"
    );
}
