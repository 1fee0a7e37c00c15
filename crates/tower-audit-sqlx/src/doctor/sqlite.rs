//! A trail in SQLite.

use std::time::Instant;

use tower_audit_core::EventWriter as _;

use super::{Check, Findings, common};
use crate::sqlite::SqliteStore;

pub(super) async fn examine(store: &SqliteStore, findings: &mut Findings) {
    if !connection(store, findings).await {
        return;
    }
    if !common::migrations(store, findings).await {
        return;
    }
    common::drift(store, findings).await;
    privileges(store, findings).await;
    common::pending(store, findings).await;
    common::retention(store.clone().into(), findings).await;
}

/// Looks at the file; returns whether it can be read.
async fn connection(store: &SqliteStore, findings: &mut Findings) -> bool {
    let asked = Instant::now();
    let about: sqlx::Result<(String, String)> =
        sqlx::query_as("SELECT sqlite_version(), (SELECT journal_mode FROM pragma_journal_mode)")
            .fetch_one(store.pool())
            .await;
    let (version, journal) = match about {
        Ok(about) => about,
        Err(error) => {
            findings.problem(
                Check::Connection,
                format!("the database cannot be opened: {error}"),
                "see that the file is there, is a SQLite database, and may be read and written by this user",
            );
            return false;
        }
    };
    let said = common::answered(&format!("SQLite {version}"), asked.elapsed());
    // One in memory has a journal of its own.
    if matches!(journal.as_str(), "wal" | "memory") {
        findings.fine(Check::Connection, said);
    } else {
        findings.warning(
            Check::Connection,
            format!(
                "{said}; its journal is `{journal}`, so readers and writers wait for one another"
            ),
            "set `PRAGMA journal_mode = wal` once",
        );
    }
    true
}

/// Asks whether this process may write, without writing.
async fn privileges(store: &SqliteStore, findings: &mut Findings) {
    if let Err(error) = store.check().await {
        return findings.unseen(Check::Privileges, &error);
    }
    match store.pool().begin_with("BEGIN IMMEDIATE").await {
        Ok(tx) => {
            let _ = tx.rollback().await;
            findings.fine(Check::Privileges, "this process may write");
        }
        Err(error) => findings.warning(
            Check::Privileges,
            format!("this process may not write now: {error}"),
            "let the user of the service own the file and its folder, or wait for who holds the write lock",
        ),
    }
}
