//! The changes of a row, one after the other.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tower_audit_core::changes::{ChangeCursor, ChangeFilter, Columns, RowChange};

use super::query::{Way, page};
use crate::{HistoryError, names::Names, track::Former};

/// The changes of a row, under whichever names its table had, in pages that become larger: most rows have few.
pub(super) struct Stream<'a> {
    history: &'a Names,
    tables: &'a [Former],
    times: (DateTime<Utc>, DateTime<Utc>),
    way: Way,
    key: Columns,
    read: VecDeque<RowChange>,
    size: usize,
    is_over: bool,
}

impl<'a> Stream<'a> {
    /// Returns the changes from a moment on and before another one.
    pub(super) fn new(
        history: &'a Names,
        tables: &'a [Former],
        times: (DateTime<Utc>, DateTime<Utc>),
        way: Way,
    ) -> Self {
        Self {
            history,
            tables,
            times,
            way,
            key: Columns::new(),
            read: VecDeque::new(),
            size: FIRST,
            is_over: false,
        }
    }

    /// Returns the next change of the row of this key, and leaves it there.
    pub(super) async fn peek(
        &mut self,
        connection: &mut PgConnection,
        key: &Columns,
    ) -> Result<Option<&RowChange>, HistoryError> {
        if self.key != *key {
            self.key.clone_from(key);
            self.read.clear();
            self.is_over = false;
        }
        if self.read.is_empty() && !self.is_over {
            self.read(connection).await?;
        }
        Ok(self.read.front())
    }

    /// Takes the change that was looked at.
    pub(super) fn take(&mut self) -> Option<RowChange> {
        let next = self.read.pop_front()?;
        self.go_to(ChangeCursor::of(&next));
        Some(next)
    }

    /// Goes on behind a change.
    fn go_to(&mut self, cursor: ChangeCursor) {
        self.way = match self.way {
            Way::Back(_) => Way::Back(Some(cursor)),
            Way::On(_) => Way::On(Some(cursor)),
        };
    }

    async fn read(&mut self, connection: &mut PgConnection) -> Result<(), HistoryError> {
        let (since, until) = self.times;
        let mut found = Vec::new();
        for table in self.tables {
            let (since, until) = (since.max(table.from), until.min(table.until));
            let of_row = ChangeFilter::new().row(table.name(), self.key.clone().into());
            let of_row = of_row.since(since).until(until);
            found.extend(page(connection, self.history, &of_row, self.way, self.size).await?);
        }
        found.sort_by_key(ChangeCursor::of);
        if matches!(self.way, Way::Back(_)) {
            found.reverse();
        }
        self.is_over = found.len() < self.size;
        found.truncate(self.size);
        self.size = (self.size * 4).min(LARGEST);
        self.read = found.into();
        Ok(())
    }
}

/// How many changes are read first.
const FIRST: usize = 8;

/// How many changes are read at most: each may have a megabyte.
const LARGEST: usize = 200;
