//! What is given up when a table is tracked in another way than before.

use serde_json::{Value, json};
use tower_audit_core::changes::TableName;
use tower_audit_history::{Finding, History, HistoryError, Track, TrackedTable};

use crate::output::{Output, one_line};

/// Columns that are not any more what they were.
#[derive(Debug, PartialEq)]
pub(super) struct NoLonger {
    masked: Vec<String>,
    hashed: Vec<String>,
    ignored: Vec<String>,
}

impl NoLonger {
    /// Compares how a table was tracked with how it is tracked now.
    pub(super) fn between(before: &Track, now: &Track) -> serde_json::Result<Self> {
        let (before, now) = (serde_json::to_value(before)?, serde_json::to_value(now)?);
        // A hash hides a value as well as a mask does.
        let hidden = [columns(&now["mask"]), columns(&now["hash"])].concat();
        let ignored = columns(&now["ignore"]);
        Ok(Self {
            masked: without(columns(&before["mask"]), &hidden),
            hashed: without(columns(&before["hash"]), &hidden),
            ignored: without(columns(&before["ignore"]), &ignored),
        })
    }

    /// Says it, if there is something to say.
    pub(super) fn say(&self, of: &TableName, output: &mut Output) -> anyhow::Result<()> {
        let lists = [
            ("masked", &self.masked),
            ("hashed", &self.hashed),
            ("ignored", &self.ignored),
        ];
        if lists.iter().all(|(_, columns)| columns.is_empty()) {
            return Ok(());
        }
        if output.is_json {
            return output.json(&json!({
                "table": of.to_string(),
                "no_longer_masked": self.masked,
                "no_longer_hashed": self.hashed,
                "no_longer_ignored": self.ignored,
            }));
        }
        for (what, columns) in lists {
            if !columns.is_empty() {
                let said = format!("no longer {what}: {}", columns.join(", "));
                output.line(one_line(&said))?;
            }
        }
        Ok(())
    }
}

/// Returns how a table is tracked, if it is: under the name that it had before it was renamed, too.
pub(super) async fn tracked(
    history: &History,
    of: &TableName,
) -> Result<Option<Track>, HistoryError> {
    let tables = match history.status().await {
        // Tracking it says what to do.
        Err(HistoryError::NotMigrated) => return Ok(None),
        tables => tables?,
    };
    let found = tables.into_iter().find(|table| is_it(table, of));
    Ok(found.map(|table| table.track))
}

fn is_it(table: &TrackedTable, of: &TableName) -> bool {
    let is_new_name =
        |finding: &Finding| matches!(finding, Finding::RenamedTable { to } if to == of);
    table.name == *of || table.findings.iter().any(is_new_name)
}

fn columns(names: &Value) -> Vec<String> {
    let names = names.as_array().into_iter().flatten();
    let names = names.filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

fn without(mut columns: Vec<String>, others: &[String]) -> Vec<String> {
    columns.retain(|column| !others.contains(column));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_hidden_in_another_way_is_still_hidden() {
        let before = Track::new()
            .mask(["stays", "hashed_now", "shown"])
            .hash(["masked_now", "shown_too"])
            .ignore(["recorded"]);
        let now = Track::new()
            .mask(["stays", "masked_now"])
            .hash(["hashed_now"]);
        let expected = NoLonger {
            masked: vec!["shown".to_owned()],
            hashed: vec!["shown_too".to_owned()],
            ignored: vec!["recorded".to_owned()],
        };
        assert_eq!(NoLonger::between(&before, &now).unwrap(), expected);
    }
}
