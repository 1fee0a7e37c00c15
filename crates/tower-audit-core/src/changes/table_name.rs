//! The name of a table of the app.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// The name of a table of the app, with its schema. Any name that the database takes is one: it is quoted where it becomes SQL.
///
/// ```
/// use tower_audit_core::changes::TableName;
///
/// let jobs: TableName = "jobs".parse()?; // of the schema `public`
/// assert_eq!(jobs, TableName::new("public", "jobs"));
/// assert_eq!(jobs.to_string(), "public.jobs");
/// // A name with a dot has quotes, as in SQL.
/// assert_eq!(r#"app."a.b""#.parse(), Ok(TableName::new("app", "a.b")));
/// # Ok::<_, tower_audit_core::changes::ParseTableNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TableName {
    schema: String,
    table: String,
}

impl TableName {
    /// Returns the name, from the names as the catalog has them.
    #[must_use]
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }

    /// Returns the schema.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Returns the table, without its schema.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, behind) in [(&self.schema, "."), (&self.table, "")] {
            if is_plain(name) {
                write!(f, "{name}{behind}")?;
            } else {
                write!(f, "\"{}\"{behind}", name.replace('"', "\"\""))?;
            }
        }
        Ok(())
    }
}

impl FromStr for TableName {
    type Err = ParseTableNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseTableNameError(text.chars().take(200).collect());
        let (first, rest) = part(text).ok_or_else(wrong)?;
        let name = match rest.strip_prefix('.').map(part) {
            Some(Some((second, ""))) => Self::new(first, second),
            None if rest.is_empty() => Self::new("public", first),
            _ => return Err(wrong()),
        };
        if name.schema.is_empty() || name.table.is_empty() || text.contains('\0') {
            return Err(wrong());
        }
        Ok(name)
    }
}

/// Returns the part that the text begins with, and what is behind it.
fn part(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        return (!name.contains('"')).then(|| (name.to_owned(), rest));
    };
    let (mut name, mut rest) = (String::new(), quoted);
    loop {
        let (before, behind) = rest.split_once('"')?;
        name.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                name.push('"');
                rest = behind;
            }
            None => return Some((name, behind)),
        }
    }
}

fn is_plain(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_word)
}

/// It is no name of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of a table: write `schema.table`, or `table` for one of the schema `public`; names with a dot in double quotes"
)]
pub struct ParseTableNameError(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_name_is_refused_with_what_to_write() {
        for text in [
            "", ".", "a.", ".a", "a.b.c", "\"a", "\"a\"b", "a\"b", "\"\".a", "a\0",
        ] {
            let error = text.parse::<TableName>().unwrap_err().to_string();
            assert!(error.contains("write `schema.table`"), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_written_is_read_back(schema in "[^\0]{1,8}", table in "[^\0]{1,8}") {
            let name = TableName::new(schema, table);
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
