//! A race for the lease of the retention, for as many minutes as the first argument says:
//! `cargo xtask chaos retention`. The second one is a seed, for the same faults again.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tower_audit_tests::lease_race::{race, replica};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // What this starts itself.
        ["replica", url, name] => replica(url, name).await,
        [minutes] => run(minutes, RandomState::new().hash_one(0_u8)).await,
        [minutes, seed] => run(minutes, seed.parse().context("the seed is a number")?).await,
        _ => bail!("usage: lease-race MINUTES [SEED]"),
    }
}

async fn run(minutes: &str, seed: u64) -> anyhow::Result<()> {
    let minutes: u64 = minutes
        .parse()
        .context("usage: lease-race MINUTES [SEED]")?;
    println!("Two replicas and a command race for the lease of the retention (seed {seed}).\n");
    let report = race(Duration::from_secs(minutes * 60), seed).await?;
    println!("{report}");
    report.verdict()?;
    println!("Never two at once, and never none for longer than the lease.");
    Ok(())
}
