//! Gives trails up, and deletes them.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::append::append;
use crate::{TrailChange, record::given_up, sql::trails};

/// Gives up calls that nobody has ended; returns how many.
pub(super) async fn reap(pool: &PgPool, created_before: DateTime<Utc>) -> sqlx::Result<u64> {
    let pending = "SELECT message_id, state FROM control_plane.ai_trails WHERE status = 'pending' AND started_at < $1 \
         ORDER BY started_at LIMIT $2";
    let rows = sqlx::query(pending)
        .bind(created_before)
        .bind(AT_ONCE)
        .fetch_all(pool)
        .await?;
    let changes: Vec<TrailChange> = trails(&rows)?.iter().map(given_up).collect();
    if changes.is_empty() {
        return Ok(0);
    }
    // Whoever completes one of them meanwhile has the last word.
    append(pool, &changes).await?;
    Ok(u64::try_from(changes.len()).unwrap_or(u64::MAX))
}

/// Deletes what is old, but for calls on their way; returns how many trails.
pub(super) async fn cleanup(pool: &PgPool, older_than: DateTime<Utc>) -> sqlx::Result<u64> {
    // Waits for the batches that are being written, and is seen by all others.
    let from_now = "UPDATE control_plane.ai_trails_settings SET too_late = greatest(too_late, $1)";
    let from_now = sqlx::query(from_now).bind(older_than).execute(pool).await?;
    if from_now.rows_affected() == 0 {
        return Err(sqlx::Error::RowNotFound);
    }
    let mut deleted = 0;
    loop {
        let batch: Vec<bool> = sqlx::query_scalar(DELETE)
            .bind(older_than)
            .bind(AT_ONCE)
            .fetch_all(pool)
            .await?;
        if batch.is_empty() {
            return Ok(deleted);
        }
        let trails = batch.iter().filter(|is_trail| **is_trail).count();
        deleted += u64::try_from(trails).unwrap_or(u64::MAX);
    }
}

/// What somebody writes to at this moment is left for the next time.
const DELETE: &str = "\
DELETE FROM control_plane.ai_trails WHERE message_id = ANY (ARRAY(
    SELECT message_id FROM control_plane.ai_trails WHERE age < $1 AND status IS DISTINCT FROM 'pending'
    ORDER BY age LIMIT $2 FOR UPDATE SKIP LOCKED))
RETURNING project_id IS NOT NULL";

/// How many rows a transaction has: nobody waits for long.
const AT_ONCE: i64 = 1_000;
