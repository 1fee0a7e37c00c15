//! What a SQLSTATE means.

use tower_audit_core::StoreError;

use crate::error::{MIGRATE_HINT, Meaning};

pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    crate::error::store_error(error, meaning)
}

/// See the appendix "PostgreSQL Error Codes" of its manual.
fn meaning(code: &str) -> Meaning {
    match code {
        // undefined_table, invalid_schema_name, undefined_column, undefined_function
        "42P01" | "3F000" | "42703" | "42883" => Meaning::NotReady(MIGRATE_HINT),
        // insufficient_privilege
        "42501" => Meaning::NotReady(PRIVILEGE_HINT),
        // read_only_sql_transaction: a replica, or a primary that is being switched
        "25006" => Meaning::NotReady(READ_ONLY_HINT),
        // raise_exception: a trigger of the app refuses the row
        "P0001" => Meaning::Rejected,
        _ => match code.get(..2) {
            // data exception, integrity constraint violation, WITH CHECK OPTION violation, program limit
            // exceeded
            Some("22" | "23" | "44" | "54") => Meaning::Rejected,
            _ => Meaning::Unavailable,
        },
    }
}

pub(super) const PRIVILEGE_HINT: &str = "the database user lacks a privilege on the audit table: grant it USAGE on \
     the schema and, to write, INSERT on the table, for routes in Strict mode also SELECT and UPDATE; to read, SELECT";
const READ_ONLY_HINT: &str = "the database is read-only: connect to the primary";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_data_are_final() {
        for code in ["22P05", "23514", "44000", "54000", "P0001"] {
            assert_eq!(meaning(code), Meaning::Rejected, "{code}");
        }
        // deadlock, too many connections, admin shutdown, disk full, and a code nobody knows
        for code in ["40P01", "53300", "57P01", "53100", "ZZ999", ""] {
            assert_eq!(meaning(code), Meaning::Unavailable, "{code}");
        }
    }

    #[test]
    fn a_missing_table_asks_for_the_migrations() {
        assert_eq!(meaning("42P01"), Meaning::NotReady(MIGRATE_HINT));
    }
}
