//! What is measured in SQLite.

use tower_audit::SqliteStore;

use super::{Scope, figures::Line, prune::pruned};
use crate::{reading::fill_sqlite, stores::file};

/// Measures the retention in a file. There is one writer at a time: what it costs the others is how long they wait for their
/// turn to append.
pub(super) async fn by_batches(scope: &Scope) -> anyhow::Result<Line> {
    println!("\nSQLite, a table of {} rows", scope.sqlite_rows);
    let folder = tempfile::tempdir()?;
    let pool = file(folder.path(), "audit.db").await?;
    fill_sqlite(&pool, scope.sqlite_rows).await?;
    let store = SqliteStore::new(pool);
    pruned("SQLite, by batches", &store, scope.sqlite_rows, scope.alone).await
}
