//! A table as it is tracked: its columns, and what is done with each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tower_audit_core::changes::TableName;

use super::Track;
use crate::HistoryError;

/// A table as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: TableName,
    /// What stays when it is renamed, and is another one in a database that was restored.
    pub(crate) oid: u32,
    /// It is itself a partition.
    pub(crate) is_partition: bool,
    /// The role that owns it.
    pub(crate) owner: String,
    /// It has partitions, or may get some.
    pub(crate) is_partitioned: bool,
    pub(crate) columns: Vec<FoundColumn>,
    /// The columns of the primary key.
    pub(crate) key: Vec<String>,
    /// Its partitions, at any depth.
    pub(crate) partitions: Vec<TableName>,
}

/// A column as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    /// What stays when it is renamed (`attnum`).
    pub(crate) number: i16,
    /// The type, as it is written.
    pub(crate) written: String,
    pub(crate) type_oid: u32,
    /// The type below all domains, as it is written.
    pub(crate) base: String,
    /// The operators by which an index has its values, as SQL.
    pub(crate) equals: String,
    pub(crate) greater: String,
    pub(crate) sort: Sort,
    /// The type is `json`, of which text is the value.
    pub(crate) is_json: bool,
    /// It is GENERATED ALWAYS AS IDENTITY: an update can set it to nothing else.
    pub(crate) is_identity: bool,
    /// Its values may be of any length.
    pub(crate) is_long: bool,
    pub(crate) generated: Generated,
    /// The columns that it is made of.
    pub(crate) made_of: Vec<String>,
    /// The type below all domains is made of others that somebody made, of which the checks are run whenever a value is: a composite type, or an
    /// array of domains.
    pub(crate) is_made_of_types: bool,
}

/// What kind of values a column has, by its type under all domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Values that are equal are the same: numbers without a scale, times, ids.
    Exact,
    /// Text, which a collation may take for equal although it differs.
    Text,
    /// Values that may be equal and look different, such as 1.0 and 1.00.
    Image,
    /// The same, and JSON, or who reads it, does not keep all of them as they are: they are recorded as text.
    Foreign,
    /// Bytes.
    Bytes,
}

/// Whether somebody writes the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generated {
    /// It is written.
    No,
    /// It is made from others, and kept.
    Stored,
    /// It is made from others whenever it is read.
    Virtual,
}

/// A table with what is done with each of its columns.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) found: Found,
    pub(crate) track: Track,
    /// What is recorded, in the order of the table.
    pub(crate) columns: Vec<Column>,
    /// The columns by which rows are told apart, if there are any.
    pub(crate) key: Vec<Column>,
}

/// A column that is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) found: FoundColumn,
    pub(crate) mask: Option<Mask>,
    pub(crate) is_key: bool,
}

/// What stands in the history for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    Hidden,
    Hashed,
}

/// The columns of a table as the books have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotedColumns {
    /// The table.
    pub(crate) relation: u32,
    pub(crate) columns: Vec<Noted>,
}

/// A column as the books have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) name: String,
    pub(crate) number: i16,
    pub(crate) r#type: String,
    pub(crate) is_key: bool,
    /// Since when it is recorded, and has been the same column.
    pub(crate) since: DateTime<Utc>,
}

impl FoundColumn {
    /// Returns whether the values are decimal numbers. Those of a domain are not: its type may become another one, which no function notices.
    pub(crate) fn is_numeric(&self) -> bool {
        self.type_oid == NUMERIC
    }

    /// Returns whether the type is the database's own, and no array of another one.
    pub(crate) fn is_builtin(&self) -> bool {
        self.type_oid < FIRST_OF_OTHERS
    }
}

impl Table {
    /// Returns the table with what the settings say.
    ///
    /// # Errors
    ///
    /// Returns an error if the settings do not fit the table.
    pub(crate) fn new(found: Found, track: Track) -> Result<Self, HistoryError> {
        check(&found, &track)?;
        let masks = masks(&found, &track);
        let key = track.key.clone().unwrap_or_else(|| found.key.clone());
        let column = |column: &FoundColumn| Column {
            mask: masks
                .iter()
                .find(|(name, _)| *name == column.name)
                .map(|(_, mask)| *mask),
            is_key: key.contains(&column.name),
            found: column.clone(),
        };
        let columns: Vec<Column> = found
            .columns
            .iter()
            .filter(|column| {
                !track.ignore.contains(&column.name) && column.generated != Generated::Virtual
            })
            .map(column)
            .collect();
        let key = key
            .iter()
            .filter_map(|name| columns.iter().find(|column| column.found.name == *name))
            .cloned()
            .collect();
        Ok(Self {
            found,
            track,
            columns,
            key,
        })
    }

    pub(crate) fn name(&self) -> &TableName {
        &self.found.name
    }

    /// Returns the columns for the books.
    pub(crate) fn noted(&self, since: impl Fn(&FoundColumn) -> DateTime<Utc>) -> Vec<Noted> {
        let noted = |column: &FoundColumn| Noted {
            since: since(column),
            name: column.name.clone(),
            number: column.number,
            r#type: column.written.clone(),
            is_key: self.key.iter().any(|key| key.found.name == column.name),
        };
        self.found.columns.iter().map(noted).collect()
    }

    /// Returns the names of the columns that are masked.
    pub(crate) fn masked(&self) -> Vec<&str> {
        let masked = self.columns.iter().filter(|column| column.mask.is_some());
        masked.map(|column| column.found.name.as_str()).collect()
    }
}

/// Makes sure that the settings name columns that are there.
fn check(found: &Found, track: &Track) -> Result<(), HistoryError> {
    let there: Vec<String> = found
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    let named = track.ignore.iter().chain(&track.mask).chain(&track.hash);
    let named = named.chain(track.key.iter().flatten());
    let missing: Vec<String> = named
        .filter(|name| !there.contains(name))
        .cloned()
        .collect();
    let table = found.name.clone();
    if !missing.is_empty() {
        return Err(HistoryError::NoColumn {
            table,
            missing,
            there,
        });
    }
    let key = track.key.as_ref().unwrap_or(&found.key);
    let is_virtual = |name: &&String| {
        let mut columns = found.columns.iter();
        columns.any(|column| column.name == **name && column.generated == Generated::Virtual)
    };
    let lost = key
        .iter()
        .filter(|name| track.ignore.contains(*name) || is_virtual(name));
    let columns: Vec<String> = lost.cloned().collect();
    if columns.is_empty() {
        Ok(())
    } else {
        Err(HistoryError::IgnoredKey { table, columns })
    }
}

/// Returns which columns are masked: those that were named, and what is made of them.
fn masks<'a>(found: &'a Found, track: &Track) -> Vec<(&'a str, Mask)> {
    let mask = |column: &'a FoundColumn| {
        let is_made_of_masked = || {
            let mut of = column.made_of.iter();
            of.any(|name| track.mask.contains(name) || track.hash.contains(name))
        };
        if track.mask.contains(&column.name) || is_made_of_masked() {
            Some((column.name.as_str(), Mask::Hidden))
        } else if track.hash.contains(&column.name) {
            Some((column.name.as_str(), Mask::Hashed))
        } else {
            None
        }
    };
    found.columns.iter().filter_map(mask).collect()
}

/// See `pg_type.dat`.
const NUMERIC: u32 = 1700;

/// The first number that a type can have which somebody made (`FirstNormalObjectId`).
const FIRST_OF_OTHERS: u32 = 16_384;
