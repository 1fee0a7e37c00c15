//! What a row was at a moment.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use tower_audit_core::changes::{ChangeCursor, ChangeFilter, Columns, RowChange, TableName};

use super::{
    AsOf, Live,
    query::{newer, page},
    walk::{Backward, Forward},
};
use crate::{History, HistoryError, migrate::as_triggers_do};

impl History {
    /// Returns what the row of this key was at this moment: a JSON object of the columns of the key.
    ///
    /// It follows the row through changes of its key and of the name of its table. Where the history does not reach back to the begin of
    /// the row, it goes back from what the row is now. All of it is read from one snapshot.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotTracked`], [`HistoryError::NoKey`] or [`HistoryError::OtherKey`] if the row cannot be named like that, and
    /// [`HistoryError::Database`] otherwise.
    pub async fn as_of(
        &self,
        table: &TableName,
        key: &Columns,
        time: DateTime<Utc>,
    ) -> Result<AsOf, HistoryError> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}",
            as_triggers_do()
        );
        let mut tx = self.pool.begin_with(AssertSqlSafe(begin)).await?;
        let live = Live::find(self, &mut tx, table).await?;
        live.check(key)?;
        let walk = Walk {
            history: self,
            connection: &mut tx,
            live: &live,
            until: time + TimeDelta::microseconds(1),
        };
        let found = walk.back(key).await?;
        tx.rollback().await?;
        Ok(found)
    }
}

/// From where a row is looked for.
struct Walk<'a> {
    history: &'a History,
    connection: &'a mut PgConnection,
    live: &'a Live<'a>,
    /// A moment is the end of everything that was done then.
    until: DateTime<Utc>,
}

impl Walk<'_> {
    async fn back(mut self, key: &Columns) -> Result<AsOf, HistoryError> {
        let mut back = Backward::new(key.clone());
        let truncated = self.before(&all(), None).await?;
        let mut cursor = None;
        loop {
            let next = self.before(&back.key, cursor).await?;
            // All rows were deleted after that.
            let next = match (&truncated, next) {
                (Some(truncated), Some(next)) if truncated.at > next.at => Some(truncated.clone()),
                (Some(truncated), None) => Some(truncated.clone()),
                (_, next) => next,
            };
            let Some(next) = next else {
                if let Some(known) = back.at_the_begin() {
                    return Ok(known);
                }
                return self.forward(back.turn(key.clone())).await;
            };
            cursor = Some(ChangeCursor::of(&next));
            if let Some(known) = back.step(&next) {
                return Ok(known);
            }
        }
    }

    async fn forward(mut self, mut forward: Forward) -> Result<AsOf, HistoryError> {
        let mut since = self.until;
        let truncated = self.after(&all(), since).await?;
        loop {
            let found = self.after(&forward.key, since).await?;
            // Whatever was there then, all rows were deleted before anything else is known of it.
            if let Some(truncated) = &truncated
                && found.as_ref().is_none_or(|found| truncated.at < found.at)
            {
                return Ok(AsOf::Unknown);
            }
            let Some(next) = found else {
                let row = self.live.row(self.connection, &forward.key).await?;
                return Ok(forward.finish(row));
            };
            since = next.at + TimeDelta::microseconds(1);
            if let Some(known) = forward.step(&next) {
                return Ok(known);
            }
        }
    }

    /// Returns the newest change of a row before the moment and a position, under whichever name its table had.
    async fn before(
        &mut self,
        key: &Columns,
        cursor: Option<ChangeCursor>,
    ) -> Result<Option<RowChange>, HistoryError> {
        let mut newest: Option<RowChange> = None;
        for name in &self.live.names {
            let filter = ChangeFilter::new().row(name.clone(), key.clone().into());
            let filter = filter.until(self.until);
            let found = page(self.connection, &self.history.names, &filter, cursor, 1).await?;
            let found = found.into_iter().next();
            if found.as_ref().map(ChangeCursor::of) > newest.as_ref().map(ChangeCursor::of) {
                newest = found;
            }
        }
        Ok(newest)
    }

    /// Returns the oldest change of a row from a moment on, under whichever name its table had.
    async fn after(
        &mut self,
        key: &Columns,
        since: DateTime<Utc>,
    ) -> Result<Option<RowChange>, HistoryError> {
        newer(
            self.connection,
            &self.history.names,
            &self.live.names,
            key,
            since,
        )
        .await
    }
}

/// The key of what is done to all rows at once: of a TRUNCATE it is empty.
fn all() -> Columns {
    Columns::new()
}
