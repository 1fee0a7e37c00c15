//! What a row was, from the changes before and after a moment: no database.

use std::collections::BTreeMap;

use serde_json::Value;
use tower_audit_core::changes::{Columns, Operation, RowChange};

/// What a row was at a moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AsOf {
    /// It was this. A column that is hidden says so; one that was added later is not there.
    Row(Columns),
    /// There was no row of this key.
    NoRow,
    /// The history cannot tell: it begins later, or the row is gone and it is not known when; or a transaction swapped keys among rows, or
    /// did to the row what does not follow from what it did before.
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
    /// Whether it may have been deleted by a TRUNCATE of a partition since the last change.
    may_be_gone: bool,
    /// How the row was inserted, and in which transaction.
    inserted: Option<(i64, Option<Columns>)>,
    /// The transaction in which a row left the key, before anything else was said of it.
    left_in: Option<i64>,
    /// The transaction in which the row got another key.
    moved_in: Option<i64>,
    order: Order,
}

/// Goes on from a moment to find out what the row was then.
#[derive(Debug)]
pub(super) struct Forward {
    /// The key that the row has at the moment that was reached.
    pub(super) key: Columns,
    /// What is known of the row at the moment, if there was one.
    known: Columns,
    /// Whether it is known that there was one.
    was_there: bool,
    /// Whether it may have been deleted by a TRUNCATE of a partition until now.
    may_be_gone: bool,
    /// The transaction in which another row got the key, before anything else was said of it.
    taken_in: Option<i64>,
    /// The transaction in which the row got another key.
    moved_in: Option<i64>,
    order: Order,
}

/// What becomes of the search with a change.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// The next change has to be looked at.
    On,
    /// This is what the row was.
    Found(AsOf),
    /// This is what the row was if it was still there: what comes after the moment tells.
    FoundIfThere(Columns),
}

impl Backward {
    pub(super) fn new(key: Columns) -> Self {
        Self {
            key,
            known: Columns::new(),
            has_begun: false,
            may_be_gone: false,
            inserted: None,
            left_in: None,
            moved_in: None,
            order: Order::default(),
        }
    }

    /// Takes the next older change.
    pub(super) fn step(&mut self, change: &RowChange) -> Step {
        let is_of_it = change.key.as_ref() == Some(&self.key);
        let transaction = Some(change.transaction_id);
        if let Some(inserted) = self.inserted.take() {
            return self.before_insert(change, is_of_it, &inserted);
        }
        if let Some(found) = self.end_of_transaction(change, is_of_it) {
            return Step::Found(found);
        }
        if is_of_a_partition(change) {
            // If anything newer is said of the row, it was not in there.
            self.may_be_gone |= !self.has_begun;
            return Step::On;
        }
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match change.operation {
            Operation::Truncate => self.ends(is_first),
            // Whatever was deleted, or got another key, before anything else is said of the row was not there.
            Operation::Delete => self.leaves(is_first, transaction),
            Operation::Update if !is_of_it => self.leaves(is_first, transaction),
            Operation::Update => {
                learn(&mut self.known, change.new.as_ref());
                if let Some(key) = &change.old_key {
                    self.key.clone_from(key);
                    self.moved_in = transaction;
                }
                Step::On
            }
            Operation::Insert => {
                learn(&mut self.known, change.new.as_ref());
                self.inserted = Some((change.transaction_id, change.new.clone()));
                Step::On
            }
            _ => {
                learn(&mut self.known, change.new.as_ref());
                self.found()
            }
        }
    }

    /// Takes what comes before an insert. What triggers of the app did to the row then may be recorded before it.
    fn before_insert(
        &mut self,
        change: &RowChange,
        is_of_it: bool,
        (transaction, new): &(i64, Option<Columns>),
    ) -> Step {
        let is_of_the_inserted = match change.operation {
            Operation::Update => is_of_it,
            Operation::Delete => change.old == *new,
            _ => false,
        };
        if is_of_the_inserted && change.transaction_id == *transaction {
            return Step::Found(AsOf::Unknown);
        }
        self.found()
    }

    /// Returns what a change tells together with what else its transaction did.
    fn end_of_transaction(&mut self, change: &RowChange, is_of_it: bool) -> Option<AsOf> {
        let arrives = match change.operation {
            Operation::Insert => true,
            Operation::Update => is_of_it && change.old_key.is_some(),
            _ => false,
        };
        let arrives_in = arrives.then_some(change.transaction_id);
        if self.left_in.is_some() {
            let is_unclear = arrives_in == self.left_in;
            return Some(if is_unclear {
                AsOf::Unknown
            } else {
                AsOf::NoRow
            });
        }
        let is_swapped = arrives && arrives_in == self.moved_in;
        let is_broken = self
            .order
            .is_broken_by(change, &self.known, (&change.new, &change.old));
        (is_swapped || is_broken).then_some(AsOf::Unknown)
    }

    /// Returns what the row was if nothing older is known.
    pub(super) fn at_the_begin(&mut self) -> Option<Step> {
        if self.left_in.is_some() {
            return Some(Step::Found(AsOf::NoRow));
        }
        if self.inserted.is_some() {
            return Some(self.found());
        }
        self.order.is_open().then_some(Step::Found(AsOf::Unknown))
    }

    fn found(&mut self) -> Step {
        let known = std::mem::take(&mut self.known);
        if self.may_be_gone {
            Step::FoundIfThere(known)
        } else {
            Step::Found(AsOf::Row(known))
        }
    }

    fn leaves(&mut self, is_first: bool, transaction: Option<i64>) -> Step {
        if is_first {
            self.left_in = transaction;
            return Step::On;
        }
        self.ends(false)
    }

    /// Returns what is known where nothing more can be.
    fn ends(&mut self, is_first: bool) -> Step {
        Step::Found(if is_first { AsOf::NoRow } else { AsOf::Unknown })
    }

    /// Goes on with what comes after the moment, where the history does not reach back to the row's begin.
    pub(super) fn turn(self, key_at_moment: Columns) -> Forward {
        let was_there = !self.known.is_empty() && !self.may_be_gone;
        Forward::new(key_at_moment, self.known, was_there)
    }
}

impl Forward {
    pub(super) fn new(key: Columns, known: Columns, was_there: bool) -> Self {
        Self {
            key,
            known,
            was_there,
            may_be_gone: false,
            taken_in: None,
            moved_in: None,
            order: Order::default(),
        }
    }

    /// Takes the next newer change; returns what the row was if that is known now.
    pub(super) fn step(&mut self, change: &RowChange) -> Option<AsOf> {
        let was_it = change.old_key.as_ref().or(change.key.as_ref()) == Some(&self.key);
        let transaction = Some(change.transaction_id);
        if let Some(found) = self.end_of_transaction(change, was_it) {
            return Some(found);
        }
        match change.operation {
            Operation::Update if was_it => {
                self.was_there = true;
                learn(&mut self.known, change.old.as_ref());
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
                let all = change.old.as_ref().or(change.new.as_ref());
                learn(&mut self.known, all);
                Some(AsOf::Row(std::mem::take(&mut self.known)))
            }
            Operation::Truncate if is_of_a_partition(change) => {
                self.may_be_gone = true;
                None
            }
            // Whatever was there then, all rows were deleted before anything else is known of it.
            _ => Some(AsOf::Unknown),
        }
    }

    /// Returns what a change tells together with what else its transaction did.
    fn end_of_transaction(&mut self, change: &RowChange, was_it: bool) -> Option<AsOf> {
        let leaves = match change.operation {
            Operation::Delete => true,
            Operation::Update => was_it && change.old_key.is_some(),
            _ => false,
        };
        let leaves_in = leaves.then_some(change.transaction_id);
        if self.taken_in.is_some() {
            let is_unclear = leaves_in == self.taken_in;
            return Some(if is_unclear {
                AsOf::Unknown
            } else {
                self.end()
            });
        }
        let is_swapped = leaves && leaves_in == self.moved_in;
        let is_broken = self
            .order
            .is_broken_by(change, &self.known, (&change.old, &change.new));
        (is_swapped || is_broken).then_some(AsOf::Unknown)
    }

    /// Takes the row that is there now, after all changes.
    pub(super) fn finish(mut self, row: Option<Columns>) -> AsOf {
        if self.taken_in.is_some() {
            return self.end();
        }
        match row {
            Some(row) if !self.order.ends_with(&row) => AsOf::Unknown,
            Some(row) => {
                learn(&mut self.known, Some(&row));
                AsOf::Row(self.known)
            }
            None => self.end(),
        }
    }

    fn end(&self) -> AsOf {
        if self.was_there || self.may_be_gone {
            AsOf::Unknown
        } else {
            AsOf::NoRow
        }
    }
}

fn learn(known: &mut Columns, columns: Option<&Columns>) {
    for (name, value) in columns.into_iter().flatten() {
        if !known.contains_key(name) {
            known.insert(name.clone(), value.clone());
        }
    }
}

/// Returns whether a TRUNCATE was one of a partition, which has its name there.
fn is_of_a_partition(change: &RowChange) -> bool {
    change.operation == Operation::Truncate && change.old.is_some()
}

/// What the changes of a row in one transaction left of the columns that they tell about, as they were looked at: the next one has to fit.
/// What triggers of the app do to the row while a statement runs may be recorded before the statement.
///
/// Changes that fit, and lead from one value to another, fit in no order that would lead elsewhere. Those that lead back to the value with which
/// they begin fit in more than one: there the transaction before, or after, has to fit, too.
#[derive(Debug, Default)]
struct Order {
    transaction: Option<i64>,
    columns: BTreeMap<String, Told>,
    /// What has to be there beyond the transaction.
    owed: Columns,
}

/// What a transaction told of a column.
#[derive(Debug)]
struct Told {
    first: Value,
    left: Value,
    changes: u32,
}

impl Told {
    fn leads_back(&self) -> bool {
        self.changes > 1 && self.first == self.left
    }
}

impl Order {
    /// Takes the next change: what it has on the near side of the way, and on the far one.
    fn is_broken_by(
        &mut self,
        change: &RowChange,
        known: &Columns,
        (near, far): (&Option<Columns>, &Option<Columns>),
    ) -> bool {
        let transaction = Some(change.transaction_id);
        if std::mem::replace(&mut self.transaction, transaction) != transaction {
            let ended = std::mem::take(&mut self.columns).into_iter();
            let owed = ended.filter(|(_, told)| told.leads_back());
            self.owed.extend(owed.map(|(name, told)| (name, told.left)));
        }
        let mut is_broken = false;
        for (name, value) in near.iter().flatten() {
            let left = self.columns.get(name).map(|told| &told.left);
            is_broken |= left.is_some_and(|left| left != value);
            is_broken |= self.owed.remove(name).is_some_and(|owed| owed != *value);
        }
        for (name, value) in far.iter().flatten() {
            if let Some(told) = self.columns.get_mut(name) {
                told.left = value.clone();
                told.changes += 1;
            } else if !known.contains_key(name)
                && let Some(first) = near.as_ref().and_then(|near| near.get(name))
            {
                // What is known from elsewhere stays true.
                let (first, left) = (first.clone(), value.clone());
                let told = Told {
                    first,
                    left,
                    changes: 1,
                };
                self.columns.insert(name.clone(), told);
            }
        }
        is_broken
    }

    /// Returns whether something would have to be known from beyond.
    fn is_open(&self) -> bool {
        !self.owed.is_empty() || self.columns.values().any(Told::leads_back)
    }

    /// Returns whether this is what has to be there beyond all changes.
    fn ends_with(&self, row: &Columns) -> bool {
        let is_there =
            |name: &String, value: &Value| row.get(name).is_none_or(|there| there == value);
        let last = self
            .columns
            .iter()
            .all(|(name, told)| is_there(name, &told.left));
        last && self.owed.iter().all(|(name, value)| is_there(name, value))
    }
}
