//! All of the measurements, one after the other.

use std::{path::Path, process::Command, time::Duration};

use xtask::command::quiet;

use crate::{history, http, load, request, stores, summary::Summary};

/// Runs a command of the suite.
pub(crate) fn command(arguments: &[&str]) -> anyhow::Result<()> {
    match *arguments {
        ["all"] => all(&LONG),
        ["all", "--quick"] => all(&QUICK),
        ["request"] => request::run(&mut Summary::default(), LONG.rounds),
        ["stores"] => rows(&mut Summary::default(), &QUICK).map(drop),
        ["history"] => changes(&mut Summary::default(), &QUICK),
        ["http"] => service(&mut Summary::default(), &QUICK),
        ["load"] => many(&mut Summary::default(), &QUICK),
        // What the above start.
        ["serve", name] => http::serve(request::variant(name)?, None),
        ["serve", name, url, spool] => http::serve(request::variant(name)?, Some((url, spool))),
        #[cfg(feature = "pages")]
        ref others => crate::reading::command(others),
        #[cfg(not(feature = "pages"))]
        _ => anyhow::bail!("usage: cargo xtask bench [--quick]"),
    }
}

/// How much is measured.
struct Scope {
    name: &'static str,
    /// Of what is quick, and of everything else.
    rounds: usize,
    slow_rounds: usize,
    seconds: u32,
    rows: usize,
    requests: usize,
}

const LONG: Scope = Scope {
    name: "long",
    rounds: 101,
    slow_rounds: 9,
    seconds: 5,
    rows: 200_000,
    requests: 200_000,
};

const QUICK: Scope = Scope {
    name: "quick",
    rounds: 21,
    slow_rounds: 5,
    seconds: 2,
    rows: 50_000,
    requests: 50_000,
};

/// Measures everything, prints the table and writes the summary.
fn all(scope: &Scope) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    println!("A request without a network:");
    request::run(&mut summary, scope.rounds)?;
    many(&mut summary, scope)?;
    let postgres = rows(&mut summary, scope)?;
    changes(&mut summary, scope)?;
    service(&mut summary, scope)?;
    let path = Path::new("target/bench/summary.json");
    let facts = facts(scope, postgres);
    summary.write(path, facts)?;
    println!("\n{}\nAll of it is in {}.", summary.table(), path.display());
    Ok(())
}

fn many(summary: &mut Summary, scope: &Scope) -> anyhow::Result<()> {
    println!("Many requests at once, and a queue that is full:");
    load::scale(summary, scope.slow_rounds, scope.requests)?;
    load::memory(summary)
}

fn rows(summary: &mut Summary, scope: &Scope) -> anyhow::Result<String> {
    println!("Rows into the stores:");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        stores::sqlite(summary, scope.slow_rounds, scope.rows).await?;
        stores::postgres(summary, scope.slow_rounds, scope.rows).await
    })
}

fn changes(summary: &mut Summary, scope: &Scope) -> anyhow::Result<()> {
    println!("A history of rows, recorded by triggers:");
    let time = Duration::from_secs(scope.seconds.into()) / 2;
    history::run(summary, scope.rounds, scope.slow_rounds, time)
}

fn service(summary: &mut Summary, scope: &Scope) -> anyhow::Result<()> {
    println!("A service behind a socket, under wrk:");
    http::run(summary, scope.slow_rounds, scope.seconds)?;
    http::outage(summary, scope.slow_rounds, scope.seconds + 2)
}

/// Returns on what it was measured, and of what.
fn facts(scope: &Scope, postgres: String) -> Vec<(&'static str, serde_json::Value)> {
    let said = |program: &str, arguments: &[&str]| {
        quiet(Command::new(program).args(arguments)).unwrap_or_else(|_| "unknown".to_owned())
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let date = chrono::Utc::now().date_naive().to_string();
    vec![
        ("scope", scope.name.into()),
        ("date", date.into()),
        ("machine.processor", processor.into()),
        ("machine.cores", cores.into()),
        ("machine.kernel", said("uname", &["-sr"]).into()),
        ("version.rustc", said("rustc", &["--version"]).into()),
        ("version.tower-audit", env!("CARGO_PKG_VERSION").into()),
        ("version.postgres", postgres.into()),
        ("version.wrk", http::version().into()),
        ("version.valgrind", said("valgrind", &["--version"]).into()),
        (
            "commit",
            said("git", &["describe", "--always", "--dirty"]).into(),
        ),
    ]
}
