//! `cargo xtask test`.

use std::time::Instant;

use xtask::{
    command::{cargo, run},
    postgres::{Postgres, VARIABLE},
};

use crate::{bench, browser, python};

/// Runs everything that must hold, cheapest first.
pub(crate) fn run_all() -> anyhow::Result<()> {
    let started = Instant::now();
    run(cargo().args(["fmt", "--all", "--check"]))?;
    let all = ["--workspace", "--all-features", "--locked"];
    run(cargo()
        .arg("clippy")
        .args(all)
        .args(["--all-targets", "--", "-D", "warnings"]))?;
    for features in ["", "axum", "metrics", "postgres", "sqlite"] {
        let one = [
            "--package",
            "tower-audit",
            "--no-default-features",
            "--locked",
            "--features",
            features,
        ];
        run(cargo()
            .arg("clippy")
            .args(one)
            .args(["--", "-D", "warnings"]))?;
    }
    run(cargo()
        .env("RUSTFLAGS", "--cfg shuttle")
        .args(["test", "--package", "tower-audit-core", "--lib", "--locked"])
        // Apart: other flags build everything anew.
        .args(["--target-dir", "target/shuttle", "interleavings"]))?;
    let postgres = Postgres::find_or_start()?;
    run(cargo().env(VARIABLE, postgres.url()).arg("test").args(all))?;
    browser::test()?;
    browser::openapi()?;
    python::foreign()?;
    bench::instructions()?;
    run(cargo()
        .env("RUSTDOCFLAGS", "-D warnings")
        .arg("doc")
        .args(all)
        .arg("--no-deps"))?;
    println!("everything holds, in {} s", started.elapsed().as_secs());
    Ok(())
}
