//! Takes changes back.

use anyhow::Context as _;
use serde_json::json;
use tower_audit_core::{Actor, ActorKind, changes::ChangeContext};
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

    /// Do it, if the row is still as the change left it
    #[arg(long)]
    run: bool,

    /// On whose behalf, with --run: user:alice, api_key:billing [default: the system]
    #[arg(long, requires = "run", value_name = "KIND:ID", value_parser = actor)]
    actor: Option<Actor>,
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
    let along = revert.takes_along().iter().map(ToString::to_string);
    let along: Vec<String> = along.collect();
    // Before anything is done.
    if !along.is_empty() && !output.is_json {
        let said = format!(
            "{}rows of these tables may go or change with it, by foreign keys: {}",
            comment(args.run),
            along.join(", ")
        );
        output.line(one_line(&said))?;
    }
    if args.run {
        let actor = args.actor.clone().unwrap_or_else(Actor::system);
        execute(history, &revert, actor).await?;
    }
    if output.is_json {
        output.json(&json!({
            "change": revert.change().id,
            "sql": revert.sql(),
            "left_out": revert.left_out(),
            "takes_along": along,
            "is_done": args.run,
        }))?;
    } else {
        print(&revert, args.run, output)?;
    }
    Ok(Done::Well)
}

/// Takes it back, on behalf of this actor.
async fn execute(
    history: &History,
    revert: &tower_audit_history::Revert,
    actor: Actor,
) -> anyhow::Result<()> {
    let context = ChangeContext::new(actor);
    let begun = AuditedTransaction::begin(history.pool(), context).await;
    let mut tx = begun.context("nothing was done")?;
    revert.run(&mut tx).await.context("nothing was done")?;
    tx.commit()
        .await
        .context("the database did not say whether it was done: look at the row")
}

/// Prints it. What is not done is SQL as a whole, for `psql`.
fn print(
    revert: &tower_audit_history::Revert,
    is_done: bool,
    output: &mut Output,
) -> anyhow::Result<()> {
    if !revert.left_out().is_empty() {
        let columns = revert.left_out().join(", ");
        let said = format!(
            "{}these columns stay as they are, because the history does not know what they were: {columns}",
            comment(is_done)
        );
        output.line(one_line(&said))?;
    }
    if is_done {
        let change = revert.change();
        let said = format!("the {} of {} is taken back", change.operation, change.table);
        return output.line(one_line(&said));
    }
    let sql = revert.sql();
    if !is_clean(&sql) {
        output.aside("a terminal could take a part of this for a command, so it is not shown as it is: --json has all of it")?;
    }
    output.line(sql)?;
    output.aside("nothing is done yet: --run does it")
}

/// Returns what a line begins with, which is one of SQL unless it is run.
fn comment(is_run: bool) -> &'static str {
    if is_run { "" } else { "-- " }
}

/// Parses `user:alice`. What would be recorded as another id, because the kind has its own or because it is too long, is none.
fn actor(text: &str) -> Result<Actor, String> {
    let parsed = text.split_once(':').and_then(|(kind, id)| {
        let kind: ActorKind = kind.parse().ok()?;
        let actor = Actor::new(kind, id);
        (!id.is_empty() && actor.id() == id).then_some(actor)
    });
    parsed.ok_or_else(|| FORM.to_owned())
}

const FORM: &str = "an actor is KIND:ID, as user:alice, api_key:billing or system:system";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_a_kind_and_an_id() {
        for (text, expected) in [
            ("user:alice", Actor::user("alice")),
            ("api_key:a:b", Actor::api_key("a:b")),
            ("system:system", Actor::system()),
        ] {
            assert_eq!(actor(text), Ok(expected), "{text}");
        }
        for text in ["", "alice", "user:", "cat:7", "system:root", "user:a\nb"] {
            assert_eq!(actor(text), Err(FORM.to_owned()), "{text}");
        }
    }
}
