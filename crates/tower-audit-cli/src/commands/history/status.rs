//! Which tables are tracked, and what is wrong about them.

use serde_json::{Value, json};
use tower_audit_history::{Finding, History, TrackedTable};

use crate::{
    Done,
    commands::find::time,
    output::{Output, one_line},
};

/// Says which tables are tracked, and how.
pub(super) async fn status(history: &History, output: &mut Output) -> anyhow::Result<Done> {
    let there = history.status().await?;
    if output.is_json {
        for table in &there {
            output.json(&object(table))?;
        }
        return Ok(Done::Well);
    }
    if there.is_empty() {
        output.line("no table is tracked: `tower-audit history track TABLE` tracks one")?;
        return Ok(Done::Well);
    }
    let rows: Result<Vec<_>, _> = there.iter().map(row).collect();
    output.table(HEADER, rows?)?;
    if there.iter().any(|table| !table.findings.is_empty()) {
        output.line("`tower-audit history verify` says what is wrong")?;
    }
    Ok(Done::Well)
}

fn object(table: &TrackedTable) -> Value {
    let former = table.former_names.iter().map(ToString::to_string);
    json!({
        "table": table.name.to_string(),
        "since": table.begun_at,
        "settings_since": table.tracked_at,
        "former_names": former.collect::<Vec<_>>(),
        "track": table.track,
        "findings": table.findings,
    })
}

fn row(table: &TrackedTable) -> serde_json::Result<[String; 8]> {
    let track = serde_json::to_value(&table.track)?;
    Ok([
        table.name.to_string(),
        time(table.begun_at),
        words(&track["ignore"]),
        words(&track["mask"]),
        words(&track["hash"]),
        words(&track["triggers"]),
        words(&track["without_context"]),
        table.findings.len().to_string(),
    ])
}

/// Returns a word, or a list of them.
fn words(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

/// Says what is wrong; returns whether something is.
pub(super) async fn verify(history: &History, output: &mut Output) -> anyhow::Result<Done> {
    let findings = history.verify().await?;
    for (table, finding) in &findings {
        let (table, said) = (table.as_ref().map(ToString::to_string), said(finding));
        if output.is_json {
            let mut object = serde_json::to_value(finding)?;
            object["table"] = json!(table);
            object["said"] = json!(said);
            output.json(&object)?;
        } else {
            let table = table.as_deref().unwrap_or("the history");
            output.line(one_line(&format!("{table}: {said}")))?;
        }
    }
    if !findings.is_empty() {
        return Ok(Done::FoundSomething);
    }
    if !output.is_json {
        output.line("nothing is wrong")?;
    }
    Ok(Done::Well)
}

/// Returns what is wrong, with what to do.
fn said(finding: &Finding) -> String {
    match finding {
        Finding::ChangesWithoutPartition | Finding::NoPartitionAhead => {
            format!("{finding}, or `tower-audit history migrate`")
        }
        finding => finding.to_string(),
    }
}

const HEADER: [&str; 8] = [
    "table",
    "since",
    "ignored",
    "masked",
    "hashed",
    "triggers",
    "without context",
    "findings",
];
