//! Whether a table still has the columns that the function knows, and which of them it has.

use super::{Cx, array};
use crate::{
    names::{literal, quoted},
    track::{Triggers, table::FoundColumn},
};

impl Cx<'_> {
    /// Returns a condition that never holds, and that cannot be evaluated if the rows have other columns than the function knows, or have them
    /// in another order. So it finds out about columns that were added or have got the names of others; those that have new names do not
    /// even have to be looked for. Partitions may have their columns in any order.
    ///
    /// It has to stand alone: what is joined to it by OR may be all that is evaluated.
    pub(super) fn shape(&self, rows: &[&str]) -> String {
        let same = |row: &&str| {
            let columns = self.table.found.columns.iter();
            let columns: Vec<String> = columns
                .map(|column| format!("{row}.{}", quoted(&column.name)))
                .collect();
            format!("ROW({}) OPERATOR(pg_catalog.*=) {row}", columns.join(", "))
        };
        let same: Vec<String> = rows.iter().map(same).collect();
        let mut same = same.join(" AND ");
        if self.table.found.is_partitioned {
            same = format!("({same}) IS NOT NULL");
        }
        let identity: String = match self.table.track.triggers {
            Triggers::Row => self
                .identity()
                .iter()
                .map(|same| format!("{same} AND "))
                .collect(),
            Triggers::Statement => String::new(),
        };
        // What is no boolean fails when the row is looked at; a constant would when the query is planned.
        format!(
            "(CASE WHEN {identity}{}{same} THEN false ELSE concat('other columns', {})::boolean END)",
            rows.first().map_or_else(String::new, |row| self.types(row)),
            self.op()
        )
    }

    /// Returns the condition that the table has the columns that the function knows, which is found out when it is planned, and so once for as long as
    /// the table stays as it is. A partition has no such condition, because it is another table, and a table that was restored does not meet it.
    pub(super) fn keeps_columns(&self) -> Option<String> {
        let found = &self.table.found;
        if found.is_partitioned {
            return None;
        }
        let list = |item: fn(&FoundColumn) -> String| {
            let items: Vec<String> = found.columns.iter().map(item).collect();
            items.join(",")
        };
        let names: Vec<&str> = found
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        Some(format!(
            "TG_RELID = {oid} AND {}('{oid}'::regclass, '{{{}}}'::smallint[], {}, '{{{}}}'::oid[])",
            self.names.quoted("_keeps_columns"),
            list(|column| column.number.to_string()),
            array(&names),
            list(|column| column.type_oid.to_string()),
            oid = found.oid,
        ))
    }

    /// Returns the conditions that columns are those that they were when the table was tracked, and not others that have got their names, where
    /// something is masked. What they ask sees the catalog as it is, also from within a transaction that began before it was changed.
    ///
    /// The names of a row that has its columns in the order of the function, the last of which is none that came since, are those that they were:
    /// but for values that are the same in both. Of a partition, or once a statement, all of them are asked for.
    pub(super) fn identity(&self) -> Vec<String> {
        let masked = self.masked();
        if masked.is_empty() {
            return Vec::new();
        }
        let columns = &self.table.found.columns;
        let is_brief =
            self.table.track.triggers == Triggers::Row && !self.table.found.is_partitioned;
        let is_asked = |place: usize, column: &FoundColumn| {
            !is_brief || place == columns.len() || masked.contains(&column.name.as_str())
        };
        let places = (1..).zip(columns);
        places
            .filter(|(place, column)| is_asked(*place, column))
            .map(|(place, column)| {
                format!(
                    "(pg_identify_object_as_address(1259, {}, {})).object_names[3] = {}",
                    self.tracked(),
                    self.number(place, column),
                    literal(&column.name)
                )
            })
            .collect()
    }

    /// Returns the number of a column. In a database that was restored it is its place.
    fn number(&self, place: usize, column: &FoundColumn) -> String {
        if usize::try_from(column.number) == Ok(place) {
            return place.to_string();
        }
        format!(
            "CASE {}::oid WHEN {}::oid THEN {} ELSE {place} END",
            self.tracked(),
            self.table.found.oid,
            column.number
        )
    }

    /// Returns the condition that the columns have the types that the function was made for, as far as it matters: to do anything with a value
    /// of a type that somebody made may call what they made for it, as the owner of the history. The others are the database's own, which have the same
    /// numbers everywhere. Of a column of a type that somebody made it does not matter which it is: see [`super::value`].
    fn types(&self, row: &str) -> String {
        let columns = self.table.columns.iter();
        let known = columns.filter(|column| column.found.is_builtin());
        let (types, oids): (Vec<String>, Vec<String>) = known
            .map(|column| {
                let name = quoted(&column.found.name);
                (
                    format!("pg_typeof({row}.{name})::oid"),
                    column.found.type_oid.to_string(),
                )
            })
            .unzip();
        match types.is_empty() {
            true => String::new(),
            false => format!(
                "ARRAY[{}] = '{{{}}}'::oid[] AND ",
                types.join(", "),
                oids.join(",")
            ),
        }
    }

    /// Returns the condition that nothing can be recorded by the names of columns. To make JSON of a value of a type that somebody made calls the
    /// casts that its owner may have made, as the owner of the history; and a transaction that sees the catalog as it was does not know the types.
    /// A table that is no partition any more, or never was one, may have any.
    pub(super) fn has_no_names(&self) -> String {
        format!(
            "current_setting('transaction_isolation') IN ('repeatable read', 'serializable') OR {tracked} IS NULL \
             OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS f \
             WHERE f.attrelid IN ({relid}, {tracked}) AND f.attnum > 0 AND NOT f.attisdropped AND f.atttypid >= 16384)",
            tracked = self.tracked(),
            relid = self.relid()
        )
    }

    /// Returns an array of the names that mean what they did: all that there were, or, where something is masked, those of the same columns.
    pub(super) fn known(&self) -> String {
        let columns = self.table.columns.iter();
        let recorded: Vec<&str> = columns.map(|column| column.found.name.as_str()).collect();
        if self.masked().is_empty() {
            return array(&recorded);
        }
        let columns = (1..).zip(&self.table.found.columns);
        let columns: Vec<(usize, usize, &str)> = columns
            .filter(|(_, column)| recorded.contains(&column.name.as_str()))
            .filter_map(|(place, column)| {
                let number = usize::try_from(column.number).ok()?;
                Some((number, place, column.name.as_str()))
            })
            .collect();
        let by = |number: fn(&(usize, usize, &str)) -> usize| {
            let last = columns.iter().map(number).max().unwrap_or_default();
            let mut names = vec!["NULL".to_owned(); last];
            for column in &columns {
                names[number(column) - 1] = literal(column.2);
            }
            format!("ARRAY[{}]::text[]", names.join(", "))
        };
        let (by_number, by_place) = (by(|column| column.0), by(|column| column.1));
        let names = match by_number == by_place {
            true => by_number,
            false => format!(
                "(CASE f.attrelid WHEN {}::oid THEN {by_number} ELSE {by_place} END)",
                self.table.found.oid
            ),
        };
        format!(
            "ARRAY(SELECT f.attname::text FROM pg_catalog.pg_attribute AS f \
             WHERE f.attrelid = {} AND f.attnum > 0 AND NOT f.attisdropped AND f.attname::text = ({names})[f.attnum])",
            self.tracked()
        )
    }
}
