//! Makes the function of a table's triggers: text of a [`Table`], and nothing else.
//!
//! **Invariant:** of a value of a type that somebody made, and of any value before its type was looked at, nothing is asked but whether it is NULL, whether
//! its bytes are others, and what its output says (`format('%s')`): everything else may call a function or a cast of somebody else, as the owner of the
//! history.
//!
//! **Invariant:** every value that leaves a row for the history is made by [`value`], so a masked column has one place where it is
//! masked.

mod columns;
mod row;
mod statement;
mod value;

use super::{
    Table, Triggers, WithoutContext,
    table::{Column, Mask, Sort},
};
use crate::names::{Names, literal, quoted};

/// Returns the statement that makes the function, or makes it anew.
pub(crate) fn function(names: &Names, table: &Table, key_id: Option<&str>) -> String {
    let set: String = settings(table)
        .iter()
        .map(|(setting, value)| format!(" SET {setting} = {value}"))
        .collect();
    format!(
        "CREATE OR REPLACE FUNCTION {} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER{set} AS {}",
        signature(names, table),
        literal(&body(names, table, key_id))
    )
}

/// Returns the settings with which the function runs. Each takes its time, so of those by which the values of this table could be written
/// another way only those are among them that matter.
pub(crate) fn settings(table: &Table) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![("search_path", "pg_catalog, pg_temp")];
    if table.track.triggers == Triggers::Statement {
        // A plan that is made for statements of one row would join the rows of a large one in a loop, and the database remembers how many rows
        // the first one had; and to compile what is done with a
        // hundred columns takes longer than to do it.
        settings.extend([
            ("plan_cache_mode", "force_custom_plan"),
            ("enable_nestloop", "off"),
            ("jit", "off"),
        ]);
    }
    let has = |names: &[&str]| {
        let mut columns = table.columns.iter();
        columns.any(|column| {
            let is_made_by_somebody = column.found.sort == Sort::Foreign
                && !["numeric", "json", "xml"]
                    .iter()
                    .any(|name| column.found.written.starts_with(name));
            is_made_by_somebody || names.iter().any(|name| column.found.written.contains(name))
        })
    };
    // JSON has dates in one way; the text of which a hash is made has not.
    let has_hashed_time = table.columns.iter().any(|column| {
        let written = &column.found.written;
        column.mask == Some(Mask::Hashed) && (written.contains("date") || written.contains("time"))
    });
    let pinned = PINNED
        .iter()
        .filter(|(setting, _, types)| has(types) || (*setting == "DateStyle" && has_hashed_time));
    settings.extend(pinned.map(|(setting, value, _)| (*setting, *value)));
    settings
}

/// Returns the name of the function with its arguments, of which it has none.
pub(crate) fn signature(names: &Names, table: &Table) -> String {
    let function = names.function(table.name());
    format!(r#""{}".{}()"#, names.schema(), quoted(&function))
}

/// Returns what the function does.
pub(crate) fn body(names: &Names, table: &Table, key_id: Option<&str>) -> String {
    let cx = Cx {
        names,
        table,
        key_id,
    };
    match table.track.triggers {
        Triggers::Row => row::body(&cx),
        Triggers::Statement => statement::body(&cx),
    }
}

/// Expressions of a table's columns, as its triggers have them.
pub(crate) struct Expressions<'a>(Cx<'a>);

impl<'a> Expressions<'a> {
    pub(crate) fn new(names: &'a Names, table: &'a Table) -> Self {
        Self(Cx {
            names,
            table,
            key_id: None,
        })
    }

    /// Returns what stands in the history for a whole row.
    pub(crate) fn row(&self, row: &str) -> String {
        self.0.object(&self.0.table.columns, row)
    }

    /// Returns what stands in the history for the key of a row.
    pub(crate) fn key(&self, row: &str) -> String {
        self.0.key(row)
    }

    /// Returns the key of a row from which its values can be made again, as JSON: masked or not, and however long they are.
    pub(crate) fn raw_key(&self, row: &str) -> String {
        let key = self.0.table.key.as_slice();
        self.0.object_of(key, |column| value::raw(column, row))
    }

    /// Returns what stands in the history for the value of a column, as JSON.
    pub(crate) fn column(&self, column: &Column, row: &str) -> String {
        format!("to_jsonb({})", self.0.value(column, row))
    }
}

/// What is needed everywhere.
struct Cx<'a> {
    names: &'a Names,
    table: &'a Table,
    key_id: Option<&'a str>,
}

impl Cx<'_> {
    /// Returns a JSON object of the columns of a row. A function takes at most a hundred arguments, so it may be several that are
    /// joined.
    fn object(&self, columns: &[Column], row: &str) -> String {
        self.object_of(columns, |column| self.value(column, row))
    }

    fn object_of(&self, columns: &[Column], value: impl Fn(&Column) -> String) -> String {
        let pair = |column: &Column| {
            let name = literal(&column.found.name);
            format!("{name}, {}", value(column))
        };
        let objects = columns.chunks(40).map(|columns| {
            let pairs: Vec<String> = columns.iter().map(pair).collect();
            format!("jsonb_build_object({})", pairs.join(", "))
        });
        let objects: Vec<String> = objects.collect();
        if objects.is_empty() {
            "'{}'::jsonb".to_owned()
        } else {
            objects.join(" || ")
        }
    }

    /// Returns the key of a row.
    fn key(&self, row: &str) -> String {
        match self.table.key.as_slice() {
            [] => "NULL::jsonb".to_owned(),
            key => self.object_of(key, |column| self.key_value(column, row)),
        }
    }

    /// Returns whether all that stands in the history for a row of this table can always be made, also of values that are too long.
    fn is_always_written(&self) -> bool {
        let columns = &self.table.columns;
        let most: u64 = columns
            .iter()
            .map(|column| value::most_bytes(column, self.table.track.longest_value))
            .sum();
        most < MOST_BYTES && columns.iter().all(value::is_always_written)
    }

    /// Returns the operation, by a name that no column can have where columns are about.
    fn op(&self) -> &'static str {
        match self.table.track.triggers {
            Triggers::Row => "TG_OP",
            Triggers::Statement => "tower_audit.op",
        }
    }

    /// Returns the variables of the function that say which table it is: in a statement over rows they tell it from a column.
    fn declarations(&self) -> String {
        let is_partitioned = self.table.found.is_partitioned;
        let tracked = match is_partitioned {
            false => "TG_RELID".to_owned(),
            // The last of those above that has a trigger with this function: not all that is above is tracked.
            true => format!(
                "(SELECT above.relid FROM pg_partition_ancestors(TG_RELID) WITH ORDINALITY AS above (relid, place) \
                 JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = above.relid AND g.tgfoid = to_regprocedure({}) \
                 ORDER BY above.place DESC LIMIT 1)",
                literal(&signature(self.names, self.table))
            ),
        };
        match self.table.track.triggers {
            Triggers::Row if !is_partitioned => String::new(),
            Triggers::Row => format!(" tracked oid := {tracked};"),
            Triggers::Statement => {
                format!(" op text := TG_OP; relid oid := TG_RELID; tracked oid := {tracked};")
            }
        }
    }

    /// Returns the table that is tracked, of which the one with the row may be a partition: NULL if it is none any more.
    fn tracked(&self) -> &'static str {
        match self.table.track.triggers {
            Triggers::Row if !self.table.found.is_partitioned => "TG_RELID",
            Triggers::Row | Triggers::Statement => "tower_audit.tracked",
        }
    }

    /// Returns the table with the row.
    fn relid(&self) -> &'static str {
        match self.table.track.triggers {
            Triggers::Row => "TG_RELID",
            Triggers::Statement => "tower_audit.relid",
        }
    }

    /// Returns the names of the columns that are masked, also of those that are ignored.
    fn masked(&self) -> Vec<&str> {
        let Table { track, .. } = self.table;
        let named = track.mask.iter().chain(&track.hash).map(String::as_str);
        let mut masked: Vec<&str> = named.chain(self.table.masked()).collect();
        masked.sort_unstable();
        masked.dedup();
        masked
    }

    /// Returns the call of the function that goes by names.
    fn untyped(&self, old: &str, new: &str) -> String {
        let Table {
            key,
            columns,
            track,
            ..
        } = self.table;
        let names = |columns: &mut dyn Iterator<Item = &Column>| {
            let names: Vec<&str> = columns.map(|column| column.found.name.as_str()).collect();
            array(&names)
        };
        let ignored: Vec<&str> = track.ignore.iter().map(String::as_str).collect();
        format!(
            "{}({old}, {new}, {}, {}, {}, {}, {}, {})",
            self.names.quoted("_untyped"),
            names(&mut key.iter()),
            self.known(),
            array(&ignored),
            array(&self.masked()),
            names(&mut columns.iter().filter(|column| column.found.is_numeric())),
            track.longest_value
        )
    }

    /// Returns the statement that records, up to its rows.
    fn insert(&self) -> String {
        format!(
            "INSERT INTO {} (operation, table_schema, table_name, key, old_key, old, new, audit_id, actor_type, actor_id, request_id, \
             tenant_id, database_role)",
            self.names.quoted("")
        )
    }

    /// Returns the columns that are the same for all rows of a statement: which table it is.
    fn table_name(&self) -> String {
        let name = self.table.name();
        format!("{}, {}", literal(name.schema()), literal(name.table()))
    }

    /// Returns what stands in `old` for a TRUNCATE: which partition it was, if it was one.
    fn truncated(&self) -> String {
        let name = self.table.name();
        format!(
            "CASE WHEN (TG_TABLE_SCHEMA, TG_TABLE_NAME) <> ({}, {}) \
             THEN jsonb_build_object('partition', concat(TG_TABLE_SCHEMA, '.', TG_TABLE_NAME)) END",
            literal(name.schema()),
            literal(name.table())
        )
    }

    /// Returns what is done about a statement without a context before anything is recorded.
    fn without_context(&self) -> String {
        let name = literal(
            &format!("{} was changed without a context", self.table.name()).replace('%', "%%"),
        );
        let (level, more) = match self.table.track.without_context {
            WithoutContext::Allow => return String::new(),
            WithoutContext::Warn => ("WARNING", "recorded as the system''s"),
            WithoutContext::Require => (
                "EXCEPTION",
                "begin the transaction with one (`auditor.begin`), or by hand: \
                 SET LOCAL tower_audit.context = ''{\"actor_type\": \"user\", \"actor_id\": \"alice\"}''",
            ),
        };
        let code = match self.table.track.without_context {
            WithoutContext::Require => ", ERRCODE = 'insufficient_privilege'",
            WithoutContext::Allow | WithoutContext::Warn => "",
        };
        format!(
            "  IF tower_audit.c ->> 'actor_type' IS NULL THEN\n\
             \x20   RAISE {level} {name} USING HINT = '{more}'{code};\n\
             \x20 END IF;\n"
        )
    }
}

/// The variable with the context of the transaction, a JSON object or NULL, in a block whose name tells it from a column.
const CONTEXT: &str = "<<tower_audit>>\nDECLARE\n  c jsonb := nullif(current_setting('tower_audit.context', true), '');";

/// Who it was, as the transaction says: the columns from `audit_id` on.
const WHO: &str = "(tower_audit.c ->> 'audit_id')::uuid, coalesce(tower_audit.c ->> 'actor_type', 'system'), \
     coalesce(tower_audit.c ->> 'actor_id', 'system'), tower_audit.c ->> 'request_id', tower_audit.c ->> 'tenant_id', \
     nullif(current_setting('role', true), 'none')";

/// What happens to a table whose columns were changed since: their names, their number or their types. And to values that cannot be made
/// JSON of: too large together, or of no character set.
const OTHER_COLUMNS: &str = "undefined_column OR datatype_mismatch OR undefined_function OR ambiguous_function \
     OR invalid_text_representation OR internal_error OR out_of_memory OR program_limit_exceeded OR character_not_in_repertoire OR untranslatable_character";

/// The most bytes of values that surely have room in JSON: less than half of what the database takes (`JENTRY_OFFLENMASK`).
const MOST_BYTES: u64 = 100 << 20;

/// How values are written, and the types of which that depends on a setting.
pub(crate) const PINNED: [(&str, &str, &[&str]); 5] = [
    ("TimeZone", "'UTC'", &["with time zone", "tstz"]),
    ("DateStyle", "'ISO, YMD'", &["range"]),
    ("IntervalStyle", "'postgres'", &["interval"]),
    (
        "extra_float_digits",
        "1",
        &[
            "double precision",
            "real",
            "point",
            "box",
            "path",
            "circle",
            "polygon",
            "line",
            "lseg",
        ],
    ),
    ("bytea_output", "'hex'", &["bytea"]),
];

/// Returns an array of text as SQL.
fn array(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| literal(word)).collect();
    format!("ARRAY[{}]::text[]", words.join(", "))
}
