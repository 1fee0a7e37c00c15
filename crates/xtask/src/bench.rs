//! `cargo xtask bench`, and the one figure of it that is the same each time.

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context as _, ensure};
use xtask::{
    command::{cargo, quiet, run},
    debian,
};

/// Measures everything.
pub(crate) fn run_all(scope: Option<&str>) -> anyhow::Result<()> {
    debian::ensure("wrk", "wrk")?;
    debian::ensure("valgrind", "valgrind")?;
    build(&DATABASES)?;
    run(bench(&DATABASES).arg("all").args(scope))
}

/// Measures what a history of rows costs.
pub(crate) fn history() -> anyhow::Result<()> {
    run(bench(&DATABASES).arg("history"))
}

/// Measures pages of a long trail.
pub(crate) fn pages(scope: Option<&str>) -> anyhow::Result<()> {
    of_a_long_trail("pages", scope)
}

/// Measures how long it takes until what is old is gone.
pub(crate) fn retention(scope: Option<&str>) -> anyhow::Result<()> {
    of_a_long_trail("retention", scope)
}

/// Measures how long it takes to find one of very many trails of calls of models.
pub(crate) fn trails(scope: Option<&str>) -> anyhow::Result<()> {
    of_a_long_trail("trails", scope)
}

/// Runs a command of the bench that is about a long trail.
fn of_a_long_trail(command: &str, scope: Option<&str>) -> anyhow::Result<()> {
    let bench = ["--features", "pages", "--bin", "bench", "--", command];
    let mut measure = cargo();
    measure
        .current_dir(ROOT)
        .arg("run")
        .args(PACKAGE)
        .args(bench);
    run(measure.args(scope))
}

/// Makes sure that a request takes no more instructions than it did.
pub(crate) fn instructions() -> anyhow::Result<()> {
    debian::ensure("valgrind", "valgrind")?;
    build(&[])?;
    println!("$ bench instructions");
    let said = quiet(bench(&[]).arg("instructions"))?;
    let now = figures(&said);
    let then =
        fs::read_to_string(RECORDED).with_context(|| format!("could not read {RECORDED}"))?;
    for (key, most) in figures(&then) {
        let figure = *now
            .get(&key)
            .with_context(|| format!("{key} was not measured"))?;
        println!("  {key} {figure}, recorded {most}");
        ensure!(
            figure <= most * ROOM,
            "{key} has grown from {most} to {figure}: find out why (`valgrind --tool=callgrind \
             target/release/bench repeat audited 4000`), or record it in {RECORDED} and say in the commit what \
             it buys"
        );
    }
    Ok(())
}

/// Builds all programs of the package: one starts another.
fn build(features: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo();
    build.current_dir(ROOT).arg("build").args(PACKAGE);
    run(build.args(features))
}

fn bench(features: &[&str]) -> Command {
    let mut bench = cargo();
    bench
        .current_dir(ROOT)
        .args(["run", "--quiet"])
        .args(PACKAGE)
        .args(features);
    bench.args(["--bin", "bench", "--"]);
    bench
}

/// Reads lines of a key and a figure.
fn figures(text: &str) -> BTreeMap<String, f64> {
    let figure = |line: &str| {
        let (key, figure) = line.trim().split_once(' ')?;
        Some((key.to_owned(), figure.trim().parse().ok()?))
    };
    text.lines().filter_map(figure).collect()
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const PACKAGE: [&str; 4] = ["--release", "--locked", "--package", "tower-audit-bench"];
const DATABASES: [&str; 2] = ["--features", "databases"];
const RECORDED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/bench/instructions.txt"
);

/// Other processors and other releases of libraries and of the compiler count a little differently.
const ROOM: f64 = 1.05;
