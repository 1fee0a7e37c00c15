//! The name of the table, validated: the one thing that is formatted into SQL.

use std::{fmt, sync::Arc};

/// Which indexes the table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Indexes {
    /// One for each question that readers ask often: time, actor, target, action, tenant, pending.
    #[default]
    Lean,
    /// Also actor id and target id alone, request id and, in Postgres, metadata. They make writes
    /// slower.
    Full,
}

/// A schema or table name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a usable {what} name: use 1 to 39 ASCII letters, digits and underscores, \
     beginning with none of a digit, `pg_` and `sqlite_`"
)]
pub struct IdentifierError {
    what: &'static str,
    name: String,
}

/// A schema or table name: safe between double quotes, and short enough that the names made from
/// it stay within the 63 bytes of Postgres.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identifier(Arc<str>);

impl Identifier {
    pub(crate) fn parse(what: &'static str, name: &str) -> Result<Self, IdentifierError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins_well = name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit());
        let lower = name.to_ascii_lowercase();
        let is_reserved = lower.starts_with("pg_") || lower.starts_with("sqlite_");
        if begins_well && !is_reserved && name.len() <= MAX_BYTES && name.bytes().all(is_word) {
            Ok(Self(name.into()))
        } else {
            Err(IdentifierError {
                what,
                name: name.chars().take(2 * MAX_BYTES).collect(),
            })
        }
    }

    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) const DEFAULT_TABLE: &str = "audit_logs";

/// The longest name that is made from it, `_tower_audit_migrations_` and the name, stays within the
/// 63 bytes after which Postgres cuts.
const MAX_BYTES: usize = 63 - "_tower_audit_migrations_".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_identifier_is_refused_with_what_to_do() {
        let names = [
            "",
            "1st",
            "a-b",
            "a b",
            "a\"; drop table x; --",
            "é",
            "pg_audit",
            "sqlite_x",
            &"a".repeat(40),
        ];
        for name in names {
            let error = Identifier::parse("table", name).unwrap_err().to_string();
            assert!(
                error.contains("is not a usable table name: use 1 to 39 ASCII letters"),
                "{error}"
            );
        }
    }

    #[test]
    fn words_are_identifiers() {
        for name in ["a", "_", "Audit_Logs2", &"a".repeat(39)] {
            assert_eq!(Identifier::parse("table", name).unwrap().as_str(), name);
        }
    }
}
