//! What a row was at a time.

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use tower_audit_core::changes::{Columns, TableName};
use tower_audit_history::{History, HistoryError};

use super::key::key;
use crate::{
    Done,
    commands::query::before,
    output::{Output, one_line},
};

#[derive(Debug, clap::Args)]
pub(super) struct AsOf {
    /// The table
    #[arg(value_name = "TABLE")]
    of: TableName,

    /// The key of the row: id=7, or a=1,b=two; or a JSON object, '{"id": "7"}', where a number is text. Values are spelled as the
    /// history has them, as `history show` prints them: 1.50 of a numeric is "1.5"
    #[arg(value_name = "KEY", value_parser = key)]
    row: Columns,

    /// When, the end of it: 7d, yesterday, 2026-11-01, 2026-11-01T09:30Z
    #[arg(value_name = "TIME")]
    time: String,
}

/// Prints what a row was; returns whether there was one.
pub(super) async fn run(
    history: &History,
    args: &AsOf,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let time = moment(&args.time, Utc::now())?;
    match history.as_of(&args.of, &args.row, time).await? {
        tower_audit_history::AsOf::Row(row) if output.is_json => output.json(&row)?,
        tower_audit_history::AsOf::Row(row) => output.line(serde_json::to_string_pretty(&row)?)?,
        tower_audit_history::AsOf::NoRow => {
            let key = serde_json::to_string(&args.row)?;
            let said = format!("there was no row {key} in {} then", args.of);
            output.aside(one_line(&said))?;
            return Ok(Done::NoSuchThing);
        }
        _ => bail!(unknown(history, &args.of, time).await?),
    }
    Ok(Done::Well)
}

/// Returns why it is not known what a row was.
async fn unknown(
    history: &History,
    of: &TableName,
    time: DateTime<Utc>,
) -> Result<String, HistoryError> {
    let tracked = history.status().await?;
    let table = tracked.iter().find(|table| table.name == *of);
    Ok(match table.map(|table| table.begun_at) {
        Some(begun_at) if time < begun_at => {
            // To the microsecond: it can be asked for as it is.
            let begun_at = begun_at.to_rfc3339_opts(SecondsFormat::Micros, true);
            format!("the history of {of} begins at {begun_at}: ask for that time, or a later one")
        }
        Some(_) if table.is_some_and(|table| !table.findings.is_empty()) => format!(
            "it is not known what the row was, because something is wrong with {of}: `tower-audit history verify` says what to do"
        ),
        _ => format!(
            "it is not known what the row was: it is gone, and the history does not have all of it, or a transaction swapped keys among \
             rows, or changed the row in an order that cannot be told. For times to come `tower-audit history baseline {of}` records the \
             rows that are there"
        ),
    })
}

/// Returns the last moment of a time.
fn moment(time: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    let end = before("as-of", time, now)?.created().until;
    end.and_then(|end| DateTime::from_timestamp_micros(end - 1))
        .with_context(|| format!("as-of {time} has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_of_its_end() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("now", "2026-11-22T12:00:00Z"),
            ("1d", "2026-11-21T12:00:00Z"),
            ("yesterday", "2026-11-21T23:59:59.999999Z"),
            ("2026-11-01T09:30Z", "2026-11-01T09:30:59.999999Z"),
            ("2026-11-01T09:30:00.000001Z", "2026-11-01T09:30:00.000001Z"),
        ] {
            let expected: DateTime<Utc> = expected.parse().unwrap();
            assert_eq!(moment(text, now).unwrap(), expected, "{text}");
        }
        let error = moment("soon", now).unwrap_err().to_string();
        assert!(error.contains("as-of soon is no time"), "{error}");
    }
}
