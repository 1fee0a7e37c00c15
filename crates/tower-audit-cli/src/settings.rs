//! Settings: flags, then the environment, then a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tower_audit_core::retention::RetentionPolicy;

use crate::args::Args;

/// What every command needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) database: String,
    pub(crate) schema: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) retention: Option<RetentionPolicy>,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database: Option<String>,
    schema: Option<String>,
    table: Option<String>,
    retention: Option<RetentionPolicy>,
}

impl Settings {
    /// Joins the flags with the file. The environment is among the flags.
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None if Path::new(DEFAULT_FILE).exists() => read(Path::new(DEFAULT_FILE))?,
            None => File::default(),
        };
        let given = args.database.clone().filter(|url| !url.is_empty());
        let Some(database) = given.or(file.database) else {
            bail!(
                "which database? Give --database, set DATABASE_URL, or write `database` into {DEFAULT_FILE}"
            );
        };
        Ok(Self {
            database,
            schema: args.schema.clone().or(file.schema),
            table: args.table.clone().or(file.table),
            retention: file.retention,
        })
    }

    /// Returns the policy of this file, or of the settings.
    pub(crate) fn policy(&self, file: Option<&PathBuf>) -> anyhow::Result<RetentionPolicy> {
        if let Some(path) = file {
            return parse(path);
        }
        self.retention.clone().with_context(|| {
            format!(
                "which policy? Give --policy with a file, or write a table `retention` into {DEFAULT_FILE}"
            )
        })
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    parse(path)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the file {} cannot be read", path.display()))?;
    // Of a line that is wrong the message is shown, and not the line: it may have a password in it.
    toml::from_str(&text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow::anyhow!("{}, line {line}: {}", path.display(), error.message())
    })
}

const DEFAULT_FILE: &str = "tower-audit.toml";
