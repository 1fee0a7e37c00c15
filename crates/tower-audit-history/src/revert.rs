//! Takes a change back.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use tower_audit_core::changes::{Columns, Hidden, Operation, RowChange};
use uuid::Uuid;

use crate::{
    AuditedTransaction, History, HistoryError,
    names::{literal, quoted, quoted_table},
    read::Live,
    track::table::{Column, Generated},
};

/// What would take a change back: nothing is done until it is [run](Self::run).
///
/// ```no_run
/// use tower_audit_core::{Actor, changes::ChangeContext};
/// use tower_audit_history::{AuditedTransaction, History};
///
/// # async fn example(history: History, change: uuid::Uuid) -> Result<(), Box<dyn std::error::Error>> {
/// let revert = history.revert(change).await?;
/// println!("{}", revert.sql());
/// let mut tx = AuditedTransaction::begin(history.pool(), ChangeContext::new(Actor::user("alice"))).await?;
/// revert.run(&mut tx).await?;
/// tx.commit().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Revert {
    change: RowChange,
    /// With `{doc}` where the values are.
    template: String,
    /// The values: the key of now, what the change left, and what was before.
    doc: Value,
    left_out: Vec<String>,
}

impl History {
    /// Returns what would take this change back: of an update the columns get what they were, what was inserted is deleted, and what was
    /// deleted is inserted. Only a row that is still as the change left it is touched.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NoChange`] if there is no such change, [`HistoryError::Irreversible`] if it cannot be taken back from what
    /// the history knows, and [`HistoryError::Database`] otherwise.
    pub async fn revert(&self, change: Uuid) -> Result<Revert, HistoryError> {
        let mut connection = self.pool.acquire().await?;
        let change = self.change_on(&mut connection, change).await?;
        let change = change.ok_or(HistoryError::NoChange)?;
        let table = self.name_of_now(&mut connection, &change).await?;
        let live = Live::find(self, &mut connection, &table).await?;
        plan(&live, change)
    }

    /// Returns what the table of a change is called now.
    async fn name_of_now(
        &self,
        connection: &mut PgConnection,
        change: &RowChange,
    ) -> Result<tower_audit_core::changes::TableName, HistoryError> {
        let entries = crate::track::entries(self, connection).await?;
        let is_it = |entry: &&crate::track::Entry| {
            entry.name == change.table || entry.former_names.contains(&change.table)
        };
        let entry = entries.iter().find(is_it);
        let entry = entry.ok_or_else(|| HistoryError::NotTracked(change.table.clone()))?;
        Ok(entry.name.clone())
    }
}

impl Revert {
    /// Returns the change.
    #[must_use]
    pub fn change(&self) -> &RowChange {
        &self.change
    }

    /// Returns the statement, with its values, to be read or to be run by hand.
    #[must_use]
    pub fn sql(&self) -> String {
        self.template.replace("{doc}", &literal(&self.doc.to_string()))
    }

    /// Returns the columns that stay as they are, because the history does not know what they were.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Takes the change back, in this transaction.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::Conflict`] if the row is not any more as the change left it, and [`HistoryError::Database`] for whatever the
    /// database refused: roll back then.
    pub async fn run(&self, tx: &mut AuditedTransaction) -> Result<(), HistoryError> {
        let sql = self.template.replace("{doc}", "$1");
        let done = sqlx::query(AssertSqlSafe(sql)).bind(&self.doc).execute(&mut **tx);
        let done = done.await.map_err(HistoryError::Database)?;
        match done.rows_affected() {
            0 => Err(HistoryError::Conflict),
            _ => Ok(()),
        }
    }
}

/// Writes the statement.
fn plan(live: &Live<'_>, change: RowChange) -> Result<Revert, HistoryError> {
    let irreversible = |why| Err(HistoryError::Irreversible(why));
    let Some(key) = change.key.clone() else {
        return irreversible("the history has no key of the row");
    };
    if key.values().any(|value| Hidden::of(value).is_some()) {
        return irreversible("the key of the row is masked");
    }
    let empty = Columns::new();
    let (old, new) = (change.old.as_ref().unwrap_or(&empty), change.new.as_ref().unwrap_or(&empty));
    let table = quoted_table(live.table.name());
    let records = format!(
        "jsonb_populate_record(NULL::{table}, d.doc -> 'key') AS k, jsonb_populate_record(NULL::{table}, d.doc -> 'old') AS p"
    );
    let doc = "(SELECT {doc}::jsonb AS doc) AS d";
    let (restored, left_out) = restored(live, old);
    let (template, left_out) = match change.operation {
        Operation::Update => {
            let set = restored.iter().map(|column| format!("{} = {}", quoted(&column.found.name), before(column)));
            let set: Vec<String> = set.collect();
            if set.is_empty() {
                return irreversible("every column that it changed is hidden, generated or gone");
            }
            let sql = format!(
                "UPDATE {table} AS r SET {} FROM {doc}, {records} WHERE {}{}",
                set.join(", "),
                live.has_key(),
                is_as_left(live, new)
            );
            (sql, left_out)
        }
        Operation::Insert => {
            let sql = format!(
                "DELETE FROM {table} AS r USING {doc}, {records} WHERE {}{}",
                live.has_key(),
                is_as_left(live, new)
            );
            (sql, Vec::new())
        }
        Operation::Delete => {
            let names: Vec<String> = restored.iter().map(|column| quoted(&column.found.name)).collect();
            let values: Vec<String> = restored.iter().map(|column| before(column)).collect();
            let sql = format!(
                "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {doc}, {records}",
                names.join(", "),
                values.join(", ")
            );
            (sql, left_out)
        }
        _ => return irreversible("the history does not know which rows there were"),
    };
    Ok(Revert {
        doc: serde_json::json!({"key": key, "old": old, "new": new}),
        template,
        left_out,
        change,
    })
}

/// Returns the columns that can get what they were, and the names of those that cannot.
fn restored<'a>(live: &'a Live<'_>, old: &Columns) -> (Vec<&'a Column>, Vec<String>) {
    let (mut restored, mut left_out) = (Vec::new(), Vec::new());
    for (name, value) in old {
        let column = live.table.columns.iter().find(|column| column.found.name == *name);
        match column {
            // It follows from the others.
            Some(column) if column.found.generated != Generated::No => {}
            Some(column) if Hidden::of(value).is_none() => restored.push(column),
            _ => left_out.push(name.clone()),
        }
    }
    (restored, left_out)
}

/// Returns what a column was.
fn before(column: &Column) -> String {
    let name = &column.found.name;
    if column.found.is_json {
        format!("(d.doc -> 'old' ->> {})::pg_catalog.json", literal(name))
    } else {
        format!("p.{}", quoted(name))
    }
}

/// Returns the condition that a row is still as the change left it, as far as that is known.
fn is_as_left(live: &Live<'_>, new: &Columns) -> String {
    let mut conditions = String::new();
    for (name, value) in new {
        let column = live.table.columns.iter().find(|column| column.found.name == *name);
        let Some(column) = column.filter(|_| Hidden::of(value).is_none()) else {
            continue;
        };
        conditions += &format!(
            " AND coalesce({}, 'null') = d.doc -> 'new' -> {}",
            live.expressions().column(column, "r"),
            literal(name)
        );
    }
    conditions
}
