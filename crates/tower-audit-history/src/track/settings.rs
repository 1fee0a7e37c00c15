//! How a table is tracked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How a table is tracked.
///
/// ```
/// use tower_audit_history::{Track, WithoutContext};
///
/// let track = Track::new()
///     .ignore(["updated_at"])
///     .mask(["api_token"])
///     .without_context(WithoutContext::Require);
/// # let _ = track;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use = "it does nothing until a table is tracked with it"]
pub struct Track {
    pub(crate) ignore: BTreeSet<String>,
    pub(crate) mask: BTreeSet<String>,
    pub(crate) hash: BTreeSet<String>,
    pub(crate) key: Option<Vec<String>>,
    pub(crate) without_context: WithoutContext,
    pub(crate) triggers: Triggers,
    pub(crate) longest_value: u32,
}

/// What becomes of a change that nobody gave a [context](crate::AuditedTransaction).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WithoutContext {
    /// It is recorded as the system's, beside the database user.
    #[default]
    Allow,
    /// The same, and the client gets a warning.
    Warn,
    /// It is refused, and with it the statement.
    Require,
}

/// How often the triggers of a table run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Triggers {
    /// For each row: for tables of which requests change a few rows at a time. New partitions are covered by themselves.
    #[default]
    Row,
    /// Once a statement, for all of its rows: for tables that are loaded in bulk. A new partition is covered for statements that name the
    /// table, and for those that name the partition itself after the table was tracked again. What triggers of the app change while the
    /// statement runs is recorded before the statement itself. For a partitioned table that is changed by MERGE take [`Row`](Self::Row): see
    /// [what it does not do](crate#what-it-does-not-do).
    Statement,
}

impl Track {
    /// Returns the settings that record everything.
    pub fn new() -> Self {
        Self {
            ignore: BTreeSet::new(),
            mask: BTreeSet::new(),
            hash: BTreeSet::new(),
            key: None,
            without_context: WithoutContext::default(),
            triggers: Triggers::default(),
            longest_value: 1 << 20,
        }
    }

    /// Adds columns that are not recorded; a change of them alone is none. Defaults to none.
    pub fn ignore<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.ignore.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Adds columns of which it is recorded that they changed, and not from what to what. That a value is NULL is not hidden. Generated
    /// columns that are made of them are masked, too. Defaults to none.
    pub fn mask<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.mask.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Adds columns that are masked, and of which a keyed hash tells which values are the same. It needs a
    /// [key](crate::HistoryBuilder::mask_key). Defaults to none.
    pub fn hash<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.hash.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Sets the columns by which rows are told apart. Defaults to the primary key.
    pub fn key<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.key = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Sets what becomes of a change without a context. Defaults to [`WithoutContext::Allow`].
    pub fn without_context(mut self, without: WithoutContext) -> Self {
        self.without_context = without;
        self
    }

    /// Sets how often the triggers run. Defaults to [`Triggers::Row`].
    pub fn triggers(mut self, triggers: Triggers) -> Self {
        self.triggers = triggers;
        self
    }

    /// Sets how many bytes a value may have; of a longer one its hash and its length are recorded. Defaults to 1 MiB.
    pub fn longest_value(mut self, bytes: u32) -> Self {
        self.longest_value = bytes;
        self
    }
}

impl Default for Track {
    fn default() -> Self {
        Self::new()
    }
}
