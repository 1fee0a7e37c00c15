//! Runs the migrations of the database whose URL is the first argument, once a line comes in: so
//! that a test can start many of these at the same moment.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{PgPool, SqlitePool};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: migrate-once URL")?;
    BufReader::new(tokio::io::stdin())
        .read_line(&mut String::new())
        .await?;
    let migrate = async {
        if url.starts_with("sqlite:") {
            tower_audit::migrate(&SqlitePool::connect(&url).await?).await?;
        } else {
            tower_audit::migrate(&PgPool::connect(&url).await?).await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), migrate).await?
}
