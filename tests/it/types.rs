//! What the public types promise to the compiler, and what their `Debug` keeps to itself.

use tower_audit::{
    Annotation, AuditContext, AuditEvent, AuditLayer, Auditor, Identify, MemoryStore, PgStore,
    SqliteStore,
    layer::{AnyBody, AuditService, ResponseFuture, WatchedBody},
};

use crate::support::{database::Postgres, server::Trail};

fn is_send_sync<T: Send + Sync + 'static>() {}
fn is_send<T: Send + 'static>() {}

#[test]
fn public_types_cross_threads() {
    is_send_sync::<AuditLayer>();
    is_send_sync::<AuditService<()>>();
    is_send_sync::<AuditContext>();
    is_send_sync::<AuditEvent>();
    is_send_sync::<Annotation>();
    is_send_sync::<Auditor>();
    is_send_sync::<Identify<std::cell::Cell<u8>>>();
    is_send_sync::<MemoryStore>();
    is_send_sync::<PgStore>();
    is_send_sync::<SqliteStore>();
    is_send::<ResponseFuture<std::future::Ready<()>, (), ()>>();
    is_send::<WatchedBody<()>>();
    is_send::<AnyBody<()>>();
}

#[tokio::test]
async fn debug_shows_no_password() {
    let database = Postgres::fresh().await;
    let options = database.options.clone().password("hunter2");
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy_with(options);
    let store = PgStore::new(pool);
    let layer = AuditLayer::new(store.clone());
    assert!(!format!("{store:?} {layer:?}").contains("hunter2"));
    assert!(!format!("{:?}", PgStore::builder(store.pool().clone())).contains("hunter2"));
    let trail = Trail::new();
    assert!(format!("{:?}", trail.layer).contains("accepted"));
}
