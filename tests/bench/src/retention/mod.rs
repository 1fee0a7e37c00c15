//! How long it takes until what is old is gone, and what that costs whoever writes meanwhile.
//!
//! Each measurement also makes sure of what came of it, and fails if a row is missing, there twice or still there.

mod figures;
mod load;
mod locks;
mod postgres;
mod prune;
mod server;
mod sqlite;
mod writer;

use std::time::Duration;

use anyhow::bail;

use self::figures::Line;

/// Runs `cargo xtask retention`.
pub(crate) fn command(arguments: &[&str]) -> anyhow::Result<()> {
    let scope = match *arguments {
        [] => LONG,
        ["--quick"] => QUICK,
        _ => bail!("usage: cargo xtask retention [--quick]"),
    };
    tokio::runtime::Runtime::new()?.block_on(run(&scope))
}

/// How much is measured.
struct Scope {
    postgres_rows: u64,
    sqlite_rows: u64,
    /// For how long the writer is measured alone.
    alone: Duration,
}

const LONG: Scope = Scope {
    postgres_rows: 10_000_000,
    sqlite_rows: 1_000_000,
    alone: Duration::from_secs(20),
};

const QUICK: Scope = Scope {
    postgres_rows: 500_000,
    sqlite_rows: 100_000,
    alone: Duration::from_secs(5),
};

/// Measures both databases, and prints a table.
async fn run(scope: &Scope) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let outcome = measure(scope, &mut lines).await;
    // Also if something failed: what was measured before took long.
    figures::print(&lines);
    outcome
}

async fn measure(scope: &Scope, lines: &mut Vec<Line>) -> anyhow::Result<()> {
    postgres::measure(scope, lines).await?;
    lines.push(sqlite::by_batches(scope).await?);
    Ok(())
}
