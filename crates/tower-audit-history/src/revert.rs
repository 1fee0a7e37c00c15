//! Takes a change back.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tower_audit_core::changes::{Columns, Hidden, Operation, RowChange, TableName};
use uuid::Uuid;

use crate::{
    AuditedTransaction, History, HistoryError,
    migrate::{as_triggers_do, hold, look},
    names::{literal, quoted, quoted_table},
    read::{Live, record},
    track::{
        Entry, catalog, entries,
        table::{Column, Found, Generated},
    },
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
    /// With [`DOC`] where the values are.
    template: String,
    /// The values: the key of now, what the change left, and what was before. As the database wrote them: a number that is read may
    /// lose digits.
    doc: String,
    left_out: Vec<String>,
    /// The table that the statement was made for.
    found: Box<Found>,
    takes_along: Vec<TableName>,
}

impl History {
    /// Returns what would take this change back: of an update the columns get what they were, what was inserted is deleted, and what was
    /// deleted is inserted. Only a row that is still as the change left it is touched.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NoChange`] if there is no such change, [`HistoryError::Irreversible`] if it cannot be taken back from what
    /// the history knows, [`HistoryError::NameOfAnother`] or [`HistoryError::NotCovered`] if its table is not the one that was tracked under its name, and
    /// [`HistoryError::Database`] otherwise.
    pub async fn revert(&self, change: Uuid) -> Result<Revert, HistoryError> {
        let mut tx = look(self).await?;
        let change = self.change_on(&mut tx, change).await?;
        let change = change.ok_or(HistoryError::NoChange)?;
        let table = self.name_of_now(&mut tx, &change).await?;
        let live = Live::find(self, &mut tx, &table).await?;
        let doc = self.doc(&mut tx, &change).await?;
        let mut revert = plan(&live, change, doc)?;
        revert.takes_along = takes_along(&mut tx, &table, &revert.change).await?;
        tx.rollback().await?;
        Ok(revert)
    }

    /// Returns the values of a change, exactly.
    async fn doc(
        &self,
        connection: &mut PgConnection,
        change: &RowChange,
    ) -> Result<String, HistoryError> {
        let sql = format!(
            "SELECT jsonb_build_object('key', key, 'old', coalesce(old, '{{}}'), 'new', coalesce(new, '{{}}'))::text FROM {} \
             WHERE at = $1 AND id = $2",
            self.names.quoted("")
        );
        let doc = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(change.at)
            .bind(change.id);
        Ok(doc.fetch_one(connection).await?)
    }

    /// Returns what the table of a change is called now.
    async fn name_of_now(
        &self,
        connection: &mut PgConnection,
        change: &RowChange,
    ) -> Result<TableName, HistoryError> {
        let entries = entries(self, connection).await?;
        let is_it = |entry: &&Entry| entry.had_name(&change.table, change.at);
        let entry = entries.iter().find(is_it);
        let entry = entry.ok_or_else(|| HistoryError::NotTracked(change.table.clone()))?;
        if change.at < entry.begun_at {
            return irreversible(
                "the history of its table has begun anew since: it may not be the same table",
            );
        }
        Ok(entry.name.clone())
    }
}

impl Revert {
    /// Returns the change.
    #[must_use]
    pub fn change(&self) -> &RowChange {
        &self.change
    }

    /// Returns the statement with its values, to be read or to be run by hand: a transaction, because the statement says the same everywhere
    /// only with the settings that come before it. It is recorded as the system's, unless `tower_audit.context` is set in there, too.
    #[must_use]
    pub fn sql(&self) -> String {
        let statement = self.template.replace(DOC, &literal(&self.doc));
        let settings = as_triggers_do().replace("; ", ";\n");
        format!("BEGIN;\n{settings};\n{statement};\nCOMMIT;")
    }

    /// Returns the columns that stay as they are, because the history does not know what they were.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Returns the tables of which rows may be deleted or changed, too: those that refer to this one with ON DELETE or ON UPDATE CASCADE, SET
    /// NULL or SET DEFAULT.
    #[must_use]
    pub fn takes_along(&self) -> &[TableName] {
        &self.takes_along
    }

    /// Takes the change back, in this transaction.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::Conflict`] if the row is not any more as the change left it, [`HistoryError::OtherColumns`] if the columns of the table
    /// were changed since this was made, and [`HistoryError::Database`] for whatever the
    /// database refused: roll back then.
    pub async fn run(&self, tx: &mut AuditedTransaction) -> Result<(), HistoryError> {
        // What is set for this is taken back: the rest of the transaction is the caller's.
        let before: Vec<(String, String)> = sqlx::query_as(SETTINGS).fetch_all(&mut **tx).await?;
        let mut inner = tx.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(as_triggers_do()))
            .execute(&mut *inner)
            .await?;
        // From here on nobody changes the columns, of which the statement was made.
        hold(&mut inner, &self.found.name)
            .await
            .map_err(HistoryError::Database)?;
        let found = catalog::find(&mut inner, &self.found.name).await?;
        if (found.oid, &found.columns) != (self.found.oid, &self.found.columns) {
            inner.rollback().await?;
            return Err(HistoryError::OtherColumns(self.found.name.clone()));
        }
        let sql = self.template.replace(DOC, "$1");
        let done = sqlx::query(AssertSqlSafe(sql))
            .bind(&self.doc)
            .execute(&mut *inner)
            .await;
        let done = done.map_err(HistoryError::Database)?;
        if done.rows_affected() > 1 {
            // Of the columns that somebody named as a key more than one row has the same.
            inner.rollback().await?;
            return irreversible("more than one row has its key");
        }
        for (name, value) in &before {
            let restore = sqlx::query("SELECT pg_catalog.set_config($1, $2, true)");
            restore.bind(name).bind(value).execute(&mut *inner).await?;
        }
        inner.commit().await?;
        match done.rows_affected() {
            0 => Err(HistoryError::Conflict),
            _ => Ok(()),
        }
    }
}

/// Returns the tables of which rows go or change with a row, by foreign keys.
async fn takes_along(
    connection: &mut PgConnection,
    table: &TableName,
    change: &RowChange,
) -> Result<Vec<TableName>, HistoryError> {
    let is_deleted = match change.operation {
        Operation::Insert => true,
        Operation::Update => false,
        _ => return Ok(Vec::new()),
    };
    let changed: Vec<&String> = change.old.iter().flat_map(Columns::keys).collect();
    let rows: Vec<(String, String)> = sqlx::query_as(TAKES_ALONG)
        .bind(quoted_table(table))
        .bind(is_deleted)
        .bind(changed)
        .fetch_all(connection)
        .await?;
    let names = rows.into_iter();
    Ok(names
        .map(|(schema, table)| TableName::new(schema, table))
        .collect())
}

/// Writes the statement.
fn plan(live: &Live<'_>, change: RowChange, doc: String) -> Result<Revert, HistoryError> {
    let Some(key) = &change.key else {
        return irreversible("the history has no key of the row");
    };
    if key.values().any(|value| Hidden::of(value).is_some()) {
        return irreversible("the key of the row is masked");
    }
    let empty = Columns::new();
    let old = change.old.as_ref().unwrap_or(&empty);
    let new = change.new.as_ref().unwrap_or(&empty);
    let (restored, left_out) = restored(live, old, &change);
    let template = match change.operation {
        Operation::Update if restored.is_empty() => {
            return irreversible("every column that it changed is hidden, generated or gone");
        }
        Operation::Update => update(live, &restored, new, change.at),
        Operation::Insert => delete(live, new, change.at),
        Operation::Delete => insert(live, &restored),
        _ => return irreversible("the history does not know which rows there were"),
    };
    Ok(Revert {
        doc,
        template,
        left_out,
        found: Box::new(live.table.found.clone()),
        takes_along: Vec::new(),
        change,
    })
}

fn irreversible<T>(why: &'static str) -> Result<T, HistoryError> {
    Err(HistoryError::Irreversible(why))
}

fn update(live: &Live<'_>, restored: &[&Column], new: &Columns, at: DateTime<Utc>) -> String {
    let set = |column: &&Column| format!("{} = {}", quoted(&column.found.name), before(column));
    let set: Vec<String> = restored.iter().map(set).collect();
    format!(
        "UPDATE {} AS r SET {} FROM {} WHERE {}{}",
        live.rows(),
        set.join(", "),
        values(live, restored),
        live.has_key(),
        is_as_left(live, new, at)
    )
}

fn delete(live: &Live<'_>, new: &Columns, at: DateTime<Utc>) -> String {
    format!(
        "DELETE FROM {} AS r USING {} WHERE {}{}",
        live.rows(),
        values(live, &[]),
        live.has_key(),
        is_as_left(live, new, at)
    )
}

fn insert(live: &Live<'_>, restored: &[&Column]) -> String {
    let names = restored.iter().map(|column| quoted(&column.found.name));
    let values_before = restored.iter().map(|column| before(column));
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}",
        quoted_table(live.table.name()),
        names.collect::<Vec<_>>().join(", "),
        values_before.collect::<Vec<_>>().join(", "),
        values(live, restored)
    )
}

/// Returns where the values come from: `d` is the document, `k` the key and `p` what these columns were before.
fn values(live: &Live<'_>, restored: &[&Column]) -> String {
    let key = record("d.doc -> 'key'", "k", &live.table.key);
    let mut values = format!("(SELECT {DOC}::text::jsonb AS doc) AS d, {key}");
    let columns: Vec<&Column> = restored
        .iter()
        .copied()
        .filter(|column| !column.found.is_json)
        .collect();
    if !columns.is_empty() {
        values += &format!(", {}", record("d.doc -> 'old'", "p", columns));
    }
    values
}

/// Returns the columns that can get what they were, and the names of those that cannot.
fn restored<'a>(
    live: &'a Live<'_>,
    old: &Columns,
    change: &RowChange,
) -> (Vec<&'a Column>, Vec<String>) {
    let (mut restored, mut left_out) = (Vec::new(), Vec::new());
    for (name, value) in old {
        let column = same_column(live, name, change.at);
        match column {
            // It follows from the others.
            Some(column) if column.found.generated != Generated::No => {}
            Some(column) if column.found.is_identity && change.operation == Operation::Update => {
                left_out.push(name.clone())
            }
            Some(column) if Hidden::of(value).is_none() => restored.push(column),
            _ => left_out.push(name.clone()),
        }
    }
    (restored, left_out)
}

/// Returns the column that had this name then, if it still is there.
fn same_column<'a>(live: &'a Live<'_>, name: &str, then: DateTime<Utc>) -> Option<&'a Column> {
    let mut columns = live.table.columns.iter();
    let column = columns.find(|column| column.found.name == name);
    column.filter(|_| live.has_since(name, then))
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
fn is_as_left(live: &Live<'_>, new: &Columns, at: DateTime<Utc>) -> String {
    let mut conditions = String::new();
    for (name, value) in new {
        let column = same_column(live, name, at);
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

/// What no name can have.
const DOC: &str = "\0";

/// The settings that are set for a revert, as SQL takes them.
const SETTINGS: &str = "SELECT name, setting FROM pg_catalog.pg_settings \
     WHERE name IN ('TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', 'quote_all_identifiers', \
         'standard_conforming_strings') \
     UNION ALL SELECT 'search_path', pg_catalog.current_setting('search_path')";

/// The tables that refer to one in a way that takes their rows along, and those that refer to these. Of an update only those count that refer
/// to a column which it changes.
const TAKES_ALONG: &str = "\
WITH RECURSIVE along AS (
    SELECT c.conrelid, CASE WHEN $2 THEN c.confdeltype ELSE c.confupdtype END AS kind
    FROM pg_catalog.pg_constraint AS c
    WHERE c.contype = 'f' AND c.confrelid = $1::regclass AND CASE WHEN $2 THEN c.confdeltype ELSE c.confupdtype END IN ('c', 'n', 'd')
        AND ($2 OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.confrelid AND a.attnum = ANY (c.confkey) AND a.attname = ANY ($3::text[])))
    UNION
    SELECT c.conrelid, CASE WHEN $2 THEN c.confdeltype ELSE c.confupdtype END
    FROM along JOIN pg_catalog.pg_constraint AS c ON c.contype = 'f' AND c.confrelid = along.conrelid
    WHERE along.kind = 'c' AND CASE WHEN $2 THEN c.confdeltype ELSE c.confupdtype END IN ('c', 'n', 'd')
)
SELECT DISTINCT s.nspname::text, t.relname::text FROM along JOIN pg_catalog.pg_class AS t ON t.oid = along.conrelid
JOIN pg_catalog.pg_namespace AS s ON s.oid = t.relnamespace
WHERE NOT t.relispartition ORDER BY 1, 2";
