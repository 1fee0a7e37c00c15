//! The migrations as a script, for somebody else to run.

use std::fmt::Write as _;

use sqlx::migrate::{Migration, Migrator};

/// What is the same in every script of a dialect.
pub(super) struct Dialect {
    pub(super) begin: &'static str,
    /// The type of a time, and its default.
    pub(super) time: &'static str,
    pub(super) bytes: &'static str,
    /// What stands around the digits of bytes.
    pub(super) quotes: (&'static str, &'static str),
}

/// Returns the statements that run these migrations and note them in the books, as `migrate` would.
pub(super) fn script(
    dialect: &Dialect,
    (about, books): (&str, &str),
    before: &str,
    missing: &[&Migration],
    after: &str,
) -> String {
    let mut sql = format!(
        "-- Migrations of {about}, in one transaction.\n{};\n",
        dialect.begin
    );
    sql.push_str(before);
    let Dialect { time, bytes, .. } = dialect;
    let _ = writeln!(
        sql,
        "CREATE TABLE IF NOT EXISTS {books} (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on {time}, success BOOLEAN NOT NULL, checksum {bytes} NOT NULL, execution_time BIGINT NOT NULL);"
    );
    for migration in missing {
        let (version, description) = (migration.version, &migration.description);
        let _ = write!(
            sql,
            "\n-- {version}: {description}\n{}\n",
            migration.sql.as_str().trim_end()
        );
        let (open, close) = dialect.quotes;
        let _ = write!(
            sql,
            "INSERT INTO {books} (version, description, success, checksum, execution_time)\n    \
             VALUES ({version}, '{description}', true, {open}{}{close}, 0);\n",
            hex(&migration.checksum)
        );
    }
    sql.push_str(after);
    sql.push_str("COMMIT;\n");
    sql
}

/// Returns those that are not among these.
pub(super) fn missing<'a>(migrator: &'a Migrator, applied: &[i64]) -> Vec<&'a Migration> {
    let migrations = migrator.iter();
    migrations
        .filter(|migration| !applied.contains(&migration.version))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
