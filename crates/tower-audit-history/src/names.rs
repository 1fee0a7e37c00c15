//! Names: of what this crate makes, validated, and of what it finds, quoted.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tower_audit_core::changes::TableName;

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a usable {what} name: use 1 to 39 ASCII letters, digits and underscores, beginning with neither a digit nor `pg_`"
)]
pub struct IdentifierError {
    what: &'static str,
    name: String,
}

/// Where the history is, and what everything that belongs to it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    schema: String,
    table: String,
}

impl Names {
    /// Returns the names for a table in a schema.
    pub(crate) fn new(schema: &str, table: &str) -> Result<Self, IdentifierError> {
        Ok(Self {
            schema: identifier("schema", schema)?,
            table: identifier("table", table)?,
        })
    }

    pub(crate) fn known() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            table: "row_changes".to_owned(),
        }
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Fills the names into a statement.
    pub(crate) fn fill(&self, sql: &str) -> String {
        sql.replace("{schema}", &self.schema)
            .replace("{table}", &self.table)
    }

    /// Returns the table, or what is beside it, with its schema, quoted.
    pub(crate) fn quoted(&self, suffix: &str) -> String {
        format!(r#""{}"."{}{suffix}""#, self.schema, self.table)
    }

    /// Returns whether a table is one of the history itself.
    pub(crate) fn is_own(&self, name: &TableName) -> bool {
        let suffix = name.table().strip_prefix(self.table.as_str());
        name.schema() == self.schema
            && suffix
                .is_some_and(|suffix| ["", "_tracked", "_keys", "_migrations"].contains(&suffix))
    }

    /// Returns the function of the triggers of a table: of what can be read of its name, and of a hash, because names may be longer
    /// than a function's and have any characters.
    pub(crate) fn function(&self, of: &TableName) -> String {
        let readable = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut name = format!("{}_of_{}_{}", self.table, of.schema(), of.table());
        name = name.chars().map(readable).take(LONGEST - 9).collect();
        name.push('_');
        name + &digest(of.schema(), of.table())
    }

    /// Returns the name of a trigger. Triggers of one event fire in the order of their names: before those of the app, which may
    /// change the same row again. A table may be tracked in the histories of several schemas.
    pub(crate) fn trigger(&self, event: &str) -> String {
        if self.schema == SCHEMA {
            return format!("00_tower_audit_{}_{event}", self.table);
        }
        // All of it is ASCII.
        let readable = &self.table[..self.table.len().min(30)];
        let digest = digest(&self.schema, &self.table);
        format!("00_tower_audit_{readable}_{digest}_{event}")
    }
}

/// Returns what tells two names apart that look the same.
fn digest(schema: &str, table: &str) -> String {
    let digest = Sha256::digest(format!("{schema}\0{table}"));
    let mut text = String::new();
    for byte in &digest[..4] {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn identifier(what: &'static str, name: &str) -> Result<String, IdentifierError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = name.bytes().next();
    let begins_well = first.is_some_and(|first| !first.is_ascii_digit())
        && !name.to_ascii_lowercase().starts_with("pg_");
    // The longest name that is made from it stays within 63 bytes.
    if begins_well && name.len() <= 39 && name.bytes().all(is_word) {
        Ok(name.to_owned())
    } else {
        let name = name.chars().take(80).collect();
        Err(IdentifierError { what, name })
    }
}

/// Returns a name as SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the name of a table as SQL.
pub(crate) fn quoted_table(name: &TableName) -> String {
    format!("{}.{}", quoted(name.schema()), quoted(name.table()))
}

/// Returns text as SQL, whatever the session takes a backslash for.
pub(crate) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Where the history is by default.
const SCHEMA: &str = "control_plane";

/// The longest name of Postgres, in bytes.
const LONGEST: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_identifier_is_refused_with_what_to_do() {
        for name in [
            "",
            "1st",
            "a-b",
            "a\"; drop table x; --",
            "é",
            "pg_x",
            &"a".repeat(40),
        ] {
            let error = Names::new("control_plane", name).unwrap_err().to_string();
            assert!(
                error.contains("is not a usable table name: use 1 to 39"),
                "{error}"
            );
        }
    }

    #[test]
    fn functions_of_tables_that_look_the_same_have_names_of_their_own() {
        let names = Names::known();
        let first = names.function(&TableName::new("public", "a_b"));
        let second = names.function(&TableName::new("public_a", "b"));
        assert_ne!(first, second);
        let long = names.function(&TableName::new("é".repeat(30), "\"".repeat(60)));
        assert!(long.len() <= LONGEST && long.is_ascii(), "{long}");
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r" E'a\\''b'");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
