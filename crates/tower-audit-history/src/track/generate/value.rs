//! One value of a row: whether it changed, and what stands in the history for it.

use super::Cx;
use crate::{
    names::{literal, quoted},
    track::table::{Column, Mask, Sort},
};

/// How long a value may be where an expression is evaluated. To find out takes longer than everything else about most values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Nobody knows.
    Any,
    /// It is known to be short.
    Short,
}

impl Cx<'_> {
    /// Returns what stands in the history for the value of a column.
    pub(super) fn value(&self, column: &Column, row: &str, length: Length) -> String {
        let field = field(column, row);
        match (column.mask, length) {
            (Some(Mask::Hidden), _) => {
                format!(
                    "CASE WHEN {field} IS NOT DISTINCT FROM NULL THEN NULL ELSE '{{\"tower_audit\": \"masked\"}}'::jsonb END"
                )
            }
            (Some(Mask::Hashed), _) => format!(
                "{}({}, {})",
                self.names.quoted("_hashed"),
                literal(self.key_id.unwrap_or_default()),
                text(column, &field)
            ),
            (None, Length::Any) if column.found.is_long => self.bounded(column, &field),
            (None, _) => shown(column, &field),
        }
    }

    /// Returns the condition that a value of these columns is too long to be recorded, if any of them can be.
    pub(super) fn is_too_long(&self, columns: &[Column], rows: &[&str]) -> Option<String> {
        let can_be = columns
            .iter()
            .filter(|column| column.found.is_long && column.mask.is_none());
        let longest = self.track().longest_value;
        let too_long = can_be.flat_map(|column| {
            let of_row =
                move |row: &&str| format!("{} > {longest}", length(column, &field(column, row)));
            rows.iter().map(of_row)
        });
        let too_long: Vec<String> = too_long.collect();
        (!too_long.is_empty()).then(|| too_long.join(" OR "))
    }

    /// Returns the value, or what stands for it if it is too long.
    fn bounded(&self, column: &Column, field: &str) -> String {
        let bytes = match column.found.sort {
            Sort::Bytes => field.to_owned(),
            _ => format!("convert_to({}, 'UTF8')", text(column, field)),
        };
        format!(
            "CASE WHEN {} > {} THEN jsonb_build_object('tower_audit', 'sha256:' || encode(sha256({bytes}), 'hex'), \
             'bytes', octet_length({bytes})) ELSE to_jsonb({}) END",
            length(column, field),
            self.track().longest_value,
            shown(column, field),
        )
    }
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

/// Returns how long a value is, in bytes, or about so.
fn length(column: &Column, field: &str) -> String {
    match column.found.sort {
        Sort::Text | Sort::Bytes => format!("octet_length({field})"),
        Sort::Foreign => format!("octet_length({})", text(column, field)),
        Sort::Exact | Sort::Image => format!("pg_column_size({field})"),
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
