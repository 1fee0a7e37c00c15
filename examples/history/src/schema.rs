//! The tables of the app.

use sqlx::PgPool;

/// Makes the tables that are missing. Safe to call from every replica at once: the others wait for the first.
///
/// # Errors
///
/// Returns what the database said.
pub(crate) async fn create(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    // `IF NOT EXISTS` alone fails where two make the same table at the same moment.
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql(include_str!("schema.sql"))
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// The key of the advisory lock: "examples" in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"examples");
