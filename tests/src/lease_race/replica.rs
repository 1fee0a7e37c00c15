//! A replica: it deletes in a loop, until it is killed.

use std::{io::Write as _, str::FromStr as _, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::AsyncReadExt as _;
use tower_audit::{
    PgStore,
    retention::{Retention, RetentionPolicy},
};

use super::{KEEP, LEASE, pause};

/// Runs the retention again and again, until the standard input is closed. Each run that is done is a line on the standard
/// output, and each one that failed is one on standard error.
///
/// # Errors
///
/// Returns an error if the URL cannot be read, or nobody listens any more.
pub async fn replica(url: &str, name: &str) -> anyhow::Result<()> {
    let options = PgConnectOptions::from_str(url)?;
    let pool = PgPoolOptions::new().max_connections(3);
    let store = PgStore::new(pool.connect_lazy_with(options));
    let policy = RetentionPolicy::builder().default_keep(KEEP).build()?;
    let retention = Retention::builder(policy)
        .batch(200)
        .pause(Duration::from_millis(5))
        .budget(Duration::from_secs(1))
        .lease(LEASE)
        .holder(name)
        .build(store);
    tokio::select! {
        result = again_and_again(&retention) => result,
        // Whoever started this has closed its end, or is gone.
        _ = closed() => Ok(()),
    }
}

async fn again_and_again(retention: &Retention) -> anyhow::Result<()> {
    loop {
        match retention.run().await {
            Ok(report) => writeln!(std::io::stdout(), "{}", report.deleted)?,
            Err(error) => {
                let error = anyhow::Error::from(error);
                writeln!(std::io::stderr(), "error: {error:#}")?;
                pause(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn closed() -> std::io::Result<usize> {
    tokio::io::stdin().read_to_end(&mut Vec::new()).await
}
