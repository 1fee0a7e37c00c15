//! `cargo xtask fuzz`.

use std::process::Command;

use anyhow::Context as _;
use xtask::command::{cargo, quiet, run};

/// Fuzzes each target for so many minutes. What it finds that is new goes to the corpus.
///
/// The compiler's own pass counts what was reached, so that a stable toolchain will do; a memory
/// checker would have nothing to find in code without `unsafe`.
pub(crate) fn run_for(minutes: &str) -> anyhow::Result<()> {
    let minutes: u32 = minutes
        .parse()
        .with_context(|| format!("{minutes:?} is no number of minutes"))?;
    let host = quiet(Command::new("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say what it runs on")?;
    run(cargo()
        .current_dir(FOLDER)
        .env("RUSTFLAGS", COVERAGE)
        .args(["build", "--release", "--target", host]))?;
    // Where it writes what made it fail.
    std::fs::create_dir_all(format!("{FOLDER}/artifacts"))?;
    for target in TARGETS {
        println!("fuzzing {target} for {minutes} min");
        let program = format!("target/{host}/release/{target}");
        run(Command::new(std::path::Path::new(FOLDER).join(program))
            .current_dir(FOLDER)
            .arg(format!("corpus/{target}"))
            .arg(format!("-max_total_time={}", minutes.saturating_mul(60)))
            .args(["-artifact_prefix=artifacts/", "-print_final_stats=1"]))?;
    }
    Ok(())
}

/// The reader of spool segments, the rule for the client's address, and the parser of searches.
const TARGETS: [&str; 3] = ["segment", "client", "search"];

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz");

const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     --cfg fuzzing";
