//! Programs from PyPI, each in a folder of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use xtask::{
    command::{cargo, run},
    debian,
};

/// Makes a folder with these packages, and returns where its programs are.
pub(crate) fn programs(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    debian::ensure("python3", "python3")?;
    let venv = target().join(name);
    if !venv.join("bin/pip").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    run(Command::new(venv.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        &format!("{ROOT}/{requirements}"),
    ]))?;
    Ok(venv.join("bin"))
}

/// Lets programs that are not ours read what the command exports, and keep it for it.
pub(crate) fn foreign() -> anyhow::Result<()> {
    let command = "tower-audit-command";
    run(cargo().current_dir(ROOT).args([
        "build",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-features",
        "--bin",
        command,
    ]))?;
    let programs = programs("foreign", "tests/foreign/requirements.txt")?;
    run(Command::new(programs.join("python"))
        .arg(format!("{ROOT}/tests/foreign/check.py"))
        .arg(target().join("debug").join(command)))
}

pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from)
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
