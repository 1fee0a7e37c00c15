//! Runs programs.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail};

/// Returns the cargo that runs this.
#[must_use]
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Shows the command, runs it, and fails if it does.
///
/// # Errors
///
/// Returns an error if it cannot be run or fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("could not run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    println!("  in {} s", started.elapsed().as_secs());
    Ok(())
}

/// Runs the command in silence; its output is part of the error if it fails.
///
/// # Errors
///
/// Returns an error with its output if it cannot be run or fails.
pub fn quiet(command: &mut Command) -> anyhow::Result<String> {
    let line = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not run `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{line}` failed: {}\n{}{said}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    [name]
        .into_iter()
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
