//! Which tables are tracked, and how.

use anyhow::bail;
use clap::ValueEnum;
use serde_json::json;
use tower_audit_core::changes::TableName;
use tower_audit_history::{History, HistoryError, Triggers, WithoutContext};

use super::{
    mask_key,
    no_longer::{self, NoLonger},
};
use crate::{
    Done,
    output::{Output, one_line},
    progress::Progress,
};

#[derive(Debug, clap::Args)]
pub(super) struct Track {
    /// The table: jobs, which is of the schema public, or app.jobs
    #[arg(value_name = "TABLE")]
    of: TableName,

    /// Columns that are not recorded, such as updated_at; a change of them alone is none
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    ignore: Vec<String>,

    /// Columns of which it is recorded that they changed, and not from what to what
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    mask: Vec<String>,

    /// The same, with a keyed hash that tells which values are the same; TOWER_AUDIT_MASK_KEY has the key, as id:hexdigits
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    pub(super) hash: Vec<String>,

    /// The columns by which rows are told apart [default: the primary key]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    key: Vec<String>,

    /// What becomes of a change of which nobody said on whose behalf it is
    #[arg(long, value_enum, default_value = "allow", value_name = "WHAT")]
    without_context: Without,

    /// How often the triggers run
    #[arg(long, value_enum, default_value = "row", value_name = "HOW")]
    triggers: Each,

    /// Of a longer value the hash and the length are recorded [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    longest_value: Option<u32>,

    /// Record the rows that are there, too
    #[arg(long)]
    baseline: bool,

    /// The role that owns what is made: that of `history migrate` [default: the user]
    #[arg(long, value_name = "ROLE")]
    pub(super) owner: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Without {
    /// It is recorded as the system's, beside the database user
    Allow,
    /// The same, and the client gets a warning
    Warn,
    /// It is refused
    Require,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Each {
    /// For each row: where a few rows are changed at a time
    Row,
    /// Once a statement: where rows are loaded in bulk
    Statement,
}

/// Tracks a table.
pub(super) async fn track(
    history: &History,
    args: Track,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let (of, has_baseline) = (args.of.clone(), args.baseline);
    let before = no_longer::tracked(history, &of).await?;
    let wanted = wanted(args);
    match history.track(&of, wanted.clone()).await {
        Err(HistoryError::NoMaskKey) => bail!(
            "hashed columns need a key: set {} to {}",
            mask_key::VARIABLE,
            mask_key::FORM
        ),
        tracked => tracked?,
    }
    if !output.is_json {
        output.line(one_line(&format!("{of} is tracked")))?;
    }
    if let Some(before) = before {
        NoLonger::between(&before, &wanted)?.say(&of, output)?;
    }
    if has_baseline {
        return baseline(history, &of, output).await;
    }
    Ok(Done::Well)
}

/// Tracks a table no more.
pub(super) async fn untrack(
    history: &History,
    of: &TableName,
    output: &mut Output,
) -> anyhow::Result<Done> {
    history.untrack(of).await?;
    if !output.is_json {
        output.line(one_line(&format!(
            "{of} is not tracked any more; what was recorded stays"
        )))?;
    }
    Ok(Done::Well)
}

/// Records what is there.
pub(super) async fn baseline(
    history: &History,
    of: &TableName,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let progress = Progress::of_time("recording");
    let rows = history.baseline(of).await;
    drop(progress);
    let rows = rows?;
    if output.is_json {
        output.json(&json!({"table": of.to_string(), "rows": rows}))?;
    } else {
        output.line(one_line(&format!("{rows} rows of {of} are recorded")))?;
    }
    Ok(Done::Well)
}

fn wanted(args: Track) -> tower_audit_history::Track {
    let mut track = tower_audit_history::Track::new()
        .ignore(args.ignore)
        .mask(args.mask)
        .hash(args.hash)
        .without_context(args.without_context.into())
        .triggers(args.triggers.into());
    if !args.key.is_empty() {
        track = track.key(args.key);
    }
    if let Some(bytes) = args.longest_value {
        track = track.longest_value(bytes);
    }
    track
}

impl From<Without> for WithoutContext {
    fn from(without: Without) -> Self {
        match without {
            Without::Allow => Self::Allow,
            Without::Warn => Self::Warn,
            Without::Require => Self::Require,
        }
    }
}

impl From<Each> for Triggers {
    fn from(each: Each) -> Self {
        match each {
            Each::Row => Self::Row,
            Each::Statement => Self::Statement,
        }
    }
}
