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
///
/// A statement that swaps keys among rows is recorded row by row: in between, two rows have the same key. What got a key and what left it in
/// one transaction cannot be told apart then, and nobody should be told something wrong: it is [`AsOf::Unknown`].
#[derive(Debug)]
pub(super) struct Backward {
    /// The key that the row had at the moment that was reached.
    pub(super) key: Columns,
    /// What is known of the row at the moment.
    known: Columns,
    has_begun: bool,
    /// The transaction in which a row left the key, before anything else was said of it.
    left_in: Option<i64>,
    /// The transaction in which the row got another key.
    moved_in: Option<i64>,
}

/// Goes on from a moment to find out what the row was then.
#[derive(Debug)]
pub(super) struct Forward {
    /// The key that the row has at the moment that was reached.
    pub(super) key: Columns,
    /// What is known of the row at the moment.
    known: Columns,
    /// The transaction in which another row got the key, before anything else was said of it.
    taken_in: Option<i64>,
    /// The transaction in which the row got another key.
    moved_in: Option<i64>,
}

impl Backward {
    pub(super) fn new(key: Columns) -> Self {
        Self {
            key,
            known: Columns::new(),
            has_begun: false,
            left_in: None,
            moved_in: None,
        }
    }

    /// Takes the next older change, or that there is none; returns what the row was if that is known now.
    pub(super) fn step(&mut self, change: &RowChange) -> Option<AsOf> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let is_of_it = change.key.as_ref() == Some(&self.key);
        let arrives = match change.operation {
            Operation::Insert => true,
            Operation::Update => is_of_it && change.old_key.is_some(),
            _ => false,
        };
        let transaction = Some(change.transaction_id);
        if let Some(left_in) = self.left_in {
            let is_unclear = arrives && transaction == Some(left_in);
            return Some(if is_unclear {
                AsOf::Unknown
            } else {
                AsOf::NoRow
            });
        }
        if arrives && self.moved_in.is_some() && self.moved_in == transaction {
            return Some(AsOf::Unknown);
        }
        match change.operation {
            Operation::Truncate => Some(self.end(is_first)),
            // Whatever was deleted, or got another key, before anything else is said of the row was not there.
            Operation::Delete => self.leaves(is_first, transaction),
            Operation::Update if !is_of_it => self.leaves(is_first, transaction),
            Operation::Update => {
                self.learn(change.new.as_ref());
                if let Some(key) = &change.old_key {
                    self.key.clone_from(key);
                    self.moved_in = transaction;
                }
                None
            }
            _ => {
                self.learn(change.new.as_ref());
                Some(AsOf::Row(std::mem::take(&mut self.known)))
            }
        }
    }

    /// Returns what the row was if nothing older is known.
    pub(super) fn at_the_begin(&self) -> Option<AsOf> {
        self.left_in.map(|_| AsOf::NoRow)
    }

    fn leaves(&mut self, is_first: bool, transaction: Option<i64>) -> Option<AsOf> {
        if is_first {
            self.left_in = transaction;
            return None;
        }
        Some(self.end(false))
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
            taken_in: None,
            moved_in: None,
        }
    }
}

impl Forward {
    /// Takes the next newer change; returns what the row was if that is known now.
    pub(super) fn step(&mut self, change: &RowChange) -> Option<AsOf> {
        let was_it = change.old_key.as_ref().or(change.key.as_ref()) == Some(&self.key);
        let transaction = Some(change.transaction_id);
        let leaves = match change.operation {
            Operation::Delete => true,
            Operation::Update => was_it && change.old_key.is_some(),
            _ => false,
        };
        if let Some(taken_in) = self.taken_in {
            let is_unclear = leaves && transaction == Some(taken_in);
            return Some(if is_unclear {
                AsOf::Unknown
            } else {
                self.end()
            });
        }
        if leaves && self.moved_in.is_some() && self.moved_in == transaction {
            return Some(AsOf::Unknown);
        }
        match change.operation {
            Operation::Update if was_it => {
                self.learn(change.old.as_ref());
                if change.old_key.is_some()
                    && let Some(key) = &change.key
                {
                    self.key.clone_from(key);
                    self.moved_in = transaction;
                }
                None
            }
            // Another row got the key: there was none of it, or its end is not known.
            Operation::Update | Operation::Insert => {
                self.taken_in = transaction;
                None
            }
            Operation::Delete | Operation::Baseline => {
                // One has all of them in the one, and the other in the other.
                self.learn(change.old.as_ref().or(change.new.as_ref()));
                Some(AsOf::Row(std::mem::take(&mut self.known)))
            }
            _ => Some(AsOf::Unknown),
        }
    }

    /// Takes the row that is there now, after all changes.
    pub(super) fn finish(mut self, row: Option<Columns>) -> AsOf {
        if self.taken_in.is_some() {
            return self.end();
        }
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
