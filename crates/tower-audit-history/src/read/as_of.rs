//! What a row was at a moment.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tower_audit_core::changes::{ChangeCursor, ChangeFilter, Columns, RowChange, TableName};

use super::{
    AsOf, Live,
    query::{newer, page},
    walk::Backward,
};
use crate::{History, HistoryError};

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
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut tx = self.pool.begin_with(begin).await?;
        let live = Live::find(self, &mut tx, table).await?;
        live.check(key)?;
        let found = as_of(self, &mut tx, &live, key, time).await?;
        tx.rollback().await?;
        Ok(found)
    }
}

async fn as_of(
    history: &History,
    connection: &mut PgConnection,
    live: &Live<'_>,
    key: &Columns,
    time: DateTime<Utc>,
) -> Result<AsOf, HistoryError> {
    let mut back = Backward::new(key.clone());
    let mut before = None;
    // A moment is the end of everything that was done then.
    let until = time + TimeDelta::microseconds(1);
    // All rows of the table at once: a TRUNCATE has an empty key.
    let all = Columns::new();
    let truncated = of_row(history, connection, live, &all, (until, None)).await?;
    loop {
        let next = of_row(history, connection, live, &back.key, (until, before)).await?;
        // All rows were deleted after that.
        let next = match (&truncated, next) {
            (Some(truncated), Some(next)) if truncated.at > next.at => Some(truncated.clone()),
            (Some(truncated), None) => Some(truncated.clone()),
            (_, next) => next,
        };
        let Some(next) = next else {
            break;
        };
        before = Some(ChangeCursor::of(&next));
        if let Some(known) = back.step(&next) {
            return Ok(known);
        }
    }
    let truncated = newer(connection, &history.names, &live.names, &all, until).await?;
    let mut forward = back.turn(key.clone());
    let mut after = until;
    loop {
        let found = newer(connection, &history.names, &live.names, &forward.key, after).await?;
        // Whatever was there then, all rows were deleted before anything else is known of it.
        if let Some(truncated) = &truncated
            && found.as_ref().is_none_or(|found| truncated.at < found.at)
        {
            return Ok(AsOf::Unknown);
        }
        let Some(next) = found else {
            let row = live.row(connection, &forward.key).await?;
            return Ok(forward.finish(row));
        };
        after = next.at + TimeDelta::microseconds(1);
        if let Some(known) = forward.step(&next) {
            return Ok(known);
        }
    }
}

/// Returns the newest change of a row before a moment and a position, under whichever name its table had.
async fn of_row(
    history: &History,
    connection: &mut PgConnection,
    live: &Live<'_>,
    key: &Columns,
    (until, before): (DateTime<Utc>, Option<ChangeCursor>),
) -> Result<Option<RowChange>, HistoryError> {
    let mut newest: Option<RowChange> = None;
    for name in &live.names {
        let filter = ChangeFilter::new()
            .row(name.clone(), key.clone().into())
            .until(until);
        let found = page(connection, &history.names, &filter, before, 1).await?;
        let found = found.into_iter().next();
        if found.as_ref().map(ChangeCursor::of) > newest.as_ref().map(ChangeCursor::of) {
            newest = found;
        }
    }
    Ok(newest)
}
