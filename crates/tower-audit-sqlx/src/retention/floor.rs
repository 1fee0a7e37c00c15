//! How long everything is kept, whatever a policy says.

use tower_audit_core::{Actor, AuditEvent, StoreError, Target, retention::Keep};

use super::{Database, RetentionError};
use crate::{
    any::{AnyStore, with_store},
    query::Sql,
};

/// Returns how long everything is kept, whatever a policy says: the database refuses to delete what is younger. It is 30 days
/// unless the owner of the table has set another time.
///
/// # Errors
///
/// Returns [`RetentionError::Store`] if the store cannot be asked.
pub async fn floor(store: impl Into<AnyStore>) -> Result<Keep, RetentionError> {
    with_store!(&store.into(), store => ask(store).await)
}

async fn ask<D: Database>(store: &D) -> Result<Keep, RetentionError> {
    let mut tx = store.begin().await?;
    let floor = read(store, &mut tx).await?;
    store.commit(tx).await?;
    Ok(floor)
}

/// Sets how long everything is kept, whatever a policy says, and records it as `audit.floor.update`, by this actor, in the same
/// transaction.
///
/// # Errors
///
/// Returns [`RetentionError::FloorForever`] for [`Keep::Forever`], and [`RetentionError::Store`] if the store refuses, as it does if
/// the user is not the owner of the table, or cannot be reached.
pub async fn set_floor(
    store: impl Into<AnyStore>,
    floor: Keep,
    actor: Actor,
) -> Result<(), RetentionError> {
    let Keep::Seconds(seconds) = floor else {
        return Err(RetentionError::FloorForever);
    };
    with_store!(&store.into(), store => set(store, seconds, actor).await)
}

async fn set<D: Database>(store: &D, seconds: u32, actor: Actor) -> Result<(), RetentionError> {
    let (table, lease) = store.table_and("_retention");
    let mut tx = store.begin().await?;
    let before = read(store, &mut tx).await?;
    let mut set = Sql::new(format!("UPDATE {lease} SET floor = "));
    store.push_span(&mut set, seconds);
    set.push(" RETURNING token");
    store.numbers(&mut tx, set).await?;
    let target = Target::new("audit_log", super::run::plain(&table));
    let event = AuditEvent::builder(actor, "audit.floor.update", target);
    let event = event.metadata("from", before.to_string());
    let event = event
        .metadata("to", Keep::Seconds(seconds).to_string())
        .build();
    store.record(&mut tx, event).await?;
    Ok(store.commit(tx).await?)
}

/// Refuses a policy that goes under the floor.
pub(super) async fn check<D: Database>(database: &D, shortest: Keep) -> Result<(), RetentionError> {
    let mut tx = database.begin().await?;
    let floor = read(database, &mut tx).await?;
    database.commit(tx).await?;
    if shortest < floor {
        return Err(RetentionError::UnderFloor { shortest, floor });
    }
    Ok(())
}

async fn read<D: Database>(database: &D, tx: &mut D::Tx) -> Result<Keep, StoreError> {
    let (_, lease) = database.table_and("_retention");
    let floor = Sql::new(format!("SELECT {} FROM {lease}", D::span("floor")));
    let rows = database.numbers(tx, floor).await?;
    let seconds = rows.first().and_then(|row| *row.first()?).unwrap_or(0) / 1_000_000;
    Ok(Keep::Seconds(u32::try_from(seconds).unwrap_or(u32::MAX)))
}
