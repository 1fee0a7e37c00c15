//! Takes changes back.

use anyhow::Context as _;
use serde_json::json;
use tower_audit_core::{Actor, changes::ChangeContext};
use tower_audit_history::{AuditedTransaction, History, HistoryError};
use uuid::Uuid;

use crate::{
    Done,
    output::{Output, is_clean, one_line},
};

#[derive(Debug, clap::Args)]
pub(super) struct Revert {
    /// The id of the change, as `history show` says it
    #[arg(value_name = "ID")]
    id: Uuid,

    /// Do it, as the system, if the row is still as the change left it
    #[arg(long)]
    run: bool,
}

/// Takes a change back, or prints the SQL that would.
pub(super) async fn run(
    history: &History,
    args: &Revert,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let revert = match history.revert(args.id).await {
        Err(error @ HistoryError::NoChange) => {
            output.aside(error.to_string())?;
            return Ok(Done::NoSuchThing);
        }
        found => found?,
    };
    if args.run {
        let context = ChangeContext::new(Actor::system());
        let begun = AuditedTransaction::begin(history.pool(), context).await;
        let mut tx = begun.context("nothing was done")?;
        revert.run(&mut tx).await.context("nothing was done")?;
        tx.commit()
            .await
            .context("the database did not say whether it was done: look at the row")?;
    }
    if output.is_json {
        output.json(&json!({
            "change": revert.change().id,
            "sql": revert.sql(),
            "left_out": revert.left_out(),
            "is_done": args.run,
        }))?;
    } else {
        print(&revert, args.run, output)?;
    }
    Ok(Done::Well)
}

/// Prints it. What is not done is SQL as a whole, for `psql`.
fn print(
    revert: &tower_audit_history::Revert,
    is_done: bool,
    output: &mut Output,
) -> anyhow::Result<()> {
    let comment = if is_done { "" } else { "-- " };
    if !revert.left_out().is_empty() {
        let columns = revert.left_out().join(", ");
        let said = format!(
            "{comment}these columns stay as they are, because the history does not know what they were: {columns}"
        );
        output.line(one_line(&said))?;
    }
    if is_done {
        let change = revert.change();
        let said = format!("the {} of {} is taken back", change.operation, change.table);
        return output.line(one_line(&said));
    }
    let sql = revert.sql() + ";";
    if !is_clean(&sql) {
        output.aside("a terminal could take a part of this for a command, so it is not shown as it is: --json has all of it")?;
    }
    output.line(sql)?;
    output.aside("nothing is done yet: --run does it")
}
