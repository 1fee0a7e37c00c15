//! What happened to a row.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Operation, TableName};
use crate::event::{Actor, EventId};

/// Values by the names of their columns.
pub type Columns = Map<String, Value>;

/// What happened to a row of a table of the app.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RowChange {
    /// The identity of the change.
    pub id: Uuid,
    /// When it was done, by the clock of the database. Changes of one row have the order in which they were done.
    pub at: DateTime<Utc>,
    /// The table.
    pub table: TableName,
    /// What was done.
    pub operation: Operation,
    /// The primary key of the row, after the change if there is a row then. `None` for a table without one, and for a
    /// [truncate](Operation::Truncate).
    pub key: Option<Columns>,
    /// What the key was before, if the change made it another one.
    pub old_key: Option<Columns>,
    /// Of an update the columns that got other values, with what they were; of a delete all columns. A column that is
    /// [hidden](Hidden) says so. Of a [truncate](Operation::Truncate) of a partition `partition`, with its name.
    pub old: Option<Columns>,
    /// Of an update the columns that got other values, with what they became; of an insert and a baseline all columns.
    pub new: Option<Columns>,
    /// On whose behalf it was done, as the app said; the system if it said nothing.
    pub actor: Actor,
    /// The request, as the app said.
    pub request_id: Option<String>,
    /// The audit event that it belongs to, as the app said.
    pub event_id: Option<EventId>,
    /// The tenant, as the app said.
    pub tenant_id: Option<String>,
    /// The number of the transaction. A hint which changes were made together: numbers mean nothing in a database that
    /// was restored.
    pub transaction_id: i64,
    /// The database user who was connected.
    pub database_user: String,
    /// The role that the user had taken on by SET ROLE.
    pub database_role: Option<String>,
}

/// What became of one column.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FieldChange<'a> {
    /// The column.
    pub column: &'a str,
    /// What it was; `None` if there was no row.
    pub old: Option<&'a Value>,
    /// What it became; `None` if there is no row any more.
    pub new: Option<&'a Value>,
}

/// Why a value is not in the history although its column is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hidden<'a> {
    /// The column is masked.
    Masked,
    /// The column is masked, and a keyed hash tells which values are the same: `hmac-sha256:<id of the key>:<hash>`.
    Hashed(&'a str),
    /// The value was too long. Its hash, `sha256:<hash>`, and how many bytes it has.
    TooLong {
        /// The hash.
        hash: &'a str,
        /// The length.
        bytes: u64,
    },
    /// The table has changed since it was tracked, and nobody knew whether the column is masked.
    Unknown,
}

impl RowChange {
    /// Returns a change of which nothing is known but what was done to which table, by whom.
    #[must_use]
    pub fn new(
        id: Uuid,
        at: DateTime<Utc>,
        table: TableName,
        operation: Operation,
        actor: Actor,
    ) -> Self {
        Self {
            id,
            at,
            table,
            operation,
            key: None,
            old_key: None,
            old: None,
            new: None,
            actor,
            request_id: None,
            event_id: None,
            tenant_id: None,
            transaction_id: 0,
            database_user: String::new(),
            database_role: None,
        }
    }

    /// Returns what became of each column that the change knows of, by name.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldChange<'_>> {
        let (old, new) = (self.old.as_ref(), self.new.as_ref());
        let names = old.into_iter().chain(new).flat_map(Map::keys);
        let mut names: Vec<&str> = names.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let field = |column| FieldChange {
            column,
            old: old.and_then(|old| old.get(column)),
            new: new.and_then(|new| new.get(column)),
        };
        names.into_iter().map(field).collect()
    }
}

impl<'a> Hidden<'a> {
    /// Returns why this value of a history is not there, or `None` if it is.
    ///
    /// ```
    /// use serde_json::json;
    /// use tower_audit_core::changes::Hidden;
    ///
    /// assert_eq!(Hidden::of(&json!({"tower_audit": "masked"})), Some(Hidden::Masked));
    /// assert_eq!(Hidden::of(&json!("masked")), None);
    /// ```
    #[must_use]
    pub fn of(value: &'a Value) -> Option<Self> {
        let value = value.as_object()?;
        let hidden = value.get(MARK)?.as_str()?;
        match (hidden, value.len()) {
            ("masked", 1) => Some(Self::Masked),
            ("unknown", 1) => Some(Self::Unknown),
            (hash, 1) if hash.starts_with("hmac-sha256:") => Some(Self::Hashed(hash)),
            (hash, 2) if hash.starts_with("sha256:") => Some(Self::TooLong {
                hash,
                bytes: value.get("bytes")?.as_u64()?,
            }),
            _ => None,
        }
    }
}

/// The member by which a value that is not there is told from one that is.
const MARK: &str = "tower_audit";

/// A change as it is written: named like the columns of its table, and without what is not there.
#[derive(Serialize)]
struct Written<'a> {
    id: String,
    at: String,
    table: String,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Columns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_key: Option<&'a Columns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<&'a Columns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<&'a Columns>,
    actor_type: &'static str,
    actor_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
    transaction_id: i64,
    database_user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_role: Option<&'a str>,
}

impl<'a> From<&'a RowChange> for Written<'a> {
    fn from(change: &'a RowChange) -> Self {
        Self {
            id: change.id.to_string(),
            at: change.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            table: change.table.to_string(),
            operation: change.operation.as_str(),
            key: change.key.as_ref(),
            old_key: change.old_key.as_ref(),
            old: change.old.as_ref(),
            new: change.new.as_ref(),
            actor_type: change.actor.kind().as_str(),
            actor_id: change.actor.id(),
            request_id: change.request_id.as_deref(),
            audit_id: change.event_id.map(|id| id.to_string()),
            tenant_id: change.tenant_id.as_deref(),
            transaction_id: change.transaction_id,
            database_user: &change.database_user,
            database_role: change.database_role.as_deref(),
        }
    }
}

impl Serialize for RowChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::from(self).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_column_is_named_once_with_what_it_was_and_became() {
        let table = TableName::new("public", "jobs");
        let (id, at) = (Uuid::nil(), DateTime::UNIX_EPOCH);
        let mut change = RowChange::new(id, at, table, Operation::Update, Actor::system());
        change.old = json!({"name": "a", "plan": null}).as_object().cloned();
        change.new = json!({"name": "b", "plan": "pro"}).as_object().cloned();
        let fields: Vec<_> = change
            .fields()
            .into_iter()
            .map(|field| (field.column, field.old.cloned(), field.new.cloned()))
            .collect();
        assert_eq!(
            fields,
            [
                ("name", Some(json!("a")), Some(json!("b"))),
                ("plan", Some(json!(null)), Some(json!("pro"))),
            ]
        );
    }

    #[test]
    fn a_value_of_the_app_is_not_taken_for_one_that_is_hidden() {
        for value in [
            json!("tower_audit"),
            json!({"tower_audit": 7}),
            json!({"tower_audit": "masked", "a": 1}),
            json!({"tower_audit": "sha256:ab"}),
        ] {
            assert_eq!(Hidden::of(&value), None, "{value}");
        }
        let long = json!({"tower_audit": "sha256:ab", "bytes": 7});
        assert_eq!(
            Hidden::of(&long),
            Some(Hidden::TooLong {
                hash: "sha256:ab",
                bytes: 7
            })
        );
    }
}
