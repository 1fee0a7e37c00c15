//! The viewer in a real browser, and the API in front of a client that knows its document alone.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, bail};
use xtask::{
    command::{cargo, quiet, run},
    debian,
};

use crate::python::{self, target};

/// Uses the viewer as people do, and fails if it does not do what it should.
pub(crate) fn test() -> anyhow::Result<()> {
    install()?;
    let site = Site::start()?;
    run(site
        .node()?
        .args(["--test", "--test-reporter=spec", "viewer.test.mjs"]))
}

/// Lets a client that knows nothing but the OpenAPI document try the API, and fails if the two differ. What never
/// ends is left out.
pub(crate) fn openapi() -> anyhow::Result<()> {
    let site = Example::start("quickstart")?;
    let programs = python::programs("schemathesis", "tests/openapi/requirements.txt")?;
    run(Command::new(programs.join("schemathesis"))
        .current_dir(target())
        .arg("--config-file")
        .arg(format!("{ROOT}/tests/openapi/schemathesis.toml"))
        .args(["run", &format!("{}/audit/openapi.json", site.origin)])
        .args(["--header", "Authorization: Bearer demo-probe"])
        .args(["--checks", "all", "--max-examples", "60", "--no-color"])
        .args(["--exclude-path", "/events/stream"]))
}

/// Takes the pictures of the docs.
pub(crate) fn screenshots() -> anyhow::Result<()> {
    install()?;
    let site = Site::start()?;
    let folder = format!("{ROOT}/crates/tower-audit-web/docs");
    std::fs::create_dir_all(&folder)?;
    run(site.node()?.args(["screenshots.mjs", &folder]))?;
    debian::ensure("pngquant", "pngquant")?;
    for picture in std::fs::read_dir(&folder)? {
        let picture = picture?.path();
        // Small enough to be in the repository.
        let smaller = ["--force", "--ext", ".png", "--speed", "1", "--strip", "128"];
        quiet(Command::new("pngquant").args(smaller).arg(picture))?;
    }
    Ok(())
}

/// An example with what it makes up, until this is dropped.
struct Example {
    process: Child,
    origin: String,
    _folder: Folder,
}

/// The examples that are looked at.
struct Site {
    quickstart: Example,
    chat: Example,
}

impl Site {
    fn start() -> anyhow::Result<Self> {
        Ok(Self {
            quickstart: Example::start("quickstart")?,
            chat: Example::start("ai-chat")?,
        })
    }

    fn node(&self) -> anyhow::Result<Command> {
        let chromium = quiet(Command::new("sh").args(["-c", "command -v chromium"]))?;
        let mut node = Command::new("node");
        node.current_dir(FOLDER)
            .env("TOWER_AUDIT_VIEWER", &self.quickstart.origin)
            .env("TOWER_AUDIT_CHAT", &self.chat.origin)
            .env("TOWER_AUDIT_CHROMIUM", chromium);
        Ok(node)
    }
}

impl Example {
    fn start(name: &str) -> anyhow::Result<Self> {
        run(cargo().current_dir(ROOT).args([
            "build",
            "--quiet",
            "--locked",
            "--workspace",
            "--all-features",
            "--bin",
            name,
        ]))?;
        let folder = Folder::new(name)?;
        let mut process = Command::new(target().join("debug").join(name))
            .arg("--demo")
            .current_dir(&folder.0)
            .env("PORT", "0")
            .env_remove("DATABASE_URL")
            .env_remove("DATABASE")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        let said = origin(&mut process);
        let mut example = Self {
            process,
            origin: String::new(),
            _folder: folder,
        };
        example.origin = said.with_context(|| format!("{name} did not start"))?;
        Ok(example)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It is not asked to end well: nothing of it is kept.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Installs the browser, and what drives it: nothing is downloaded but two packages, whose versions stand in
/// `package.json`.
fn install() -> anyhow::Result<()> {
    debian::ensure("chromium", "chromium")?;
    debian::ensure("node", "nodejs")?;
    debian::ensure("npm", "npm")?;
    run(Command::new("npm")
        .current_dir(FOLDER)
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--silent",
        ]))
}

/// Waits until it says where it listens.
fn origin(process: &mut Child) -> anyhow::Result<String> {
    let output = process.stdout.as_mut();
    // It stays open: there is more to say.
    let output = output.context("it has no output")?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let Some(line) = lines.find(|line| line.contains("Listening on ")) else {
        bail!("it ended");
    };
    let origin = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let origin = origin.context("it does not say where it listens")?;
    Ok(origin.trim_end_matches('.').to_owned())
}

/// A folder that is gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> anyhow::Result<Self> {
        let name = format!("tower-audit-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/browser");
