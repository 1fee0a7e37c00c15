//! The command `tower-audit`: one tool for whoever operates an audit trail, or reads it in a terminal.
//!
//! ```console
//! $ export DATABASE_URL=postgres://audit@localhost/app
//! $ tower-audit migrate
//! $ tower-audit search 'actor:alice -outcome:success' --since 7d
//! $ tower-audit prune --policy retention.toml --dry-run
//! $ tower-audit doctor
//! $ tower-audit export --since 30d --to trail.parquet
//! ```
//!
//! Settings come from flags, then from the environment (and a file `.env`), then from a TOML file, `tower-audit.toml` in the
//! current folder unless `--config` names another:
//!
//! ```toml
//! database = "postgres://audit@localhost/app"
//! schema = "control_plane"
//! table = "audit_logs"
//!
//! [retention]
//! default = "365d"
//! rules = [{ match = "action:session.*", keep = "90d" }]
//! ```
//!
//! # History
//!
//! In Postgres it also keeps the history of the app's own tables
//! ([tower-audit-history](https://docs.rs/tower-audit-history)): which rows were changed by whom, from what to what.
//!
//! ```console
//! $ tower-audit history migrate
//! $ tower-audit history track jobs --ignore updated_at --mask api_token --baseline
//! $ tower-audit history show jobs id=7 --since 7d
//! $ tower-audit history as-of jobs id=7 yesterday
//! $ tower-audit history revert 019a9e3c-7d2e-7c4b-8f00-0123456789ab
//! $ tower-audit history verify
//! ```
//!
//! It is in the schema of the trail (`--schema`), in the table `row_changes` (`--history-table`). Columns are hashed (`--hash`) with the
//! key of the environment variable `TOWER_AUDIT_MASK_KEY`, an id, a colon and hexadecimal digits.
//!
//! # Calls of models
//!
//! It reads the trails of calls of models, too ([tower-audit-ai](https://docs.rs/tower-audit-ai)), in Postgres and SQLite: what they took
//! and cost.
//!
//! ```console
//! $ tower-audit ai migrate --zone Europe/Berlin
//! $ tower-audit ai cost --since 30d
//! $ tower-audit ai cost project-7
//! $ tower-audit ai list project-7 -n 20
//! $ tower-audit ai show msg_1
//! $ tower-audit ai cleanup --keep 7d
//! ```
//!
//! # Exit codes
//!
//! | code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | failed: what, and what to do, is on standard error |
//! | 2 | the command line is wrong |
//! | 3 | looked, and found something that has to be done: `migrate --status` and `--verify`, `doctor`, `spool`, `import --skip-bad`, `history verify` |
//! | 4 | there is no such event or hold: `show`, `hold release`; no such change, or no row then: `history revert` and `as-of`; no such call: `ai show` |
//!
//! # What it does not do
//!
//! An export that is killed by SIGKILL, or with its machine, leaves a file `.tower-audit-...` beside the one that it was to be, for its owner
//! alone: delete it. One that is stopped by Ctrl-C or SIGTERM leaves none.
//!
//! `history revert --run` is recorded as the work of the system, or of the `--actor` that you name, beside the database user: it does not
//! know who sits at the terminal.
//!
//! It has no users of its own: whoever can connect to the database may do what its user may. Only `serve` asks for a password.
//!
//! # Features
//!
//! - `cloud` (default): `export` and `import` take URLs of S3, Google Cloud Storage and Azure. Secrets come from the environment, under
//!   the names that the stores' own tools have (`AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY` ...).
//! - `tls` (default): encrypted connections to Postgres, with the certificates of the system.

#![expect(
    clippy::print_stderr,
    reason = "a command says on standard error what went wrong"
)]

mod args;
mod commands;
mod connect;
mod output;
mod parquet;
mod place;
mod progress;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;

use self::{
    args::{Args, Command},
    output::Output,
};

/// Runs the command with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    // A file `.env` that is not there is none; one that cannot be read must not pass for one, but whoever gives the database
    // otherwise does not need it.
    let dotenv = dotenvy::dotenv();
    let args = match Args::try_parse_from(std::env::args_os().map(args::shield)) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    if let Err(error) = dotenv
        && !error.not_found()
        && args.database.is_none()
        && !matches!(
            args.command,
            Command::Completions { .. } | Command::Man { .. }
        )
    {
        eprintln!("error: {}", of_dotenv(&error));
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut output = Output::to_stdout(args.json);
    match runtime.block_on(commands::run(args, &mut output)) {
        Ok(done) => done.into(),
        // Whoever reads has seen enough, as `head` has.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", output::causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong with the command line, or what was asked for instead of running it.
fn usage(error: &clap::Error) -> ExitCode {
    let text = output::without_passwords(&error.to_string());
    let written = match error.use_stderr() {
        true => std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()),
        false => std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()),
    };
    let code = match written {
        Ok(()) => u8::try_from(error.exit_code()).unwrap_or(2),
        Err(_) => 1,
    };
    ExitCode::from(code)
}

/// Says what is wrong with the file `.env`, and nothing of what is in it.
fn of_dotenv(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(_, at) => format!(
            "the file .env of this folder or of one above it has a line that is no setting, wrong at its character {}: text with \
             spaces stands in quotes. Mend it, or give --database",
            at + 1
        ),
        dotenvy::Error::Io(error) => format!("the file .env cannot be read: {error}"),
        _ => "the file .env cannot be read".to_owned(),
    }
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Well,
    FoundSomething,
    NoSuchThing,
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        Self::from(match done {
            Done::Well => 0,
            Done::FoundSomething => 3,
            Done::NoSuchThing => 4,
        })
    }
}
