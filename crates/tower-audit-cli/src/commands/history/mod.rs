//! Which rows of the app's own tables were changed, from what to what.

mod as_of;
mod key;
mod mask_key;
mod no_longer;
mod partitions;
mod revert;
mod show;
mod status;
mod track;

use clap::Subcommand;
use tower_audit_core::changes::TableName;
use tower_audit_history::{History, MaskKey};

use self::{as_of::AsOf, partitions::Prune, revert::Revert, show::Show, track::Track};
use crate::{Done, connect, output::Output, settings::Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Changes {
    /// The table of the history, in the schema that --schema says [default: row_changes]
    #[arg(long, global = true, value_name = "NAME")]
    history_table: Option<String>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the table of the history, or bring it up to date, with partitions for the next months: daily
    Migrate {
        /// The role that owns what is made, of which the user has to be a member [default: the user]
        #[arg(long, value_name = "ROLE")]
        owner: Option<String>,
    },
    /// Record from now on what happens to the rows of a table, as these flags say and no others that were given before
    Track(Track),
    /// Record nothing of a table any more; what was recorded stays
    Untrack {
        /// The table
        #[arg(value_name = "TABLE")]
        of: TableName,
    },
    /// Say which tables are tracked, and how
    Status,
    /// Say what is wrong, and what to do; exits with 3 if something is
    Verify,
    /// Show changes, the newest first: of a row, of a table, or of an event, a request or an actor
    Show(Show),
    /// Print what a row was at a time, as JSON; exits with 4 if there was none
    AsOf(AsOf),
    /// Record the rows that a table has, once, so that the history knows of all of them
    Baseline {
        /// The table
        #[arg(value_name = "TABLE")]
        of: TableName,
    },
    /// Take a change back, or only print the SQL that would
    Revert(Revert),
    /// Say which partitions the history has
    Partitions,
    /// Drop the months of the history that are old
    Prune(Prune),
}

/// Tracks tables, and shows what happened to their rows.
pub(super) async fn run(
    settings: &Settings,
    args: Changes,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let history = open(settings, &args, output).await?;
    match args.action {
        Action::Migrate { .. } => {
            history.migrate().await?;
            partitions::list(&history, output).await
        }
        Action::Track(args) => track::track(&history, args, output).await,
        Action::Untrack { of } => track::untrack(&history, &of, output).await,
        Action::Status => status::status(&history, output).await,
        Action::Verify => status::verify(&history, output).await,
        Action::Show(args) => show::run(&history, args, output).await,
        Action::AsOf(args) => as_of::run(&history, &args, output).await,
        Action::Baseline { of } => track::baseline(&history, &of, output).await,
        Action::Revert(args) => revert::run(&history, &args, output).await,
        Action::Partitions => partitions::list(&history, output).await,
        Action::Prune(args) => partitions::prune(&history, &args, output).await,
    }
}

/// Connects to the history.
async fn open(settings: &Settings, args: &Changes, output: &mut Output) -> anyhow::Result<History> {
    // Before the database is asked for: what is no key is said at once.
    let key = args.action.mask_key(output)?;
    let pool = connect::postgres_pool(settings, "the history of tables").await?;
    let mut history = History::builder(pool);
    if let Some(schema) = &settings.schema {
        history = history.schema(schema);
    }
    if let Some(table) = &args.history_table {
        history = history.table(table);
    }
    if let Some(key) = key {
        history = history.mask_key(key);
    }
    if let Some(owner) = args.action.owner() {
        history = history.owner(owner);
    }
    Ok(history.build()?)
}

impl Action {
    /// Returns the key of hashes, if it is needed and there is one.
    fn mask_key(&self, output: &mut Output) -> anyhow::Result<Option<MaskKey>> {
        match self {
            Self::Track(track) if !track.hash.is_empty() => mask_key::from_environment(),
            // They only compare with it, and there is more for them to look at.
            Self::Status | Self::Verify => match mask_key::from_environment() {
                Err(error) => {
                    output.aside(format!(
                        "{error}; until then the functions of tables with hashed columns are not compared"
                    ))?;
                    Ok(None)
                }
                key => key,
            },
            _ => Ok(None),
        }
    }

    /// Returns the role that owns what is made.
    fn owner(&self) -> Option<&str> {
        match self {
            Self::Migrate { owner } => owner.as_deref(),
            Self::Track(track) => track.owner.as_deref(),
            _ => None,
        }
    }
}
