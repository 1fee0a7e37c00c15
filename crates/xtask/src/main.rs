//! The project's own commands: `cargo xtask test`, and what it needs.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to the terminal"
)]

mod bench;
mod browser;
mod chaos;
mod fuzz;
mod python;
mod test;

use std::process::ExitCode;

use anyhow::bail;
use xtask::postgres;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(arguments: &[&str]) -> anyhow::Result<()> {
    match arguments {
        ["test"] => test::run_all(),
        ["bench"] => bench::run_all(None),
        ["bench", "--quick"] => bench::run_all(Some("--quick")),
        ["bench", "history"] => bench::history(),
        ["pages"] => bench::pages(None),
        ["pages", "--quick"] => bench::pages(Some("--quick")),
        ["retention"] => bench::retention(None),
        ["retention", "--quick"] => bench::retention(Some("--quick")),
        ["trails"] => bench::trails(None),
        ["trails", "--quick"] => bench::trails(Some("--quick")),
        ["browser"] => browser::test(),
        ["openapi"] => browser::openapi(),
        ["foreign"] => python::foreign(),
        ["screenshots"] => browser::screenshots(),
        ["postgres"] => postgres::serve(),
        ["chaos"] => chaos::run_for("1"),
        ["chaos", "retention"] => chaos::retention("1"),
        ["chaos", "retention", minutes] => chaos::retention(minutes),
        ["chaos", minutes] => chaos::run_for(minutes),
        ["fuzz"] => fuzz::run_for("1"),
        ["fuzz", minutes] => fuzz::run_for(minutes),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        [unknown, ..] => bail!("there is no command {unknown:?}\n\n{HELP}"),
    }
}

const HELP: &str = "\
Usage: cargo xtask <command>

  test       Format, lints, every test with SQLite and with Postgres, doc tests, docs.
             Postgres: the URL in TOWER_AUDIT_TEST_POSTGRES if set, else a throw-away
             cluster on a free port of the loopback, installed first where possible.
  bench [--quick]
             Measure what the layer costs a request and how fast the stores take rows, beside
             what one would pick instead; print one table, and write target/bench/summary.json.
             Takes wrk and valgrind, installed first where possible. --quick does fewer rounds,
             in less than five minutes.
  bench history
             Measure only what the triggers of the history cost.
  browser    Use the viewer in a headless Chromium: what the tests do last. Takes chromium, node and
             npm, installed first where possible, and two packages from the npm registry.
  openapi    Let schemathesis try the API by its OpenAPI document. Takes python3, and packages from PyPI.
  foreign    Let pyarrow, DuckDB and a client of S3 read what the command exports. Takes python3, and packages
             from PyPI.
  screenshots
             Take the pictures of the viewer that are in the docs.
  pages [--quick]
             Make a trail of ten million rows in Postgres and of one million in SQLite, and measure
             how long the pages of each kind of search take. --quick makes a twentieth of it.
  retention [--quick]
             Make trails as long as those, let go of nine tenths of them by batches and by partitions, and
             make partitions of a plain one, while a writer goes on; measure how long that takes, how long
             appends take meanwhile, and locks. --quick makes shorter ones.
  trails [--quick]
             Make ten million trails of calls of models in Postgres and in SQLite, and measure how long it takes to
             find one, and what the calls of a project add up to. --quick makes a fiftieth of it.
  postgres   Start such a throw-away cluster, print its URL, and stop it on Enter.
  chaos [minutes]
             Kill services, databases and connections under load, again and again (1 minute),
             and end with a table of what was answered, found, duplicated and lost.
  chaos retention [minutes]
             Let two replicas and a command race for the lease of the retention while they are killed
             and stopped (1 minute), and fail if two had it at once, or nobody for longer than it lasts.
  fuzz [minutes]
             Fuzz the reader of spool segments, the rule for the client's address and the
             parser of searches (1 minute each). Needs a C++ compiler.";
