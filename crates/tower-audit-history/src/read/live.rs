//! A row as it is now, in the words of the history.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, types::Json};
use tower_audit_core::changes::{Columns, TableName};

use crate::{
    History, HistoryError,
    names::{Names, quoted, quoted_table},
    track::{Former, Table, catalog, entry, generate::Expressions, is_as_noted, table::Column},
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
}

impl<'a> Live<'a> {
    /// Returns a table that is tracked.
    pub(crate) async fn find(
        history: &'a History,
        connection: &mut PgConnection,
        name: &TableName,
    ) -> Result<Self, HistoryError> {
        let entry = entry(history, connection, name).await?;
        let mut track = entry.track;
        // Whoever reads cannot hash: the key is the owner's.
        let hashed = std::mem::take(&mut track.hash);
        track.mask.extend(hashed);
        let found = catalog::find(connection, name).await?;
        let table = Table::new(found, track)?;
        let is_as_noted = is_as_noted(&entry.columns, &table);
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
        })
    }

    /// Returns where its history is.
    pub(crate) fn history_names(&self) -> &Names {
        &self.history.names
    }

    /// Returns expressions of the columns of this table.
    pub(crate) fn expressions(&self) -> Expressions<'_> {
        Expressions::new(&self.history.names, &self.table)
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
        let Json(spelled) = spelled.fetch_one(connection).await?;
        Ok(spelled)
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
            let name = quoted(&column.found.name);
            format!("r.{name} = k.{name}")
        });
        same.collect::<Vec<_>>().join(" AND ")
    }

    /// Returns the row of this key as the history would record it, if there is one.
    pub(crate) async fn row(
        &self,
        connection: &mut PgConnection,
        key: &Columns,
    ) -> Result<Option<Columns>, HistoryError> {
        let table = quoted_table(self.table.name());
        let sql = format!(
            "SELECT {} FROM {table} AS r, {} WHERE {}",
            self.expressions().row("r"),
            record("$1", "k", &self.table.key),
            self.has_key()
        );
        let row: Option<Json<Columns>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(Value::Object(key.clone()))
            .fetch_optional(connection)
            .await?;
        Ok(row.map(|Json(row)| row))
    }
}

/// Returns a record of these columns, of which there is at least one, out of a JSON object. Not one of the table: of the other columns there may
/// be some that cannot be NULL.
pub(crate) fn record<'c>(
    object: &str,
    name: &str,
    columns: impl IntoIterator<Item = &'c Column>,
) -> String {
    let columns = columns
        .into_iter()
        .map(|column| format!("{} {}", quoted(&column.found.name), column.found.written));
    let columns: Vec<String> = columns.collect();
    format!(
        "jsonb_to_record({object}) AS {name} ({})",
        columns.join(", ")
    )
}
