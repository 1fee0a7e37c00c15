//! One value of a row: whether it changed, and what stands in the history for it.

use super::Cx;
use crate::{
    names::{literal, quoted},
    track::table::{Column, Mask, Sort},
};

impl Cx<'_> {
    /// Returns what stands in the history for the value of a column.
    pub(super) fn value(&self, column: &Column, row: &str) -> String {
        let field = field(column, row);
        match column.mask {
            Some(Mask::Hidden) => format!(
                "CASE WHEN {field} IS NOT DISTINCT FROM NULL THEN NULL ELSE '{{\"tower_audit\": \"masked\"}}'::jsonb END"
            ),
            Some(Mask::Hashed) => format!(
                "{}({}, {})",
                self.names.quoted("_hashed"),
                literal(self.key_id.unwrap_or_default()),
                text(column, &field)
            ),
            None if column.found.is_long => self.bounded(column, &field),
            None => shown(column, &field),
        }
    }

    /// Returns what stands in a key for the value of a column: a number looks the same, however many zeros somebody writes.
    pub(super) fn key_value(&self, column: &Column, row: &str) -> String {
        if column.mask.is_some() || !column.found.is_numeric() {
            return self.value(column, row);
        }
        let field = field(column, row);
        format!(
            "CASE WHEN {field} IS NOT DISTINCT FROM NULL THEN NULL ELSE format('%s', trim_scale({field})) END"
        )
    }

    /// Returns the condition that the values of a column are there, and none is too long: of one whose length can be asked for at once, and that stands in
    /// the history as it is.
    pub(super) fn are_short(&self, column: &Column, rows: &[&str]) -> Option<String> {
        let is_asked = column.mask.is_none() && column.found.is_long;
        if !is_asked || !matches!(column.found.sort, Sort::Text | Sort::Bytes) {
            return None;
        }
        let is_short = |row: &&str| {
            let length = length(column, &field(column, row));
            format!("{length} <= {}", self.table.track.longest_value)
        };
        let all: Vec<String> = rows.iter().map(is_short).collect();
        Some(all.join(" AND "))
    }

    /// Returns the value, or what stands for it if it is too long.
    fn bounded(&self, column: &Column, field: &str) -> String {
        let long = match column.found.sort {
            Sort::Bytes => field.to_owned(),
            _ => text(column, field),
        };
        format!(
            "CASE WHEN {} > {} THEN {}({long}) ELSE to_jsonb({}) END",
            length(column, field),
            self.table.track.longest_value,
            self.names.quoted("_digest"),
            shown(column, field),
        )
    }
}

/// Returns whether what stands in the history for a value of this column can always be made. To make the text of others, or a hash, may fail where there
/// is no room for it.
pub(super) fn is_always_written(column: &Column) -> bool {
    let found = &column.found;
    match (column.mask, found.sort) {
        (Some(Mask::Hidden), _) => true,
        (Some(Mask::Hashed), _) => false,
        (None, Sort::Exact | Sort::Text | Sort::Bytes) => found.is_builtin(),
        (None, Sort::Image) => found.is_builtin() && !found.is_long,
        (None, Sort::Foreign) => found.is_numeric(),
    }
}

/// Returns how many bytes what stands in the history for a value of this column has at most.
pub(super) fn most_bytes(column: &Column, longest_value: u32) -> u64 {
    // A text of 65,536 characters, or a number with all digits that it may have.
    let short = 1 << 18;
    match column.found.is_long && column.mask.is_none() {
        true => u64::from(longest_value).max(short),
        false => short,
    }
}

/// Returns the value, whether it is masked or not.
pub(super) fn raw(column: &Column, row: &str) -> String {
    shown(column, &field(column, row))
}

fn field(column: &Column, row: &str) -> String {
    format!("{row}.{}", quoted(&column.found.name))
}

fn shown(column: &Column, field: &str) -> String {
    match column.found.sort {
        Sort::Foreign => text(column, field),
        Sort::Exact | Sort::Text | Sort::Image | Sort::Bytes => field.to_owned(),
    }
}

/// Returns how long a value is, in bytes of what is written. What the table takes for it (`pg_column_size`) may be a hundredth.
fn length(column: &Column, field: &str) -> String {
    match column.found.sort {
        Sort::Text | Sort::Bytes => format!("octet_length({field})"),
        Sort::Foreign | Sort::Exact | Sort::Image => {
            format!("octet_length({})", text(column, field))
        }
    }
}

/// Returns whether the value of a column is another one: with its bytes, because values that are equal may look different.
pub(super) fn differs(column: &Column, old: &str, new: &str) -> String {
    let name = quoted(&column.found.name);
    match column.found.sort {
        Sort::Exact | Sort::Bytes => format!("{old}.{name} IS DISTINCT FROM {new}.{name}"),
        Sort::Text => format!(
            "{old}.{name} COLLATE pg_catalog.\"C\" IS DISTINCT FROM {new}.{name} COLLATE pg_catalog.\"C\""
        ),
        Sort::Image | Sort::Foreign => {
            format!("ROW({old}.{name})::record OPERATOR(pg_catalog.*<>) ROW({new}.{name})::record")
        }
    }
}

/// Returns whether a column of the key names another row now.
pub(super) fn moves(column: &Column, old: &str, new: &str) -> String {
    if column.found.is_numeric() {
        let name = quoted(&column.found.name);
        return format!("{old}.{name} IS DISTINCT FROM {new}.{name}");
    }
    differs(column, old, new)
}

/// Returns the value as text: by the type's own output alone, never by a cast that somebody may have made. NULL stays NULL.
fn text(column: &Column, field: &str) -> String {
    match column.found.sort {
        Sort::Text => field.to_owned(),
        Sort::Exact | Sort::Image | Sort::Foreign | Sort::Bytes => {
            format!(
                "CASE WHEN {field} IS NOT DISTINCT FROM NULL THEN NULL ELSE format('%s', {field}) END"
            )
        }
    }
}
