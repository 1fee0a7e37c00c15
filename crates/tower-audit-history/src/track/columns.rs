//! What became of the columns that a table had when it was tracked.

use super::{
    Finding, Table,
    table::{Found, FoundColumn, Noted, NotedColumns},
};

/// Returns whether the columns of a table mean what they did when it was tracked: some may have come and gone, and the others have their names,
/// their types and their place in the key.
pub(crate) fn is_as_noted(noted: &NotedColumns, table: &Table) -> bool {
    let key = |name: &String| table.key.iter().any(|column| column.found.name == *name);
    let mut columns = noted.columns.iter();
    let is_key_same = columns.all(|noted| noted.is_key == key(&noted.name))
        && table.key.len() == noted.columns.iter().filter(|noted| noted.is_key).count();
    let findings = other_columns(noted, &table.found);
    let is_other = |finding: &Finding| match finding {
        // Under a name that there was.
        Finding::AddedColumn { column } => noted.columns.iter().any(|noted| noted.name == *column),
        Finding::DroppedColumn { .. } => false,
        _ => true,
    };
    is_key_same && !findings.iter().any(is_other)
}

/// Compares the columns that there were with those that there are.
pub(super) fn other_columns(noted: &NotedColumns, found: &Found) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut same = Vec::new();
    for (noted, column) in with_their_columns(noted, found) {
        let Some(column) = column else {
            findings.push(Finding::DroppedColumn {
                column: noted.name.clone(),
            });
            continue;
        };
        same.push(column.number);
        if column.name != noted.name {
            findings.push(Finding::RenamedColumn {
                from: noted.name.clone(),
                to: column.name.clone(),
            });
        } else if column.written != noted.r#type {
            findings.push(Finding::OtherType {
                column: column.name.clone(),
            });
        }
    }
    let added = found
        .columns
        .iter()
        .filter(|column| !same.contains(&column.number));
    findings.extend(added.map(|column| Finding::AddedColumn {
        column: column.name.clone(),
    }));
    findings
}

/// Returns each column that there was with what it is now. Numbers tell that; in a database that was restored they are the places that the columns
/// had.
pub(crate) fn with_their_columns<'a>(
    noted: &'a NotedColumns,
    found: &'a Found,
) -> Vec<(&'a Noted, Option<&'a FoundColumn>)> {
    let is_restored = found.oid != noted.relation;
    let places = (1..).zip(&noted.columns);
    places
        .map(|(place, noted)| {
            let number = if is_restored { place } else { noted.number };
            let mut columns = found.columns.iter();
            (noted, columns.find(|column| column.number == number))
        })
        .collect()
}
