//! What a result code means.

use crate::error::{MIGRATE_HINT, Meaning};

/// See "Result and Error Codes" of the SQLite manual. Extended codes carry the primary one in their
/// lowest byte.
pub(super) fn meaning(code: &str, is_table_missing: bool) -> Meaning {
    let primary = code.parse::<u32>().unwrap_or(0) & 0xFF;
    match primary {
        // SQLITE_ERROR says a missing table only in words, so the catalog was asked.
        1 if is_table_missing => Meaning::NotReady(MIGRATE_HINT),
        // SQLITE_PERM, SQLITE_READONLY
        3 | 8 => Meaning::NotReady(READ_ONLY_HINT),
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
        18..=20 => Meaning::Rejected,
        _ => Meaning::Unavailable,
    }
}

const READ_ONLY_HINT: &str =
    "the database file is read-only: let this user write to it and to its folder";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_data_are_final() {
        // A failed CHECK, a value of the wrong type
        for code in ["275", "19", "20", "3091"] {
            assert_eq!(meaning(code, false), Meaning::Rejected, "{code}");
        }
        // busy, locked, disk I/O, disk full, cannot open
        for code in ["5", "261", "6", "10", "13", "14", ""] {
            assert_eq!(meaning(code, false), Meaning::Unavailable, "{code}");
        }
    }

    #[test]
    fn a_missing_table_asks_for_the_migrations() {
        assert_eq!(meaning("1", true), Meaning::NotReady(MIGRATE_HINT));
        assert_eq!(meaning("1", false), Meaning::Unavailable);
    }
}
