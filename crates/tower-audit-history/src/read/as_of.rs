//! What a row was at a moment.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tower_audit_core::changes::{ChangeCursor, Columns, Operation, RowChange, TableName};

use super::{
    AsOf, Live,
    query::Way,
    stream::Stream,
    walk::{Backward, Forward, Step},
};
use crate::{
    History, HistoryError,
    migrate::{look, look_at},
};

impl History {
    /// Returns what the row of this key was at this moment: a JSON object of the columns of the key.
    ///
    /// Of columns that are not recorded any more it has what changes tell, and nothing of those that were not recorded then. It follows the row through changes of its key and of the name of its table. Where the history does not reach back to the begin of
    /// the row, it goes back from what the row is now. All of it is read from one snapshot. What was before the
    /// [begin](crate::TrackedTable::begun_at) of the history of this table is not known, and nothing is while triggers are missing or disabled.
    ///
    /// A time to come is taken for now.
    ///
    /// # Errors
    ///
    /// Returns an error as [`spelled_key`](Self::spelled_key) does if the row cannot be named like that, and [`HistoryError::Database`]
    /// otherwise, also if policies hide rows of the table from whoever asks.
    pub async fn as_of(
        &self,
        table: &TableName,
        key: &Columns,
        time: DateTime<Utc>,
    ) -> Result<AsOf, HistoryError> {
        let mut tx = look_at(self, table).await?;
        let live = Live::find(self, &mut tx, table).await?;
        let key = live.spelled(&mut tx, key).await?;
        if time < live.begun_at || !live.is_as_noted || !live.is_covered {
            return Ok(AsOf::Unknown);
        }
        let key = live.own_key(&mut tx, key).await?;
        let walk = Walk {
            connection: &mut tx,
            live: &live,
            key: &key,
            time,
        };
        let found = walk.back().await?;
        tx.rollback().await?;
        Ok(found)
    }

    /// Returns the key of a row as the history of this table spells it, which is what a [filter](tower_audit_core::changes::ChangeFilter::row)
    /// takes: `7` for `"7"` of a number, `"1.5"` for `1.50` of a `numeric`.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotTracked`], [`HistoryError::NoKey`], [`HistoryError::MaskedKey`] or [`HistoryError::OtherKey`] if no row can be
    /// named like that, [`HistoryError::KeyOfTypes`] if that would run checks of the owner of its types, [`HistoryError::NoSuchKey`] if a value is none
    /// of its column, [`HistoryError::NameOfAnother`] or [`HistoryError::NotCovered`] if the table is not the one that was tracked under this name, and
    /// [`HistoryError::Database`] otherwise.
    pub async fn spelled_key(
        &self,
        table: &TableName,
        key: &Columns,
    ) -> Result<Columns, HistoryError> {
        let mut tx = look(self).await?;
        let live = Live::find(self, &mut tx, table).await?;
        let key = live.spelled(&mut tx, key).await?;
        tx.rollback().await?;
        Ok(key)
    }
}

/// From where a row is looked for.
struct Walk<'a> {
    connection: &'a mut PgConnection,
    live: &'a Live<'a>,
    /// The key that the row had at the moment.
    key: &'a Columns,
    time: DateTime<Utc>,
}

impl Walk<'_> {
    /// Returns the end of everything that was done at the moment.
    fn until(&self) -> DateTime<Utc> {
        self.time + TimeDelta::microseconds(1)
    }

    async fn back(mut self) -> Result<AsOf, HistoryError> {
        let mut back = Backward::new(self.key.clone());
        let times = (self.live.begun_at, self.until());
        let mut changes = Changes::new(self.live, times, Way::Back(None));
        loop {
            let step = match changes.next(self.connection, &back.key).await? {
                Some(next) => back.step(&self.of_then(next)),
                None => match back.at_the_begin() {
                    Some(step) => step,
                    None => return self.forward(back.turn(self.key.clone())).await,
                },
            };
            match step {
                Step::On => {}
                // What was added since it was inserted is still missing.
                Step::Found(AsOf::Row(row)) if self.live.lacks_any_since(&row, self.time) => {
                    let forward = Forward::new(self.key.clone(), row, true);
                    return self.forward(forward).await;
                }
                Step::Found(found) => return Ok(found),
                Step::FoundIfThere(row) => {
                    let forward = Forward::new(self.key.clone(), row, false);
                    return self.forward(forward).await;
                }
            }
        }
    }

    async fn forward(&mut self, mut forward: Forward) -> Result<AsOf, HistoryError> {
        let times = (self.until(), DateTime::<Utc>::MAX_UTC);
        let mut changes = Changes::new(self.live, times, Way::On(None));
        while let Some(next) = changes.next(self.connection, &forward.key).await? {
            if let Some(known) = forward.step(&self.of_then(next)) {
                return Ok(known);
            }
        }
        let mut row = self.live.row(self.connection, &forward.key).await?;
        if let Some(row) = &mut row {
            row.retain(|name, _| self.live.has_since(name, self.time));
        }
        Ok(forward.finish(row))
    }

    /// Returns a change without what it tells of other columns: one that was made anew has the name of another.
    fn of_then(&self, mut change: RowChange) -> RowChange {
        let (at, time) = (change.at, self.time);
        let is_of_then = |name: &String| self.live.is_same_column(name, at, time);
        // A TRUNCATE has no columns.
        if change.operation != Operation::Truncate {
            for columns in [&mut change.old, &mut change.new].into_iter().flatten() {
                columns.retain(|name, _| is_of_then(name));
            }
        }
        change
    }
}

/// What was done to a row, and to all rows at once.
struct Changes<'a> {
    of_row: Stream<'a>,
    of_all: Stream<'a>,
    way: Way,
}

impl<'a> Changes<'a> {
    fn new(live: &'a Live<'_>, times: (DateTime<Utc>, DateTime<Utc>), way: Way) -> Self {
        let stream = || Stream::new(live.history_names(), &live.names, times, way);
        Self {
            of_row: stream(),
            of_all: stream(),
            way,
        }
    }

    /// Returns what comes next on the way of the row that has this key there.
    async fn next(
        &mut self,
        connection: &mut PgConnection,
        key: &Columns,
    ) -> Result<Option<RowChange>, HistoryError> {
        let of_row = self.of_row.peek(connection, key).await?;
        // The key of a TRUNCATE is empty.
        let of_all = self.of_all.peek(connection, &Columns::new()).await?;
        let is_of_all = match (of_row, of_all) {
            (Some(of_row), Some(of_all)) => {
                let (of_row, of_all) = (ChangeCursor::of(of_row), ChangeCursor::of(of_all));
                match self.way {
                    Way::Back(_) => of_all > of_row,
                    Way::On(_) => of_all < of_row,
                }
            }
            (of_row, _) => of_row.is_none(),
        };
        let next = if is_of_all {
            &mut self.of_all
        } else {
            &mut self.of_row
        };
        Ok(next.take())
    }
}
