//! Makes the table of the history, and keeps books about it.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, SqlSafeStr as _, Transaction,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use tower_audit_core::changes::TableName;

use crate::{
    History, HistoryError,
    error::code,
    names::{quoted, quoted_table},
    partitions,
    track::generate::PINNED,
};

impl History {
    /// Makes the table of the history, or brings it up to date, and makes the partitions of the next months.
    ///
    /// Safe to call from every replica at once: the others wait for the first; a user who may only read has nothing to do where everything
    /// is done. All of it happens in one transaction, so dropping
    /// the future or a failure leaves the database as it was.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::Changed`] if a migration that was run differs from the one of the same number here, and
    /// [`HistoryError::Database`] for whatever the database refused.
    pub async fn migrate(&self) -> Result<(), HistoryError> {
        match self.try_migrate().await {
            // Who may only write has nothing to do where everything is done.
            Err(error) if is_forbidden(&error) && self.is_up_to_date().await => Ok(()),
            done => done,
        }
    }

    async fn try_migrate(&self) -> Result<(), HistoryError> {
        let mut tx = begin(self).await?;
        self.create_schema(&mut tx).await?;
        let migrated = migrator(self).run_direct(None, &mut *tx, false).await;
        migrated.map_err(failed)?;
        if let Some(owner) = &self.owner {
            self.give_to(&mut tx, owner).await?;
        }
        partitions::ahead(self, &mut tx).await?;
        tx.commit().await.map_err(HistoryError::Database)
    }

    /// Returns whether every migration was run as it is here.
    async fn is_up_to_date(&self) -> bool {
        let books = self.names.quoted("_migrations");
        let applied = format!("SELECT version, checksum FROM {books} WHERE success");
        let applied: sqlx::Result<Vec<(i64, Vec<u8>)>> = sqlx::query_as(AssertSqlSafe(applied))
            .fetch_all(&self.pool)
            .await;
        let Ok(applied) = applied else {
            return false;
        };
        migrator(self).iter().all(|migration| {
            let checksum = migration.checksum.to_vec();
            applied.contains(&(migration.version, checksum))
        })
    }

    /// Makes the schema if it is missing. `IF NOT EXISTS` alone would ask for the privilege to make schemas even where there is nothing to
    /// make.
    async fn create_schema(&self, connection: &mut PgConnection) -> Result<(), HistoryError> {
        let exists = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1)";
        let exists: bool = sqlx::query_scalar(exists)
            .bind(self.names.schema())
            .fetch_one(&mut *connection)
            .await?;
        if !exists {
            let create = format!("CREATE SCHEMA {}", quoted(self.names.schema()));
            execute(connection, create).await?;
        }
        Ok(())
    }

    /// Gives everything to the owner.
    async fn give_to(
        &self,
        connection: &mut PgConnection,
        owner: &str,
    ) -> Result<(), HistoryError> {
        let owner = quoted(owner);
        let mut sql = format!(
            "GRANT USAGE, CREATE ON SCHEMA {} TO {owner};",
            quoted(self.names.schema())
        );
        for suffix in ["", "_tracked", "_keys", "_migrations"] {
            sql += &format!(
                "ALTER TABLE {} OWNER TO {owner};",
                self.names.quoted(suffix)
            );
        }
        for partition in partitions::partitions(self, connection).await? {
            let (schema, name) = (quoted(self.names.schema()), quoted(&partition.name));
            sql += &format!("ALTER TABLE {schema}.{name} OWNER TO {owner};");
        }
        for (suffix, arguments) in FUNCTIONS {
            sql += &format!(
                "ALTER FUNCTION {}({arguments}) OWNER TO {owner};",
                self.names.quoted(suffix)
            );
        }
        execute(connection, sql).await
    }
}

/// Begins a transaction in which nobody else changes the history, and that ends if its process is frozen.
pub(crate) async fn begin(
    history: &History,
) -> Result<Transaction<'static, Postgres>, HistoryError> {
    let begin = format!(
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000; {}",
        as_triggers_do()
    );
    let mut tx = history.pool.begin_with(AssertSqlSafe(begin)).await?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(&mut *tx).await?;
    Ok(tx)
}

/// Begins a transaction that only looks, at one moment.
pub(crate) async fn look(
    history: &History,
) -> Result<Transaction<'static, Postgres>, HistoryError> {
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}",
        as_triggers_do()
    );
    Ok(history.pool.begin_with(AssertSqlSafe(begin)).await?)
}

/// Begins a transaction that only looks, at one moment, and in which nobody changes the columns of a table: what is asked of its rows is made of what
/// they are.
pub(crate) async fn look_at(
    history: &History,
    table: &TableName,
) -> Result<Transaction<'static, Postgres>, HistoryError> {
    let mut tx = look(history).await?;
    execute(&mut tx, ALL_ROWS.to_owned()).await?;
    match hold(&mut tx, table).await {
        // There is no such table: whoever looks for it says what is wrong.
        Err(error) if code(&error).as_deref() == Some("42P01") => {
            tx.rollback().await?;
            look(history).await
        }
        held => held.map(|()| tx).map_err(HistoryError::Database),
    }
}

/// Keeps the columns of a table as they are until the end of the transaction.
pub(crate) async fn hold(connection: &mut PgConnection, table: &TableName) -> sqlx::Result<()> {
    let hold = format!(
        "LOCK TABLE ONLY {} IN ACCESS SHARE MODE",
        quoted_table(table)
    );
    sqlx::raw_sql(AssertSqlSafe(hold))
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a shared lock: others may take it too, and nobody changes the history or how tables are tracked meanwhile.
pub(crate) async fn share(connection: &mut PgConnection) -> sqlx::Result<()> {
    let share = sqlx::query("SELECT pg_catalog.pg_advisory_xact_lock_shared($1)").bind(LOCK);
    share.execute(connection).await?;
    Ok(())
}

/// Returns statements that set for a transaction what the triggers set: that nothing that somebody else has put into a schema is called, that
/// types are named with their schemas, and how values are written.
pub(crate) fn as_triggers_do() -> String {
    let mut sql =
        "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL quote_all_identifiers = off; \
         SET LOCAL standard_conforming_strings = on"
            .to_owned();
    for (setting, value, _) in PINNED {
        sql += &format!("; SET LOCAL {setting} = {value}");
    }
    sql
}

/// Runs statements of which the names are validated or quoted.
pub(crate) async fn execute(
    connection: &mut PgConnection,
    sql: String,
) -> Result<(), HistoryError> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.map(drop).map_err(HistoryError::Database)
}

fn migrator(history: &History) -> Migrator {
    let migrations = SOURCES.iter().map(|(version, description, sql)| {
        let sql = AssertSqlSafe(history.names.fill(sql)).into_sql_str();
        Migration::new(
            *version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            sql,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(history.names.quoted("_migrations"));
    // Replicas of the version before go on while a new one is rolled out, and may restart.
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

/// Returns whether the user may not do it.
fn is_forbidden(error: &HistoryError) -> bool {
    let HistoryError::Database(error) = error else {
        return false;
    };
    // insufficient_privilege
    code(error).as_deref() == Some("42501")
}

fn failed(error: MigrateError) -> HistoryError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            HistoryError::Database(error)
        }
        MigrateError::VersionMismatch(version) => HistoryError::Changed(version),
        other => HistoryError::Database(sqlx::Error::Migrate(Box::new(other))),
    }
}

const SOURCES: &[(i64, &str, &str)] = &[(
    1,
    "row changes",
    include_str!("../migrations/0001_row_changes.sql"),
)];

/// The functions that the migrations make, and their arguments.
const FUNCTIONS: [(&str, &str); 7] = [
    ("_append_only", ""),
    ("_columns_are", "regclass, smallint[], text[], oid[]"),
    ("_keeps_columns", "regclass, smallint[], text[], oid[]"),
    ("_digest", "bytea"),
    ("_digest", "text"),
    ("_hashed", "text, text"),
    (
        "_untyped",
        "jsonb, jsonb, text[], text[], text[], text[], text[], bigint",
    ),
];

/// Where policies hide rows from whoever looks, that is an error and no rows that are missing.
pub(crate) const ALL_ROWS: &str = "SET LOCAL row_security = off";

/// The key of the advisory lock: "tower-ah" in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"tower-ah");
