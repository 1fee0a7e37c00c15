//! Records an event in the transaction of the caller.

use tower_audit_core::{AuditEvent, Auditor, StoreError};

/// Records an event in the transaction of the caller: the row lives or dies with the change that it
/// describes.
///
/// For an [`Auditor`] whose store is of this crate, and for the stores themselves. It is one insert on
/// the connection that it is given; neither the queue nor the counts of the auditor know of it.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// # tower_audit_sqlx::migrate(&pool).await?;
/// # let auditor = tower_audit_core::Auditor::new(tower_audit_sqlx::SqliteStore::new(pool.clone()));
/// use tower_audit_core::{Actor, AuditEvent, Target};
/// use tower_audit_sqlx::RecordIn;
///
/// let mut tx = pool.begin().await?;
/// sqlx::query("CREATE TABLE projects (name TEXT)").execute(&mut *tx).await?;
/// let event = AuditEvent::builder(Actor::user("alice"), "project.create", Target::new("project", 7));
/// auditor.record_in(&mut *tx, event.build()).await?;
/// tx.commit().await?;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub trait RecordIn<C> {
    /// Records an event on this connection. An event whose id is there already is left as it is.
    ///
    /// Dropping the future leaves the transaction to the caller, who should roll it back.
    ///
    /// # Errors
    ///
    /// Returns what the database said; in Postgres the transaction is then good for nothing but a
    /// rollback. Returns [`StoreError::NotReady`] for an auditor that writes to another database.
    fn record_in(
        &self,
        connection: &mut C,
        event: AuditEvent,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(feature = "postgres")]
impl RecordIn<sqlx::PgConnection> for Auditor {
    async fn record_in(
        &self,
        connection: &mut sqlx::PgConnection,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        let store: &crate::PgStore = self.store().ok_or_else(other_store)?;
        store.record_in(connection, self.named(event)).await
    }
}

#[cfg(feature = "sqlite")]
impl RecordIn<sqlx::SqliteConnection> for Auditor {
    async fn record_in(
        &self,
        connection: &mut sqlx::SqliteConnection,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        let store: &crate::SqliteStore = self.store().ok_or_else(other_store)?;
        store.record_in(connection, self.named(event)).await
    }
}

fn other_store() -> StoreError {
    StoreError::NotReady {
        hint: "this auditor writes to another kind of store than the connection is of: give it that one, or \
               call `record_in` on a store of this kind",
        source: Box::new(OtherStore),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the store of the auditor is of another type")]
struct OtherStore;
