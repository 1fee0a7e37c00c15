//! Legal holds.

use tower_audit_core::{Actor, AuditEvent, Filter, Target, retention::Hold};

use super::{Database, RetentionError};
use crate::{
    any::{AnyStore, with_store},
    columns::StoredHold,
    query::{Arg, Sql},
};

/// Places and releases legal holds: what passes one is not deleted by [`Retention`](super::Retention), nor dropped with a partition.
///
/// Each hold that is placed or released is an event of the trail, `audit.hold.create` and `audit.hold.release`, of the same
/// transaction. A hold stays in its table after it was released.
#[derive(Clone, Debug)]
pub struct Holds {
    store: AnyStore,
    actor: Actor,
}

impl Holds {
    /// Returns the holds of the trail in this store.
    #[must_use]
    pub fn new(store: impl Into<AnyStore>) -> Self {
        Self {
            store: store.into(),
            actor: Actor::system(),
        }
    }

    /// Sets who places and releases them. Defaults to the system.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Places a hold. Waits for the batch that is being deleted, if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`RetentionError::HoldExists`] if there is one of this name that was not released,
    /// [`RetentionError::HoldIncomplete`] for one of everything, or without a name or a reason, and [`RetentionError::Store`]
    /// if the store refuses or cannot be reached.
    pub async fn place(
        &self,
        name: &str,
        filter: Filter,
        reason: &str,
    ) -> Result<(), RetentionError> {
        if filter.is_empty() || name.trim().is_empty() || reason.trim().is_empty() {
            return Err(RetentionError::HoldIncomplete);
        }
        with_store!(&self.store, store => place(store, &self.actor, name, &filter, reason).await)
    }

    /// Releases a hold: from then on what it named goes as the policy says.
    ///
    /// # Errors
    ///
    /// Returns [`RetentionError::NoHold`] if there is none of this name, and [`RetentionError::Store`] if the store
    /// refuses or cannot be reached.
    pub async fn release(&self, name: &str) -> Result<(), RetentionError> {
        with_store!(&self.store, store => release(store, &self.actor, name).await)
    }

    /// Returns the holds that were not released, in the order of their names.
    ///
    /// # Errors
    ///
    /// Returns [`RetentionError::Hold`] if one of them cannot be read, and [`RetentionError::Store`] if the store cannot be
    /// asked.
    pub async fn list(&self) -> Result<Vec<Hold>, RetentionError> {
        with_store!(&self.store, store => list(store).await)
    }
}

async fn place<D: Database>(
    store: &D,
    actor: &Actor,
    name: &str,
    filter: &Filter,
    reason: &str,
) -> Result<(), RetentionError> {
    let (_, table) = store.table_and("_holds");
    let mut tx = begin(store).await?;
    let there = stored(store, &mut tx).await?;
    if there.iter().any(|hold| hold.name == name) {
        return Err(RetentionError::HoldExists(name.to_owned()));
    }
    let mut place = Sql::new(format!(
        "INSERT INTO {table} (name, search, reason) VALUES ("
    ));
    place.bind(Arg::Text(name.to_owned())).push(", ");
    place.bind(Arg::Text(filter.to_string())).push(", ");
    place
        .bind(Arg::Text(reason.to_owned()))
        .push(") RETURNING CAST(1 AS bigint)");
    store.numbers(&mut tx, place).await?;
    let event = AuditEvent::builder(
        actor.clone(),
        "audit.hold.create",
        Target::new("hold", name),
    );
    let event = event.metadata("search", filter.to_string());
    let event = event.metadata("reason", reason).build();
    store.record(&mut tx, event).await?;
    Ok(store.commit(tx).await?)
}

async fn release<D: Database>(store: &D, actor: &Actor, name: &str) -> Result<(), RetentionError> {
    let (_, table) = store.table_and("_holds");
    let mut tx = begin(store).await?;
    let now = super::lease::now(store, &mut tx).await?;
    let mut release = Sql::new(format!("UPDATE {table} SET released_at = "));
    release.bind(Arg::Time(now.timestamp_micros()));
    release.push(" WHERE released_at IS NULL AND name = ");
    release
        .bind(Arg::Text(name.to_owned()))
        .push(" RETURNING CAST(1 AS bigint)");
    if store.numbers(&mut tx, release).await?.is_empty() {
        return Err(RetentionError::NoHold(name.to_owned()));
    }
    let target = Target::new("hold", name);
    let event = AuditEvent::builder(actor.clone(), "audit.hold.release", target);
    store.record(&mut tx, event.build()).await?;
    Ok(store.commit(tx).await?)
}

async fn list<D: Database>(store: &D) -> Result<Vec<Hold>, RetentionError> {
    let mut tx = store.begin().await?;
    let holds = holds(store, &mut tx).await?;
    store.commit(tx).await?;
    Ok(holds)
}

/// Begins a transaction that has the row of the lease, as each batch that is deleted has.
async fn begin<D: Database>(store: &D) -> Result<D::Tx, RetentionError> {
    let (_, lease) = store.table_and("_retention");
    let mut tx = store.begin().await?;
    let lock = Sql::new(format!("UPDATE {lease} SET token = token RETURNING token"));
    store.numbers(&mut tx, lock).await?;
    Ok(tx)
}

/// Returns the holds that were not released.
pub(crate) async fn holds<D: Database>(
    database: &D,
    tx: &mut D::Tx,
) -> Result<Vec<Hold>, RetentionError> {
    let stored = stored(database, tx).await?;
    stored.into_iter().map(parsed).collect()
}

async fn stored<D: Database>(
    database: &D,
    tx: &mut D::Tx,
) -> Result<Vec<StoredHold>, RetentionError> {
    let (_, table) = database.table_and("_holds");
    let placed_at = D::micros("placed_at");
    let sql = format!(
        "SELECT name, search, reason, {placed_at} AS placed_at, placed_by FROM {table} \
         WHERE released_at IS NULL ORDER BY name"
    );
    Ok(database.holds(tx, Sql::new(sql)).await?)
}

fn parsed(stored: StoredHold) -> Result<Hold, RetentionError> {
    let StoredHold {
        name,
        search,
        reason,
        placed_at,
        placed_by,
    } = stored;
    match Filter::parse(&search, placed_at) {
        // A search that lost its terms would hold nothing.
        Ok(filter) => {
            let mut hold = Hold::new(name, filter, reason, placed_at);
            hold.placed_by = placed_by;
            Ok(hold)
        }
        Err(source) => Err(RetentionError::Hold { name, source }),
    }
}
