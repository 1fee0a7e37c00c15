//! Measures tower-audit beside what a user would pick instead: see `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]
#![cfg_attr(
    not(feature = "databases"),
    allow(dead_code, reason = "without them only the instructions are counted")
)]

mod app;
#[cfg(feature = "databases")]
mod copy;
mod events;
#[cfg(feature = "pages")]
mod export;
#[cfg(feature = "databases")]
mod history;
#[cfg(feature = "databases")]
mod http;
mod load;
mod measure;
#[cfg(feature = "pages")]
mod reading;
mod request;
#[cfg(feature = "pages")]
mod retention;
#[cfg(feature = "databases")]
mod stores;
#[cfg(feature = "databases")]
mod suite;
mod summary;
#[cfg(feature = "pages")]
mod trails;

use summary::Summary;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["instructions"] => request::instructions(&mut Summary::default()),
        // What is started by others.
        ["repeat", name, requests] => request::repeat(request::variant(name)?, requests.parse()?),
        ["fill"] => load::fill(),
        #[cfg(feature = "pages")]
        ["retention", ref scope @ ..] => retention::command(scope),
        #[cfg(feature = "pages")]
        ["trails", ref scope @ ..] => trails::command(scope),
        #[cfg(feature = "databases")]
        ref others => suite::command(others),
        #[cfg(not(feature = "databases"))]
        _ => anyhow::bail!("usage: cargo xtask bench [--quick]"),
    }
}
