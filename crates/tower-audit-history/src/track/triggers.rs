//! The triggers of a table and of its partitions: those that it should have, and those that it has.

use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};
use tower_audit_core::changes::TableName;

use super::{Table, Triggers, generate::signature};
use crate::{
    HistoryError,
    names::{Names, quoted, quoted_table},
};

/// A trigger, or what one should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) on: TableName,
    pub(crate) name: String,
    /// The function, as `"schema".name`.
    pub(crate) function: String,
    /// What it fires for: see `pg_trigger.tgtype`.
    kind: i16,
    /// It fires for all columns and rows, at once.
    is_plain: bool,
    /// The names of the transition tables.
    tables: (Option<String>, Option<String>),
    pub(crate) is_enabled: bool,
    /// It came with that of the table of which this is a partition.
    pub(crate) is_inherited: bool,
}

/// One that should be there.
pub(crate) struct Wanted {
    pub(crate) trigger: Trigger,
    /// The statement that makes it.
    pub(crate) sql: String,
}

impl Trigger {
    /// Returns whether it does the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.fires_as(other) && self.function == other.function
    }

    /// Returns whether it fires when the other does.
    pub(crate) fn fires_as(&self, other: &Self) -> bool {
        let said = |trigger: &Self| {
            (
                trigger.on.clone(),
                trigger.name.clone(),
                trigger.kind,
                trigger.is_plain,
                trigger.tables.clone(),
            )
        };
        said(self) == said(other)
    }
}

/// Returns the triggers that a table and its partitions should have.
pub(crate) fn wanted(names: &Names, table: &Table) -> Vec<Wanted> {
    let on_each = |on: &TableName, is_partition: bool| -> Vec<Wanted> {
        let mut wanted = vec![one(names, table, on, "truncate")];
        match table.track.triggers {
            // Partitions have it by themselves, also those to come.
            Triggers::Row => {
                let mut row = one(names, table, on, "row");
                row.trigger.is_inherited = is_partition;
                wanted.push(row);
            }
            Triggers::Statement => {
                wanted.extend(
                    ["insert", "update", "delete"].map(|event| one(names, table, on, event)),
                );
            }
        }
        wanted
    };
    let mut wanted = on_each(table.name(), false);
    for partition in &table.found.partitions {
        wanted.extend(on_each(partition, true));
    }
    wanted
}

/// Returns whether the triggers of a table are there and fire.
pub(crate) async fn are_there(
    connection: &mut PgConnection,
    names: &Names,
    table: &Table,
) -> Result<bool, HistoryError> {
    let on = with_partitions(table);
    let there = there(connection, names, &on).await?;
    Ok(cover(names, table, &names.function(table.name()), &there))
}

/// Returns the names of a table and of its partitions.
pub(super) fn with_partitions(table: &Table) -> Vec<TableName> {
    let mut names = vec![table.name().clone()];
    names.extend(table.found.partitions.iter().cloned());
    names
}

/// Returns whether the triggers of a table are those that it was to have until now, with this function, and fire: but for partitions that are
/// new.
pub(super) fn cover(names: &Names, table: &Table, function: &str, there: &[Trigger]) -> bool {
    if table.found.is_partition && table.track.triggers == Triggers::Statement {
        // Statements that name the table above fire none of them.
        return false;
    }
    let is_well = |wanted: &Trigger| {
        let is_it = |there: &&Trigger| there.function == function && wanted.fires_as(there);
        match there.iter().find(is_it) {
            Some(there) => there.is_enabled,
            None => wanted.on != *table.name(),
        }
    };
    let wanted = wanted(names, table);
    wanted.iter().all(|wanted| is_well(&wanted.trigger))
}

fn one(names: &Names, table: &Table, on: &TableName, event: &str) -> Wanted {
    let (what, kind, tables) = match event {
        "row" => (
            "INSERT OR UPDATE OR DELETE",
            ROW | INSERT | UPDATE | DELETE,
            (None, None),
        ),
        "truncate" => ("TRUNCATE", TRUNCATE, (None, None)),
        "insert" => ("INSERT", INSERT, (None, Some(NEW_ROWS))),
        "update" => ("UPDATE", UPDATE, (Some(OLD_ROWS), Some(NEW_ROWS))),
        _ => ("DELETE", DELETE, (Some(OLD_ROWS), None)),
    };
    let referencing = match tables {
        (None, None) => String::new(),
        (old, new) => {
            let old = old.map_or_else(String::new, |old| format!(" OLD TABLE AS {old}"));
            let new = new.map_or_else(String::new, |new| format!(" NEW TABLE AS {new}"));
            format!(" REFERENCING{old}{new}")
        }
    };
    let name = names.trigger(event);
    let function = signature(names, table);
    let each = if kind & ROW == 0 { "STATEMENT" } else { "ROW" };
    Wanted {
        sql: format!(
            "CREATE TRIGGER {} AFTER {what} ON {}{referencing} FOR EACH {each} EXECUTE FUNCTION {function}",
            quoted(&name),
            quoted_table(on),
        ),
        trigger: Trigger {
            on: on.clone(),
            name,
            function: names.function(table.name()),
            kind,
            is_plain: true,
            tables: (tables.0.map(str::to_owned), tables.1.map(str::to_owned)),
            is_enabled: true,
            is_inherited: false,
        },
    }
}

/// Returns the triggers of this history that a table, or all tables, and their partitions have.
pub(crate) async fn there(
    connection: &mut PgConnection,
    names: &Names,
    on: &[TableName],
) -> Result<Vec<Trigger>, HistoryError> {
    let (schemas, tables): (Vec<&str>, Vec<&str>) =
        on.iter().map(|name| (name.schema(), name.table())).unzip();
    let rows = sqlx::query(AssertSqlSafe(sql(names, THERE)))
        .bind(all(names))
        .bind(names.schema())
        .bind(schemas)
        .bind(tables)
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(trigger).collect::<sqlx::Result<_>>()?)
}

/// Returns the triggers of this history on all tables.
pub(crate) async fn everywhere(
    connection: &mut PgConnection,
    names: &Names,
) -> Result<Vec<Trigger>, HistoryError> {
    let rows = sqlx::query(AssertSqlSafe(sql(names, "true")))
        .bind(all(names))
        .bind(names.schema())
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(trigger).collect::<sqlx::Result<_>>()?)
}

/// Returns the names that triggers of this history have.
fn all(names: &Names) -> Vec<String> {
    EVENTS.iter().map(|event| names.trigger(event)).collect()
}

fn trigger(row: &PgRow) -> sqlx::Result<Trigger> {
    let (schema, table): (String, String) = (row.try_get("schema")?, row.try_get("table")?);
    Ok(Trigger {
        on: TableName::new(schema, table),
        name: row.try_get("name")?,
        function: row.try_get("function")?,
        kind: row.try_get("kind")?,
        is_plain: row.try_get("is_plain")?,
        tables: (row.try_get("old")?, row.try_get("new")?),
        // Those that fire always do, too.
        is_enabled: matches!(row.try_get::<i8, _>("enabled")?.unsigned_abs(), b'O' | b'A'),
        is_inherited: row.try_get("is_inherited")?,
    })
}

/// What the triggers are for.
const EVENTS: [&str; 5] = ["row", "truncate", "insert", "update", "delete"];

// See `pg_trigger.h`.
const ROW: i16 = 1;
const INSERT: i16 = 4;
const DELETE: i16 = 8;
const UPDATE: i16 = 16;
const TRUNCATE: i16 = 32;

/// The transition tables, by names that nobody else gives to a table.
pub(super) const OLD_ROWS: &str = "tower_audit_old_rows";
pub(super) const NEW_ROWS: &str = "tower_audit_new_rows";

/// Returns the query for triggers: those that have the names of this history, and those that call its functions under another name.
fn sql(names: &Names, tables: &str) -> String {
    format!(
        "SELECT s.nspname::text AS schema, c.relname::text AS \"table\", t.tgname::text AS name, f.proname::text AS function, \
             t.tgtype AS kind, t.tgoldtable::text AS old, t.tgnewtable::text AS new, t.tgenabled AS enabled, t.tgparentid <> 0 AS is_inherited, \
             t.tgqual IS NULL AND t.tgattr::text = '' AND t.tgconstraint = 0 AS is_plain \
         FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid \
         JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
         JOIN pg_catalog.pg_namespace AS fs ON fs.oid = f.pronamespace \
         WHERE fs.nspname = $2 AND (t.tgname::text = ANY ($1) OR f.proname::text IN (SELECT function FROM {})) AND {tables} ORDER BY t.oid",
        names.quoted("_tracked")
    )
}

const THERE: &str =
    "(s.nspname::text, c.relname::text) IN (SELECT * FROM unnest($3::text[], $4::text[]))";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_of_two_histories_have_names_of_their_own() {
        let long = "t".repeat(39);
        let mut names = Vec::new();
        for (schema, table) in [
            ("control_plane", "rows"),
            ("control_plane", "rows_2"),
            ("b", "rows"),
            ("c", "rows"),
            ("b", &long),
        ] {
            let of = Names::new(schema, table).unwrap();
            names.extend(all(&of));
        }
        names.sort();
        assert!(names.iter().all(|name| name.len() <= 63));
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
