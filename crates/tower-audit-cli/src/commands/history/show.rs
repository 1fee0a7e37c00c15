//! Changes, as they were recorded.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tower_audit_core::{
    Actor, EventId, PageSize,
    changes::{
        ChangeFilter, ChangeReader as _, Columns, FieldChange, Hidden, RowChange, TableName,
    },
};
use tower_audit_history::{History, HistoryError};

use super::key::key;
use crate::{
    Done,
    commands::{find::time, query::between},
    output::{Output, one_line},
};

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The table
    #[arg(value_name = "TABLE")]
    of: Option<TableName>,

    /// The key of the row: id=7, or a=1,b=two; or a JSON object, '{"id": "7"}', where a number is text. Values are spelled as the
    /// history has them, as `history show` prints them: 1.50 of a numeric is "1.5"
    #[arg(value_name = "KEY", value_parser = key)]
    row: Option<Columns>,

    /// Of this event of the trail
    #[arg(long, value_name = "ID")]
    event: Option<EventId>,

    /// Of this request
    #[arg(long, value_name = "ID")]
    request: Option<String>,

    /// On behalf of this actor
    #[arg(long, value_name = "ID")]
    actor: Option<String>,

    /// Since then: 7d, yesterday, 2026-11-01, 2026-11-01T09:30Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Until then, the end of it: as --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// How many changes at most
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
}

/// Shows changes, the newest first.
pub(super) async fn run(
    history: &History,
    mut args: Show,
    output: &mut Output,
) -> anyhow::Result<Done> {
    if let (Some(table), Some(key)) = (&args.of, args.row.take()) {
        args.row = Some(spelled(history, table, key).await?);
    }
    let mut left = args.limit;
    let filter = filter(args, Utc::now())?;
    let (mut older, mut is_empty) = (None, true);
    while left > 0 {
        let size = u16::try_from(left)
            .unwrap_or(u16::MAX)
            .min(PageSize::MAX.events());
        let page = history
            .changes(&filter, older, PageSize::new(size)?)
            .await?;
        for change in &page.changes {
            one(change, output)?;
            is_empty = false;
        }
        left = left.saturating_sub(page.changes.len());
        older = page.older;
        if older.is_none() {
            break;
        }
    }
    if is_empty {
        refuse_other_table(history, &filter).await?;
        if !output.is_json {
            output.line("there is no such change")?;
        }
    }
    Ok(Done::Well)
}

fn filter(args: Show, now: DateTime<Utc>) -> anyhow::Result<ChangeFilter> {
    let times = between(args.since.as_deref(), args.until.as_deref(), now)?.created();
    let moment = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
    let mut filter = match (args.of, args.row) {
        (Some(table), Some(key)) => ChangeFilter::new().row(table, Value::Object(key)),
        (Some(table), None) => ChangeFilter::new().table(table),
        (None, _) => ChangeFilter::new(),
    };
    if let Some(id) = args.event {
        filter = filter.event(id);
    }
    if let Some(id) = args.request {
        filter = filter.request(id);
    }
    if let Some(id) = args.actor {
        filter = filter.actor(id);
    }
    if let Some(since) = moment(times.from) {
        filter = filter.since(since);
    }
    if let Some(until) = moment(times.until) {
        filter = filter.until(until);
    }
    Ok(filter)
}

/// Returns a key as the history spells it. Of a table that is not tracked any more nobody knows that.
async fn spelled(history: &History, table: &TableName, key: Columns) -> anyhow::Result<Columns> {
    match history.spelled_key(table, &key).await {
        Err(
            HistoryError::NotTracked(_) | HistoryError::NoTable(_) | HistoryError::MaskedKey(_),
        ) => Ok(key),
        spelled => Ok(spelled?),
    }
}

/// Refuses a table of which there can be nothing: it is not to pass for one that nobody changed.
async fn refuse_other_table(history: &History, filter: &ChangeFilter) -> anyhow::Result<()> {
    let Some(table) = filter.table_name() else {
        return Ok(());
    };
    match history.spelled_key(table, &Columns::new()).await {
        Err(error @ HistoryError::NotTracked(_)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn one(change: &RowChange, output: &mut Output) -> anyhow::Result<()> {
    if output.is_json {
        return output.json(change);
    }
    output.line(one_line(&headline(change)))?;
    for field in change.fields() {
        output.line(one_line(&format!("    {}", told(&field))))?;
    }
    Ok(())
}

/// Returns when, who, as which database user, what, and to which row.
fn headline(change: &RowChange) -> String {
    let key = change.key.as_ref();
    let key = key.map(|key| serde_json::to_string(key).unwrap_or_default());
    let role = change.database_role.as_ref();
    let role = role.map_or_else(String::new, |role| format!(" in the role {role}"));
    format!(
        "{}  {}  as {}{role}  {}  {}  {}  {}",
        time(change.at),
        who(&change.actor),
        change.database_user,
        change.operation,
        change.table,
        key.as_deref().unwrap_or("-"),
        change.id
    )
}

fn who(actor: &Actor) -> String {
    let kind = actor.kind().as_str();
    if kind == actor.id() {
        kind.to_owned()
    } else {
        format!("{kind} {}", actor.id())
    }
}

/// Returns what became of a column: `column: old -> new`, without what there was no row for.
fn told(field: &FieldChange<'_>) -> String {
    let mut told = format!("{}:", field.column);
    if let Some(old) = field.old {
        told.push_str(&format!(" {}", shown(old)));
    }
    told.push_str(" ->");
    if let Some(new) = field.new {
        told.push_str(&format!(" {}", shown(new)));
    }
    told
}

/// Returns a value as JSON, or in words why it is not there: what is text has quotes.
fn shown(value: &Value) -> String {
    match Hidden::of(value) {
        None => value.to_string(),
        Some(Hidden::Masked) => "masked".to_owned(),
        Some(Hidden::Hashed(hash)) => format!("hash {hash}"),
        Some(Hidden::TooLong { bytes, .. }) => format!("too long: {bytes} bytes"),
        Some(_) => "unknown".to_owned(),
    }
}
