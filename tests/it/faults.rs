//! What networks and databases do, in front of a real Postgres.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use tower_audit::{
    AuditEvent, Auditor, DeliverySettings, EventId, PgStore, delivery::Kept, spool::Spool,
};
use tower_audit_tests::proxy::{Fault, Proxy};
use xtask::postgres::{Cluster, Commits};

use crate::support::{database::Postgres, events::event, soon, until};

fn quick() -> DeliverySettings {
    DeliverySettings::new()
        .retry(Duration::from_millis(1), Duration::from_millis(20))
        .write_timeout(Duration::from_millis(300))
}

/// A database behind a proxy.
struct Behind {
    database: Postgres,
    proxy: Proxy,
    pool: PgPool,
}

impl Behind {
    async fn proxy() -> Self {
        let database = Postgres::migrated().await;
        let proxy = Proxy::start(database.address().await).await.unwrap();
        let options = database
            .options
            .clone()
            .host("127.0.0.1")
            .port(proxy.address().port());
        // Without a ping before each use, whose answer would be lost instead of the one that matters.
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(300))
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self {
            database,
            proxy,
            pool,
        }
    }

    fn store(&self) -> PgStore {
        PgStore::new(self.pool.clone())
    }
}

async fn ids(pool: &PgPool) -> Vec<uuid::Uuid> {
    let all = sqlx::query_scalar("SELECT id FROM control_plane.audit_logs ORDER BY id");
    all.fetch_all(pool).await.unwrap()
}

fn sorted(mut ids: Vec<EventId>) -> Vec<uuid::Uuid> {
    ids.sort_unstable();
    ids.into_iter().map(|id| id.as_uuid()).collect()
}

/// Records events before, during and after the fault, and returns the ids.
async fn record_through(auditor: &Auditor, proxy: &Proxy, fault: Fault) -> Vec<EventId> {
    let events: Vec<AuditEvent> = (0..300).map(event).collect();
    let ids = events.iter().map(AuditEvent::id).collect();
    for (n, event) in events.into_iter().enumerate() {
        auditor.record(event);
        match n {
            100 => {
                // A connection that is up, and whose statement is known.
                soon(auditor.flush()).await;
                proxy.set(fault);
            }
            200 => until(|| proxy.struck() > 0).await,
            _ => tokio::task::yield_now().await,
        }
    }
    proxy.set(Fault::None);
    ids
}

async fn every_event_survives(fault: Fault) {
    let behind = Behind::proxy().await;
    let auditor = Auditor::builder().delivery(quick()).start(behind.store());
    let recorded = record_through(&auditor, &behind.proxy, fault).await;
    soon(auditor.flush()).await;
    assert_eq!(ids(&behind.database.pool).await, sorted(recorded));
    let stats = auditor.stats();
    assert_eq!((stats.written, stats.dropped.total()), (300, 0));
}

#[tokio::test]
async fn every_event_survives_connections_that_are_cut() {
    every_event_survives(Fault::Cut).await;
}

#[tokio::test]
async fn every_event_survives_a_network_that_swallows_everything() {
    every_event_survives(Fault::BlackHole).await;
}

#[tokio::test]
async fn every_event_survives_a_network_that_is_slow() {
    every_event_survives(Fault::Delay(Duration::from_millis(50))).await;
}

#[tokio::test]
async fn every_event_survives_connections_that_are_half_closed() {
    every_event_survives(Fault::HalfClose).await;
}

#[tokio::test]
async fn every_event_survives_answers_that_are_lost() {
    every_event_survives(Fault::CutAnswer).await;
}

#[tokio::test]
async fn a_batch_that_was_committed_without_anybody_saying_so_is_written_once() {
    let behind = Behind::proxy().await;
    let auditor = Auditor::builder().delivery(quick()).start(behind.store());
    assert_eq!(
        soon(auditor.record_durable(event(1))).await,
        Ok(Kept::Written)
    );
    // The connection is back in the pool, and its statement known.
    until(|| behind.pool.num_idle() == 1).await;
    behind.proxy.set(Fault::CutAnswer);
    auditor.record(event(2));
    until(|| behind.proxy.struck() > 0).await;
    // It is there, although nobody was told.
    let pool = &behind.database.pool;
    soon(async { while ids(pool).await.len() < 2 {} }).await;
    until(|| auditor.stats().retries > 0).await;
    assert_eq!(auditor.stats().queued, 1);
    behind.proxy.set(Fault::None);
    soon(auditor.flush()).await;
    assert_eq!((ids(pool).await.len(), auditor.stats().written), (2, 2));
}

#[tokio::test]
async fn in_an_outage_the_spool_takes_everything_and_gives_it_back() {
    let behind = Behind::proxy().await;
    let folder = TempDir::new().unwrap();
    let auditor = Auditor::builder()
        .delivery(quick().capacity(200.try_into().unwrap()))
        .spool(Spool::open(folder.path()).unwrap())
        .start(behind.store());
    behind.proxy.set(Fault::Cut);
    let events: Vec<AuditEvent> = (0..5_000).map(event).collect();
    let recorded = sorted(events.iter().map(AuditEvent::id).collect());
    for event in events {
        auditor.record(event);
        until(|| auditor.stats().queued < 150).await;
    }
    soon(auditor.flush()).await;
    assert_eq!(auditor.stats().spooled, 5_000);
    assert_eq!(
        soon(auditor.record_durable(event(9_999))).await,
        Ok(Kept::Spooled)
    );
    behind.proxy.set(Fault::None);
    until(|| auditor.stats().spooled == 0).await;
    let found: BTreeSet<_> = ids(&behind.database.pool).await.into_iter().collect();
    assert!(recorded.iter().all(|id| found.contains(id)));
    assert_eq!((found.len(), auditor.stats().dropped.total()), (5_001, 0));
}

#[tokio::test]
async fn every_event_survives_a_postgres_that_is_killed_and_comes_back() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(Commits::Survive));
    let mut cluster = cluster.await.unwrap().unwrap();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
    let pool = pool.connect_lazy(&cluster.url()).unwrap();
    tower_audit::migrate(&pool).await.unwrap();
    let auditor = Auditor::builder()
        .delivery(quick())
        .start(PgStore::new(pool.clone()));
    let mut recorded = Vec::new();
    let mut record = |count: i64| {
        for n in 0..count {
            let event = event(n);
            recorded.push(event.id());
            auditor.record(event);
        }
    };
    for _ in 0..3 {
        record(500);
        until(|| auditor.stats().in_flight > 0).await;
        let killed = tokio::task::spawn_blocking(move || {
            cluster.kill()?;
            anyhow::Ok(cluster)
        });
        cluster = killed.await.unwrap().unwrap();
        record(500);
        until(|| auditor.stats().retries > 0).await;
        let started = tokio::task::spawn_blocking(move || {
            cluster.start_again()?;
            anyhow::Ok(cluster)
        });
        cluster = started.await.unwrap().unwrap();
        soon(auditor.flush()).await;
    }
    assert_eq!(ids(&pool).await, sorted(recorded));
    assert_eq!(auditor.stats().dropped.total(), 0);
    pool.close().await;
    tokio::task::spawn_blocking(move || drop(cluster))
        .await
        .unwrap();
}

/// An address, so that a proxy that cannot reach its server is one that cuts.
#[tokio::test]
async fn a_proxy_whose_server_is_gone_closes_connections() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let proxy = Proxy::start(nobody).await.unwrap();
    let mut client = tokio::net::TcpStream::connect(proxy.address())
        .await
        .unwrap();
    let read = soon(tokio::io::AsyncReadExt::read(&mut client, &mut [0])).await;
    assert_eq!(read.unwrap_or(0), 0);
}
