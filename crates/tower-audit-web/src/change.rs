//! A change of a row as it is shown.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;
use tower_audit_core::changes::{Columns, FieldChange, Hidden, RowChange};
use utoipa::ToSchema;

use crate::event::{exact, time};

/// What happened to a row of one of the app's own tables. What is not known, or not for the caller to see, is left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Change {
    /// The identity of the change.
    #[schema(format = Uuid)]
    pub(crate) id: String,
    /// When it was done, by the clock of the database, in UTC with microseconds.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// The table with its schema, such as `public.jobs`.
    pub(crate) table: String,
    /// What was done: `insert`, `update`, `delete`, `truncate` or `baseline`.
    pub(crate) operation: &'static str,
    /// The primary key of the row, column by column; after the change if there is a row then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<BTreeMap<String, ColumnValue>>,
    /// What the key was before, if the change made it another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old_key: Option<BTreeMap<String, ColumnValue>>,
    /// What became of each column that the change knows of, by name.
    pub(crate) fields: Vec<ColumnChange>,
    /// What kind of actor it was done for, as the app said: `user`, `system`, `api_key` or `anonymous`.
    pub(crate) actor_type: &'static str,
    /// For whom it was done, as the app said.
    pub(crate) actor_id: String,
    /// The request, as the app said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// The tenant, as the app said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant_id: Option<String>,
    /// The database user who was connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database_user: Option<String>,
    /// The role that the user had taken on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database_role: Option<String>,
    /// The number of the transaction. Text, because a JavaScript reader would round it.
    pub(crate) transaction_id: String,
}

/// What became of one column.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ColumnChange {
    /// The column.
    pub(crate) column: String,
    /// What it was; left out if there was no row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<ColumnValue>,
    /// What it became; left out if there is no row any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<ColumnValue>,
}

/// What a column held, or why that is not shown.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ColumnValue {
    /// The column held this.
    Value {
        /// Any JSON. Whole numbers that a JavaScript reader would round are text.
        #[serde(serialize_with = "exactly")]
        value: Value,
    },
    /// What the column held is hidden.
    Hidden {
        /// Why it is.
        hidden: WhyHidden,
        /// Values with the same hash are the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
        /// How long the value is.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
}

/// Why a value is hidden: its column is masked, without a hash or with one; it was too long to keep; nobody knew whether
/// the column is masked; or it is not for the caller to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhyHidden {
    Masked,
    Hashed,
    TooLong,
    Unknown,
    Personal,
}

impl Change {
    /// Returns the change as it is shown to whoever sees what is personal, or does not. Any value of a row may be personal.
    pub(crate) fn of(change: &RowChange, sees_personal_data: bool) -> Self {
        let value = |value: &Value| ColumnValue::of(value, sees_personal_data);
        let key = |key: &Columns| -> BTreeMap<String, ColumnValue> {
            let columns = key.iter();
            columns
                .map(|(column, held)| (column.clone(), value(held)))
                .collect()
        };
        let field = |field: FieldChange<'_>| ColumnChange {
            column: field.column.to_owned(),
            old: field.old.map(value),
            new: field.new.map(value),
        };
        let role = change.database_role.clone();
        Self {
            id: change.id.to_string(),
            at: time(change.at),
            table: change.table.to_string(),
            operation: change.operation.as_str(),
            key: change.key.as_ref().map(key),
            old_key: change.old_key.as_ref().map(key),
            fields: change.fields().into_iter().map(field).collect(),
            actor_type: change.actor.kind().as_str(),
            actor_id: change.actor.id().to_owned(),
            request_id: change.request_id.clone(),
            tenant_id: change.tenant_id.clone(),
            database_user: sees_personal_data.then(|| change.database_user.clone()),
            database_role: role.filter(|_| sees_personal_data),
            transaction_id: change.transaction_id.to_string(),
        }
    }
}

impl ColumnValue {
    fn of(value: &Value, sees_personal_data: bool) -> Self {
        if !sees_personal_data {
            // Not even whether it is the same as another one.
            return Self::hidden(WhyHidden::Personal);
        }
        match Hidden::of(value) {
            None => Self::Value {
                value: value.clone(),
            },
            Some(Hidden::Masked) => Self::hidden(WhyHidden::Masked),
            Some(Hidden::Hashed(hash)) => Self::Hidden {
                hidden: WhyHidden::Hashed,
                hash: Some(hash.to_owned()),
                bytes: None,
            },
            Some(Hidden::TooLong { hash, bytes }) => Self::Hidden {
                hidden: WhyHidden::TooLong,
                hash: Some(hash.to_owned()),
                bytes: Some(bytes),
            },
            Some(_) => Self::hidden(WhyHidden::Unknown),
        }
    }

    fn hidden(hidden: WhyHidden) -> Self {
        Self::Hidden {
            hidden,
            hash: None,
            bytes: None,
        }
    }
}

fn exactly<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    exact(value.clone()).serialize(serializer)
}
