//! What a row was, from the changes before and after a moment: no database.

use tower_audit_core::changes::{Columns, Operation, RowChange};

/// What a row was at a moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AsOf {
    /// It was this. A column that is hidden says so; one that was added later is not there.
    Row(Columns),
    /// There was no row of this key.
    NoRow,
    /// The history does not reach back that far, and the row is gone.
    Unknown,
}

/// Goes back from a moment to what the row was then, change by change.
#[derive(Debug)]
pub(super) struct Backward {
    /// The key that the row had at the moment that was reached.
    pub(super) key: Columns,
    /// What is known of the row at the moment.
    known: Columns,
    has_begun: bool,
}

/// Goes on from a moment to find out what the row was then.
#[derive(Debug)]
pub(super) struct Forward {
    /// The key that the row has at the moment that was reached.
    pub(super) key: Columns,
    /// What is known of the row at the moment.
    known: Columns,
}

impl Backward {
    pub(super) fn new(key: Columns) -> Self {
        Self {
            key,
            known: Columns::new(),
            has_begun: false,
        }
    }

    /// Takes the next older change; returns what the row was if that is known now.
    pub(super) fn step(&mut self, change: &RowChange) -> Option<AsOf> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let is_of_it = change.key.as_ref() == Some(&self.key);
        match change.operation {
            // Whatever was deleted, or got another key, before anything else is said of the row was not there.
            Operation::Delete | Operation::Truncate => Some(self.end(is_first)),
            Operation::Update if !is_of_it => Some(self.end(is_first)),
            Operation::Update => {
                self.learn(change.new.as_ref());
                if let Some(key) = &change.old_key {
                    self.key.clone_from(key);
                }
                None
            }
            _ => {
                self.learn(change.new.as_ref());
                Some(AsOf::Row(std::mem::take(&mut self.known)))
            }
        }
    }

    /// Returns what is known where nothing more can be.
    fn end(&mut self, is_first: bool) -> AsOf {
        if is_first { AsOf::NoRow } else { AsOf::Unknown }
    }

    fn learn(&mut self, columns: Option<&Columns>) {
        for (name, value) in columns.into_iter().flatten() {
            if !self.known.contains_key(name) {
                self.known.insert(name.clone(), value.clone());
            }
        }
    }

    /// Goes on with what comes after the moment, where the history does not reach back to the row's begin.
    pub(super) fn turn(self, key_at_moment: Columns) -> Forward {
        Forward {
            key: key_at_moment,
            known: self.known,
        }
    }
}

impl Forward {
    /// Takes the next newer change; returns what the row was if that is known now.
    pub(super) fn step(&mut self, change: &RowChange) -> Option<AsOf> {
        let was_it = change.old_key.as_ref().or(change.key.as_ref()) == Some(&self.key);
        match change.operation {
            Operation::Update if was_it => {
                self.learn(change.old.as_ref());
                if change.old_key.is_some()
                    && let Some(key) = &change.key
                {
                    self.key.clone_from(key);
                }
                None
            }
            // Another row got the key: there was none of it, or its end is not known.
            Operation::Update => Some(self.end()),
            Operation::Insert => Some(self.end()),
            Operation::Delete => {
                self.learn(change.old.as_ref());
                Some(AsOf::Row(std::mem::take(&mut self.known)))
            }
            Operation::Baseline => {
                self.learn(change.new.as_ref());
                Some(AsOf::Row(std::mem::take(&mut self.known)))
            }
            _ => Some(AsOf::Unknown),
        }
    }

    /// Takes the row that is there now, after all changes.
    pub(super) fn finish(mut self, row: Option<Columns>) -> AsOf {
        match row {
            Some(row) => {
                self.learn(Some(&row));
                AsOf::Row(self.known)
            }
            None => self.end(),
        }
    }

    fn end(&self) -> AsOf {
        if self.known.is_empty() {
            AsOf::NoRow
        } else {
            AsOf::Unknown
        }
    }

    fn learn(&mut self, columns: Option<&Columns>) {
        for (name, value) in columns.into_iter().flatten() {
            if !self.known.contains_key(name) {
                self.known.insert(name.clone(), value.clone());
            }
        }
    }
}
