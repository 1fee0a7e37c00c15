//! The folder where events wait while the database is away.

mod inspect;
mod letters;
mod pile;
mod replay;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use tower_audit_core::spool::{self, Inspection};

use self::{letters::DeadLetters, replay::Replay};
use crate::{Done, output::Output, settings::Settings};

#[derive(Debug, Subcommand)]
pub(crate) enum Spool {
    /// Say what waits in a spool; needs no database and changes nothing; exits with 3 if there is something
    Inspect {
        /// The folder that the service was given as its spool
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Write to the database what ended processes left in a spool; exits with 3 if something is left
    Replay(Replay),
    /// List the events that the database refused, or try them again; exits with 3 if there are any
    DeadLetters(DeadLetters),
}

/// Looks after a spool. The settings are asked for only where the database is.
pub(super) async fn run(
    settings: anyhow::Result<Settings>,
    action: Spool,
    output: &mut Output,
) -> anyhow::Result<Done> {
    match action {
        Spool::Inspect { folder } => inspect::run(&folder, output),
        Spool::Replay(args) => replay::run(settings, &args, output).await,
        Spool::DeadLetters(args) => letters::run(settings, &args, output).await,
    }
}

/// Lists what lies in the spool.
fn look(folder: &Path) -> anyhow::Result<Inspection> {
    spool::inspect(folder).with_context(|| {
        format!(
            "the spool {} cannot be looked at: give the folder that the service was given, as a user who may read it",
            folder.display()
        )
    })
}
