//! A row as it is now, in the words of the history.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, types::Json};
use tower_audit_core::changes::{Columns, TableName};

use super::exact::Exact;
use crate::{
    History, HistoryError,
    error::code,
    names::{Names, quoted, quoted_table},
    track::{
        Entry, Former, FormerColumn, Table, are_there, catalog, entry, generate::Expressions,
        is_as_noted, is_not_another, table::Column, with_their_columns,
    },
};

/// A table of which rows are looked up by their key.
pub(crate) struct Live<'a> {
    history: &'a History,
    pub(crate) table: Table,
    /// All names that the table had.
    pub(crate) names: Vec<Former>,
    pub(crate) begun_at: DateTime<Utc>,
    /// Whether its columns mean what they did when it was tracked.
    pub(crate) is_as_noted: bool,
    /// Whether its triggers are there and fire.
    pub(crate) is_covered: bool,
    /// Since when each of its columns has been recorded.
    since: BTreeMap<String, DateTime<Utc>>,
    /// Those that were recorded before.
    former_columns: Vec<FormerColumn>,
}

impl<'a> Live<'a> {
    /// Returns a table that is tracked.
    pub(crate) async fn find(
        history: &'a History,
        connection: &mut PgConnection,
        name: &TableName,
    ) -> Result<Self, HistoryError> {
        let entry = entry(history, connection, name).await?;
        let found = catalog::find(connection, name).await?;
        is_not_another(history, connection, &entry, &found).await?;
        let mut track = entry.track.clone();
        // Whoever reads cannot hash: the key is the owner's.
        let hashed = std::mem::take(&mut track.hash);
        track.mask.extend(hashed);
        let table = Table::new(found, track)?;
        refuse_key_of_types(&table)?;
        let is_as_noted = is_as_noted(&entry.columns, &table);
        let is_covered = are_there(connection, &history.names, &table).await?;
        let since = since(&entry, &table);
        let mut names = entry.former_names;
        names.push(Former {
            schema: entry.name.schema().to_owned(),
            table: entry.name.table().to_owned(),
            from: entry.named_at,
            until: DateTime::<Utc>::MAX_UTC,
        });
        Ok(Self {
            history,
            table,
            names,
            begun_at: entry.begun_at,
            is_as_noted,
            is_covered,
            since,
            former_columns: entry.former_columns,
        })
    }

    /// Returns its rows, as SQL: without those of tables that inherit from it, which have histories of their own.
    pub(crate) fn rows(&self) -> String {
        let table = quoted_table(self.table.name());
        match self.table.found.is_partitioned {
            true => table,
            false => format!("ONLY {table}"),
        }
    }

    /// Returns where its history is.
    pub(crate) fn history_names(&self) -> &Names {
        &self.history.names
    }

    /// Returns expressions of the columns of this table.
    pub(crate) fn expressions(&self) -> Expressions<'_> {
        Expressions::new(&self.history.names, &self.table)
    }

    /// Returns whether a column is one that the table has now, and that was recorded then.
    pub(crate) fn has_since(&self, column: &str, time: DateTime<Utc>) -> bool {
        self.since.get(column).is_some_and(|since| *since <= time)
    }

    /// Returns whether a row lacks a column that the table has now, and that was recorded then.
    pub(crate) fn lacks_any_since(&self, row: &Columns, time: DateTime<Utc>) -> bool {
        let mut since = self.since.iter();
        since.any(|(name, since)| *since <= time && !row.contains_key(name))
    }

    /// Returns whether what a change tells of a column is told of the one that had this name at another moment.
    pub(crate) fn is_same_column(
        &self,
        column: &str,
        changed: DateTime<Utc>,
        time: DateTime<Utc>,
    ) -> bool {
        if let Some(since) = self.since.get(column).filter(|since| **since <= time) {
            return *since <= changed;
        }
        let mut former = self.former_columns.iter();
        former.any(|former| {
            let has = |moment| former.from <= moment && moment < former.until;
            former.name == column && has(changed) && has(time)
        })
    }

    /// Returns a key as the history spells it.
    pub(crate) async fn spelled(
        &self,
        connection: &mut PgConnection,
        key: &Columns,
    ) -> Result<Columns, HistoryError> {
        self.check(key)?;
        let sql = format!(
            "SELECT {} FROM {}",
            self.expressions().key("k"),
            record("$1", "k", &self.table.key)
        );
        let spelled = sqlx::query_scalar(AssertSqlSafe(sql)).bind(Value::Object(key.clone()));
        match spelled.fetch_one(connection).await {
            Ok(Json(spelled)) => Ok(spelled),
            Err(error) => match error.as_database_error() {
                // data_exception
                Some(why) if code(&error).is_some_and(|code| code.starts_with("22")) => {
                    Err(HistoryError::NoSuchKey {
                        table: self.table.name().clone(),
                        why: why.message().to_owned(),
                    })
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Returns the key of the row that has it, as that row spells it: values that are equal may be spelled in more than one way.
    pub(crate) async fn own_key(
        &self,
        connection: &mut PgConnection,
        key: Columns,
    ) -> Result<Columns, HistoryError> {
        let own = self.expressions().key("r");
        let own = self.select(connection, &key, &own).await?;
        Ok(own.unwrap_or(key))
    }

    /// Makes sure that a key names the columns of the table's key.
    fn check(&self, key: &Columns) -> Result<(), HistoryError> {
        if self.table.key.is_empty() {
            return Err(HistoryError::NoKey(self.table.name().clone()));
        }
        if self.table.key.iter().any(|column| column.mask.is_some()) {
            return Err(HistoryError::MaskedKey(self.table.name().clone()));
        }
        let columns: Vec<String> = self
            .table
            .key
            .iter()
            .map(|column| column.found.name.clone())
            .collect();
        if key.len() == columns.len() && columns.iter().all(|column| key.contains_key(column)) {
            return Ok(());
        }
        Err(HistoryError::OtherKey {
            table: self.table.name().clone(),
            columns,
        })
    }

    /// Returns a condition that the row `r` has the key that the record `k` has.
    pub(crate) fn has_key(&self) -> String {
        let columns = self.table.key.iter();
        let same = columns.map(|column| {
            let (name, equals) = (quoted(&column.found.name), &column.found.equals);
            format!("r.{name} {equals} k.{name}")
        });
        same.collect::<Vec<_>>().join(" AND ")
    }

    /// Returns the row of this key as the history would record it, if there is one.
    pub(crate) async fn row(
        &self,
        connection: &mut PgConnection,
        key: &Columns,
    ) -> Result<Option<Columns>, HistoryError> {
        let row = self.expressions().row("r");
        self.select(connection, key, &row).await
    }

    /// Returns what an expression makes of the row of this key, if there is one.
    async fn select(
        &self,
        connection: &mut PgConnection,
        key: &Columns,
        expression: &str,
    ) -> Result<Option<Columns>, HistoryError> {
        let sql = format!(
            "SELECT {expression} FROM {} AS r, {} WHERE {}",
            self.rows(),
            record("$1", "k", &self.table.key),
            self.has_key()
        );
        let row: Option<Json<Exact>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(Value::Object(key.clone()))
            .fetch_optional(connection)
            .await?;
        Ok(row.map(|Json(Exact(row))| row))
    }
}

/// Returns since when each column that the table has now has been recorded.
fn since(entry: &Entry, table: &Table) -> BTreeMap<String, DateTime<Utc>> {
    let is_recorded = |name: &String| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.found.name == *name)
    };
    let columns = with_their_columns(&entry.columns, &table.found).into_iter();
    columns
        .filter_map(|(noted, column)| Some((column?.name.clone(), noted.since)))
        .filter(|(name, _)| is_recorded(name))
        .collect()
}

/// Refuses a key of which each value that is made runs what its owner wrote.
fn refuse_key_of_types(table: &Table) -> Result<(), HistoryError> {
    let mut key = table.key.iter();
    match key.find(|column| column.found.is_made_of_types) {
        Some(column) => Err(HistoryError::KeyOfTypes {
            table: table.name().clone(),
            column: column.found.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Returns a record of these columns, of which there is at least one, out of a JSON object. Not one of the table: of the other columns there may
/// be some that cannot be NULL. Of the types below all domains: their checks are for who writes, not for who looks.
pub(crate) fn record<'c>(
    object: &str,
    name: &str,
    columns: impl IntoIterator<Item = &'c Column>,
) -> String {
    let columns = columns
        .into_iter()
        .map(|column| format!("{} {}", quoted(&column.found.name), column.found.base));
    let columns: Vec<String> = columns.collect();
    format!(
        "jsonb_to_record({object}) AS {name} ({})",
        columns.join(", ")
    )
}
