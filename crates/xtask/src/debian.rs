//! Installs programs, as root on Debian.

use std::{path::Path, process::Command};

use anyhow::bail;

use crate::command::{quiet, run};

/// Installs a program, if it is not there.
///
/// # Errors
///
/// Returns an error that says what to do if it is not there and cannot be installed.
pub fn ensure(program: &str, package: &str) -> anyhow::Result<()> {
    let is_there = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    if is_there() {
        return Ok(());
    }
    if !can_install()? {
        bail!("there is no `{program}` here: install it (on Debian `apt-get install {package}`)");
    }
    install(package)?;
    if !is_there() {
        bail!("the package {package} was installed, but there is no `{program}` in the path");
    }
    Ok(())
}

/// Returns whether packages can be installed here.
pub(crate) fn can_install() -> anyhow::Result<bool> {
    let is_root = quiet(Command::new("id").arg("-u"))? == "0";
    Ok(is_root && Path::new("/etc/debian_version").exists())
}

pub(crate) fn install(package: &str) -> anyhow::Result<()> {
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-q", "-y", "--no-install-recommends", package]))
}
