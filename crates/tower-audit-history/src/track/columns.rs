//! What became of the columns that a table had when it was tracked.

use super::{
    Finding, Table,
    table::{Found, FoundColumn, Noted},
};

/// Returns whether the columns of a table mean what they did when it was tracked: some may have come and gone, and the others have their names,
/// their types and their place in the key.
pub(crate) fn is_as_noted(noted: &[Noted], table: &Table) -> bool {
    let key = |name: &String| table.key.iter().any(|column| column.found.name == *name);
    let is_key_same = noted.iter().all(|noted| noted.is_key == key(&noted.name))
        && table.key.len() == noted.iter().filter(|noted| noted.is_key).count();
    let findings = other_columns(noted, &table.found);
    let is_other = |finding: &Finding| match finding {
        // Under a name that there was.
        Finding::AddedColumn { column } => noted.iter().any(|noted| noted.name == *column),
        Finding::DroppedColumn { .. } => false,
        _ => true,
    };
    is_key_same && !findings.iter().any(is_other)
}

/// Compares the columns that there were with those that there are.
pub(super) fn other_columns(noted: &[Noted], found: &Found) -> Vec<Finding> {
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

/// Returns each column that there was with what it is now. Numbers tell that, but those of a database that was restored are others: there no
/// number is missing, and the names are in the order in which they were.
fn with_their_columns<'a>(
    noted: &'a [Noted],
    found: &'a Found,
) -> Vec<(&'a Noted, Option<&'a FoundColumn>)> {
    let columns = &found.columns;
    let of_name = |name: &str| columns.iter().find(|column| column.name == name);
    let was_there = |column: &FoundColumn| noted.iter().any(|noted| noted.name == column.name);
    let places: Vec<i16> = noted
        .iter()
        .filter_map(|noted| Some(of_name(&noted.name)?.number))
        .collect();
    let may_be_restored = places.is_sorted()
        && columns
            .last()
            .is_none_or(|last| usize::try_from(last.number) == Ok(columns.len()));
    let now = |noted: &Noted| {
        let of_number = columns.iter().find(|column| column.number == noted.number);
        if may_be_restored {
            of_name(&noted.name).or(of_number.filter(|column| !was_there(column)))
        } else {
            of_number
        }
    };
    noted.iter().map(|noted| (noted, now(noted))).collect()
}
