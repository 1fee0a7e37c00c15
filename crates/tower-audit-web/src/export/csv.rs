//! CSV that no spreadsheet runs (OWASP, "CSV injection").

use serde_json::Value;

use crate::event::Event;

/// The columns, named like those of the table.
const COLUMNS: [&str; 28] = [
    "id",
    "created_at",
    "actor_type",
    "actor_id",
    "actor_name",
    "action",
    "target_type",
    "target_id",
    "outcome",
    "reason",
    "status",
    "ip_address",
    "peer_address",
    "user_agent",
    "method",
    "route",
    "path",
    "duration_us",
    "request_id",
    "trace_id",
    "tenant_id",
    "auth_method",
    "credential_id",
    "on_behalf_of",
    "service",
    "metadata",
    "captured",
    "recorded_at",
];

pub(super) fn head(to: &mut Vec<u8>) {
    write(to, COLUMNS.iter().map(|column| (*column).to_owned()));
}

pub(super) fn row(event: &Event, to: &mut Vec<u8>) {
    let event = serde_json::to_value(event).unwrap_or_default();
    let cell = |column: &&str| match event.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => harmless(text),
        Some(other) => other.to_string(),
    };
    write(to, COLUMNS.iter().map(cell));
}

fn write(to: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(to);
    // Into memory, nothing fails.
    let _ = writer.write_record(cells);
    let _ = writer.flush();
}

/// Returns the text so that no spreadsheet takes it for a formula.
fn harmless(text: &str) -> String {
    let begins = |c: char| {
        matches!(
            c,
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'
        )
    };
    if text.starts_with(begins) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_as_a_formula_does() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
            assert!(harmless(text).starts_with('\''), "{text}");
        }
        assert_eq!(harmless("a=1"), "a=1");
    }
}
