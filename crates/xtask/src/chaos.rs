//! `cargo xtask chaos`.

use anyhow::Context as _;
use xtask::command::{cargo, run};

/// Runs the kill and outage suite for so many minutes.
pub(crate) fn run_for(minutes: &str) -> anyhow::Result<()> {
    program("chaos", "victim", minutes)
}

/// Runs the race for the lease of the retention for so many minutes.
pub(crate) fn retention(minutes: &str) -> anyhow::Result<()> {
    program("lease-race", "tower-audit-command", minutes)
}

/// Runs a program of the tests, which starts another one that is beside it.
fn program(name: &str, other: &str, minutes: &str) -> anyhow::Result<()> {
    minutes
        .parse::<u32>()
        .with_context(|| format!("{minutes:?} is no number of minutes"))?;
    // As the tests are built, so that it starts soon after them.
    let package = ["--package", "tower-audit-tests", "--locked"];
    run(cargo().arg("build").args(package).args(["--bin", other]))?;
    run(cargo()
        .arg("run")
        .args(package)
        .args(["--bin", name, "--", minutes]))
}
