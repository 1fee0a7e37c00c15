//! The names that are made from that of the table, which is a validated identifier.

use chrono::{DateTime, Utc};

use crate::postgres::PgStore;

/// The names that partitions bring with them.
pub(super) struct Names {
    schema: String,
    base: String,
    /// With its schema, quoted.
    pub(super) table: String,
}

impl Names {
    pub(super) fn of(store: &PgStore) -> Self {
        let (schema, table) = store.name();
        let (schema, base) = (schema.as_str().to_owned(), table.as_str().to_owned());
        Self {
            table: format!(r#""{schema}"."{base}""#),
            schema,
            base,
        }
    }

    /// The primary key of the table, if that has partitions.
    pub(super) fn key(&self) -> String {
        format!("{}_key", self.base)
    }

    /// The partition that was the table before.
    pub(super) fn first(&self) -> String {
        format!("{}_first", self.base)
    }

    /// The index that becomes the primary key of that partition.
    pub(super) fn first_key(&self) -> String {
        format!("{}_first_key", self.base)
    }

    /// The check that holds while the table is converted.
    pub(super) fn bound(&self) -> String {
        bound(&self.base)
    }

    /// The trigger that refuses TRUNCATE.
    pub(super) fn no_truncate(&self) -> String {
        format!("{}_no_truncate", self.base)
    }

    /// The function that refuses what is not append-only, with its schema, quoted.
    pub(super) fn append_only(&self) -> String {
        self.in_schema(&format!("{}_append_only", self.base))
    }

    /// The partition of which the time begins then, with its schema, quoted.
    pub(super) fn partition(&self, from: DateTime<Utc>) -> String {
        self.in_schema(&partition(&self.base, from))
    }

    /// A partition that is there: somebody else may have named it.
    pub(super) fn existing(&self, partition: &str) -> String {
        self.in_schema(&partition.replace('"', "\"\""))
    }

    pub(super) fn in_schema(&self, name: &str) -> String {
        format!(r#""{}"."{name}""#, self.schema)
    }
}

/// The name of the partition of which the time begins then.
pub(super) fn partition(table: &str, from: DateTime<Utc>) -> String {
    format!("{table}_{}", from.format("%Y%m%d"))
}

/// The name of the check that holds while the table is converted.
pub(in crate::postgres) fn bound(table: &str) -> String {
    format!("{table}_first_bound")
}
