//! What the layer costs a request, without a network.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::runtime::{Builder, Runtime};
use xtask::command::quiet;

use crate::{
    app::{App, Variant},
    measure::{Rounds, interleaved, timed},
    summary::{Summary, per},
};

/// Returns the variant of this name.
pub(crate) fn variant(name: &str) -> anyhow::Result<Variant> {
    let found = Variant::ALL
        .into_iter()
        .find(|variant| variant.name() == name);
    found.context("there is no such variant")
}

/// Measures `request.*` and `worker.*`.
pub(crate) fn run(summary: &mut Summary, rounds: usize) -> anyhow::Result<()> {
    times(summary, rounds)?;
    allocations(summary)?;
    instructions(summary)
}

/// The requests are made on this thread, the worker that takes the records is on another one.
fn times(summary: &mut Summary, rounds: usize) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let mut apps = Variant::ALL.map(App::new);
    for app in &mut apps {
        serve(app, &runtime, WARM_UP);
    }
    let times: [Rounds; 6] =
        interleaved(rounds, |thing| serve(&mut apps[thing], &runtime, REQUESTS));
    let [bare, empty, trace, audited, read, skipped] = &times;
    summary.set("request.bare_ns", bare.median());
    summary.set("request.empty_layer_ns", empty.beyond(bare));
    summary.set("request.trace_ns", trace.beyond(bare));
    let overhead = audited.beyond(bare);
    summary.set("request.overhead_ns", overhead);
    summary.set("request.vs_trace", overhead / trace.beyond(bare));
    summary.set("request.skipped_ns", skipped.beyond(empty));
    summary.set("request.read_ns", read.beyond(empty));
    Ok(())
}

/// Returns the nanoseconds a request takes. Fewer than the queue holds, so that none is dropped for being too many
/// for the worker.
fn serve(app: &mut App, runtime: &Runtime, requests: usize) -> f64 {
    let mut time = Duration::ZERO;
    for _ in 0..requests / AT_ONCE {
        // Nobody measures how they are made.
        let made = [(); AT_ONCE].map(|()| app.request());
        time += timed(|| made.into_iter().for_each(|req| app.serve_now(req)));
    }
    app.settle(runtime);
    per(time.as_nanos(), requests / AT_ONCE * AT_ONCE)
}

/// Asks the program that counts them.
fn allocations(summary: &mut Summary) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name("allocations");
    let counted = quiet(&mut Command::new(program))?;
    let of = |variant: Variant, place: usize| -> anyhow::Result<f64> {
        let line = counted
            .lines()
            .find_map(|line| line.strip_prefix(variant.name())?.strip_prefix(' '));
        let figure = line.and_then(|line| line.split(' ').nth(place));
        Ok(figure.context("it did not count this variant")?.parse()?)
    };
    let (bare, empty) = (of(Variant::Bare, 0)?, of(Variant::Empty, 0)?);
    summary.set("request.bare_allocs", bare);
    summary.set("request.empty_layer_allocs", empty - bare);
    summary.set("request.allocs", of(Variant::Audited, 0)? - bare);
    summary.set("request.skipped_allocs", of(Variant::Skipped, 0)? - empty);
    summary.set("request.read_allocs", of(Variant::Read, 0)? - empty);
    summary.set("worker.allocs", of(Variant::Audited, 1)?);
    Ok(())
}

/// Counts instructions, those of the worker too.
pub(crate) fn instructions(summary: &mut Summary) -> anyhow::Result<()> {
    let bare = instructions_of(Variant::Bare)?;
    let audited = instructions_of(Variant::Audited)?;
    summary.set("request.bare_instructions", bare);
    summary.set("request.instructions", audited - bare);
    Ok(())
}

fn instructions_of(variant: Variant) -> anyhow::Result<f64> {
    let count = |requests: usize| -> anyhow::Result<u64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["repeat", variant.name(), &requests.to_string()])
            .output()
            .context("could not run valgrind")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "valgrind failed:\n{said}");
        let count = said.lines().find_map(|line| line.split_once("Collected :"));
        let (_, count) = count.with_context(|| format!("valgrind counted nothing:\n{said}"))?;
        Ok(count.trim().parse()?)
    };
    // Without what it takes to start.
    let (some, more) = (count(REQUESTS)?, count(2 * REQUESTS)?);
    Ok(per(more - some, REQUESTS))
}

/// Serves so many requests and nothing else, to be counted from outside.
pub(crate) fn repeat(variant: Variant, requests: usize) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let mut app = App::new(variant);
    let mut left = requests;
    while left > 0 {
        let some = left.min(REQUESTS);
        serve(&mut app, &runtime, some);
        left -= some;
    }
    Ok(())
}

/// How many requests are made before the clock runs.
const AT_ONCE: usize = 50;
const WARM_UP: usize = 2_000;
const REQUESTS: usize = 4_000;
