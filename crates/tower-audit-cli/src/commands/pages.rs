//! What shells and readers of manuals want.

use std::io::Write as _;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::{Done, args::Args};

/// Writes the completions of a shell to standard output.
pub(super) fn completions(shell: Shell) -> anyhow::Result<Done> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), NAME, &mut text);
    std::io::stdout().write_all(&text)?;
    Ok(Done::Well)
}

/// Writes the manual, or that of one command, to standard output.
pub(super) fn manual(of: Option<&str>) -> anyhow::Result<Done> {
    let mut command = Args::command();
    command.build();
    let command = match of {
        None => command,
        Some(name) => {
            let page = command.find_subcommand(name).cloned();
            page.ok_or_else(|| anyhow::anyhow!("there is no command {name:?}"))?
        }
    };
    std::io::stdout().write_all(&page(command)?)?;
    Ok(Done::Well)
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}

const NAME: &str = "tower-audit";
