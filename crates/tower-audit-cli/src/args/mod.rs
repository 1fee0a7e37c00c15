//! The command line.

mod migrate;
mod shield;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tower_audit_core::{EventId, search::Field};
use tower_audit_sqlx::partitions::Period;

pub(crate) use self::{
    migrate::Migrate,
    shield::{shield, unshielded},
};
use crate::commands::{Ai, Changes, Examine, Export, Import, Serve, Spool};

/// Operate and read an audit trail in Postgres or SQLite.
#[derive(Debug, Parser)]
#[command(name = "tower-audit", version, arg_required_else_help = true, after_long_help = AFTER, after_help = AFTER)]
pub(crate) struct Args {
    /// The database, as postgres://user@host/name or sqlite:///path/audit.db
    #[arg(
        long,
        short,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) database: Option<String>,

    /// The schema of the table, in Postgres [default: control_plane]
    #[arg(long, global = true)]
    pub(crate) schema: Option<String>,

    /// The table [default: audit_logs]
    #[arg(long, global = true)]
    pub(crate) table: Option<String>,

    /// The file with settings [default: tower-audit.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Print JSON, for programs: an object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the table, or bring it up to date
    Migrate(Migrate),
    /// Find events, the newest first
    Search(Search),
    /// Show one event, with everything that is known of it
    Show {
        /// The id of the event
        id: EventId,
    },
    /// Show the newest events, and those to come with -f
    Tail(Tail),
    /// Count the most frequent values of a field
    Top(Top),
    /// Count events over time, by outcome: of the last day, unless --since says otherwise
    Histogram(Histogram),
    /// Write events into a file or an object store
    Export(Export),
    /// Write the events of a file into the trail; those that are there stay as they are
    Import(Import),
    /// Delete what is old, as a policy says
    Prune(Prune),
    /// Keep events from being deleted
    Hold {
        #[command(subcommand)]
        action: Hold,
    },
    /// See, make and convert to partitions (Postgres)
    Partitions {
        #[command(subcommand)]
        action: Option<Partitions>,
    },
    /// Record which rows of tables are changed, from what to what, and see and revert it (Postgres)
    History(Changes),
    /// See what calls of models took and cost
    Ai(Ai),
    /// Look for what is wrong, and say what to do; exits with 3 if something has to be done
    Doctor(Examine),
    /// Look at what a service keeps on its disk, and write it to the database
    Spool {
        #[command(subcommand)]
        action: Spool,
    },
    /// Serve the viewer and its API
    Serve(Serve),
    /// Print the completions of a shell
    Completions {
        /// Which one
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for `man -l -`
    Man {
        /// Of this command alone
        command: Option<String>,
    },
}

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Query {
    /// A search, such as: actor:alice action:project.* -outcome:success
    #[arg(value_name = "SEARCH")]
    pub(crate) search: Vec<String>,

    /// Since then: 7d, yesterday, 2026-11-01, 2026-11-01T09:30Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Until then, the end of it: as --since
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Search {
    /// How many events at most
    #[arg(long, short = 'n', default_value_t = 50)]
    pub(crate) limit: u64,

    /// The oldest first
    #[arg(long)]
    pub(crate) oldest: bool,

    #[command(flatten)]
    pub(crate) query: Query,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// Go on with events as they are written
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// How many of those that are there
    #[arg(long, short = 'n', default_value_t = 10)]
    pub(crate) lines: u16,

    #[command(flatten)]
    pub(crate) query: Query,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Top {
    /// The field: actor, action, target, ip, or another one that has few values
    #[arg(value_parser = field)]
    pub(crate) field: Field,

    /// How many values at most
    #[arg(long, short = 'n', default_value_t = 10)]
    pub(crate) limit: u16,

    #[command(flatten)]
    pub(crate) query: Query,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Histogram {
    /// How many spans of time
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) buckets: u16,

    #[command(flatten)]
    pub(crate) query: Query,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// The policy, a TOML file [default: the table `retention` of the settings]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Say what would go, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// For how many seconds to begin new batches
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    pub(crate) budget: u64,

    /// After how many seconds somebody else takes over if this is killed
    #[arg(
        long,
        default_value_t = 60,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3_600)
    )]
    pub(crate) lease: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Say which holds there are
    List,
    /// Keep what passes a search, whatever the policy says
    Place {
        /// The name that it is released by
        name: String,
        /// What is kept
        #[arg(value_name = "SEARCH", required = true)]
        search: Vec<String>,
        /// Why, such as the number of a case
        #[arg(long)]
        reason: String,
    },
    /// Let go of what a hold keeps
    Release {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Partitions {
    /// Say which partitions there are
    List,
    /// Make those of the next time
    Create,
    /// Make partitions of a plain table, while its writers go on
    Convert {
        /// How long they are
        #[arg(long, value_name = "LENGTH")]
        to: Length,
    },
}

const AFTER: &str = "\
Settings come from flags, then from the environment (and a file .env), then from tower-audit.toml.

Exit codes: 0 done, 1 failed, 2 the command line is wrong, 3 something has to be done (migrate --status and
--verify, doctor, spool, import --skip-bad, history verify), 4 there is no such event, hold, change or row.";

/// How long a partition is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Length {
    Monthly,
    Daily,
}

impl From<Length> for Period {
    fn from(length: Length) -> Self {
        match length {
            Length::Monthly => Self::Monthly,
            Length::Daily => Self::Daily,
        }
    }
}

fn field(name: &str) -> Result<Field, String> {
    let keys = || {
        let keys = Field::ALL.iter().map(|field| field.key());
        keys.collect::<Vec<_>>().join(", ")
    };
    Field::named(name).ok_or_else(|| format!("there is no such field; the fields are {}", keys()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
