//! Whether what was made is still as it was made, and fits its table.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tower_audit_core::changes::TableName;

use super::{
    Entry, Table, Track,
    apply::source,
    catalog, entries,
    generate::body,
    table::{Found, FoundColumn, Noted},
    triggers::{self, Trigger},
};
use crate::{History, HistoryError, partitions};

/// A table that is tracked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrackedTable {
    /// Its name.
    pub name: TableName,
    /// How it is tracked.
    pub track: Track,
    /// Since when it is tracked like that.
    pub tracked_at: DateTime<Utc>,
    /// Since when nothing that happened to its rows is missing, as far as the triggers tell when the table is tracked again: one that was
    /// missing or disabled then leaves a gap, and the history begins anew.
    pub begun_at: DateTime<Utc>,
    /// What it was called before.
    pub former_names: Vec<TableName>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be. Its Display says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// The table is gone.
    Gone,
    /// The table has another name now.
    RenamedTable {
        /// The name.
        to: TableName,
    },
    /// A trigger is not there, or another one of that name is.
    MissingTrigger {
        /// The table or partition.
        on: TableName,
        /// The trigger.
        trigger: String,
    },
    /// A trigger does not fire.
    DisabledTrigger {
        /// The table or partition.
        on: TableName,
        /// The trigger.
        trigger: String,
    },
    /// The function is gone.
    MissingFunction,
    /// The function is another one than the settings make, although the columns are the same.
    OtherFunction,
    /// A column has another name now. Changes are recorded, with the values of such a table's columns hidden.
    RenamedColumn {
        /// Its name before.
        from: String,
        /// Its name now.
        to: String,
    },
    /// A column was added. That it changes is recorded, from what to what is not.
    AddedColumn {
        /// The column.
        column: String,
    },
    /// A column was dropped.
    DroppedColumn {
        /// The column.
        column: String,
    },
    /// A column has another type now.
    OtherType {
        /// The column.
        column: String,
    },
    /// The settings do not fit the table any more: a column that they name is gone.
    SettingsDoNotFit {
        /// What is wrong.
        what: String,
    },
    /// There are changes in the partition for everything else: nobody made one for their month.
    ChangesWithoutPartition,
    /// There is no partition for the next month.
    NoPartitionAhead,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the table is gone: untrack it"),
            Self::RenamedTable { to } => write!(f, "the table is called {to} now: track it under that name"),
            Self::MissingTrigger { on, trigger } => {
                write!(f, "{on} has no trigger {trigger}, so changes are not recorded: track the table again")
            }
            Self::DisabledTrigger { on, trigger } => {
                write!(f, "the trigger {trigger} of {on} is disabled, so changes are not recorded: track the table again")
            }
            Self::MissingFunction => f.write_str("the function of the triggers is gone: track the table again"),
            Self::OtherFunction => {
                f.write_str("the function of the triggers was changed, or made by another version: track the table again")
            }
            Self::RenamedColumn { from, to } => {
                write!(f, "the column {from} is called {to} now, so its values are hidden: track the table again")
            }
            Self::AddedColumn { column } => {
                write!(f, "the column {column} was added, so its values are hidden: track the table again")
            }
            Self::DroppedColumn { column } => write!(f, "the column {column} was dropped: track the table again"),
            Self::OtherType { column } => write!(f, "the column {column} has another type now: track the table again"),
            Self::SettingsDoNotFit { what } => write!(f, "the settings do not fit any more: {what}"),
            Self::ChangesWithoutPartition => {
                f.write_str("changes found no partition of their month: run `History::create_partitions`, daily")
            }
            Self::NoPartitionAhead => {
                f.write_str("there is no partition for the next month: run `History::create_partitions`, daily")
            }
        }
    }
}

impl History {
    /// Returns the tables that are tracked, each with what is wrong about it.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] otherwise.
    pub async fn status(&self) -> Result<Vec<TrackedTable>, HistoryError> {
        let mut connection = self.pool.acquire().await?;
        let mut tracked = Vec::new();
        for entry in entries(self, &mut connection).await? {
            let findings = verify(self, &mut connection, &entry).await?;
            tracked.push(TrackedTable {
                name: entry.name,
                track: entry.track,
                tracked_at: entry.tracked_at,
                begun_at: entry.begun_at,
                former_names: entry.former_names,
                findings,
            });
        }
        Ok(tracked)
    }

    /// Returns what is wrong: with the tables that are tracked, and, without one, with the history itself. Empty if everything is well:
    /// something for the start of a service, and for its tests.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] otherwise.
    pub async fn verify(&self) -> Result<Vec<(Option<TableName>, Finding)>, HistoryError> {
        let mut findings = Vec::new();
        for table in self.status().await? {
            let of_it = table.findings.into_iter();
            findings.extend(of_it.map(|finding| (Some(table.name.clone()), finding)));
        }
        let mut connection = self.pool.acquire().await?;
        let of_itself = partitions::findings(self, &mut connection).await?;
        findings.extend(of_itself.into_iter().map(|finding| (None, finding)));
        Ok(findings)
    }
}

/// Returns what is wrong with a table.
pub(super) async fn verify(
    history: &History,
    connection: &mut PgConnection,
    entry: &Entry,
) -> Result<Vec<Finding>, HistoryError> {
    let found = match catalog::find(connection, &entry.name).await {
        Ok(found) => found,
        Err(HistoryError::NoTable(_) | HistoryError::NoOrdinaryTable { .. }) => {
            return gone(history, connection, entry).await;
        }
        Err(error) => return Err(error),
    };
    let mut findings = other_columns(&entry.columns, &found);
    let table = match Table::new(found, entry.track.clone()) {
        Ok(table) => table,
        Err(error) => {
            findings.push(Finding::SettingsDoNotFit {
                what: error.to_string(),
            });
            return Ok(findings);
        }
    };
    findings.extend(other_triggers(history, connection, &table).await?);
    let key_id = history.mask_key.as_ref().map(|key| key.id());
    match source(history, connection, &entry.function).await? {
        None => findings.push(Finding::MissingFunction),
        // Without the key its id is not known.
        Some(_) if key_id.is_none() && !table.track.hash.is_empty() => {}
        Some((text, is_safe)) => {
            let is_other = text != body(&history.names, &table, key_id) || !is_safe;
            if is_other && findings.is_empty() {
                findings.push(Finding::OtherFunction);
            }
        }
    }
    Ok(findings)
}

/// Says what became of a table that is not there under its name.
async fn gone(
    history: &History,
    connection: &mut PgConnection,
    entry: &Entry,
) -> Result<Vec<Finding>, HistoryError> {
    let triggers = triggers::everywhere(connection, &history.names).await?;
    let renamed = triggers
        .into_iter()
        .find(|trigger| trigger.function == entry.function && !trigger.is_inherited);
    Ok(vec![match renamed {
        Some(trigger) => Finding::RenamedTable { to: trigger.on },
        None => Finding::Gone,
    }])
}

async fn other_triggers(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
) -> Result<Vec<Finding>, HistoryError> {
    let mut on = vec![table.name().clone()];
    on.extend(table.found.partitions.iter().cloned());
    let there = triggers::there(connection, &history.names, &on).await?;
    let wanted = triggers::wanted(&history.names, table);
    let finding = |wanted: &Trigger| {
        let (on, trigger) = (wanted.on.clone(), wanted.name.clone());
        match there.iter().find(|there| wanted.is_like(there)) {
            None => Some(Finding::MissingTrigger { on, trigger }),
            Some(there) if !there.is_enabled => Some(Finding::DisabledTrigger { on, trigger }),
            Some(_) => None,
        }
    };
    Ok(wanted
        .iter()
        .filter_map(|wanted| finding(&wanted.trigger))
        .collect())
}

/// Compares the columns that there were with those that there are.
fn other_columns(noted: &[Noted], found: &Found) -> Vec<Finding> {
    let is_there = |name: &str| found.columns.iter().any(|column| column.name == name);
    let was_there = |name: &str| noted.iter().any(|column| column.name == name);
    let gone: Vec<&Noted> = noted
        .iter()
        .filter(|column| !is_there(&column.name))
        .collect();
    let new = found
        .columns
        .iter()
        .filter(|column| !was_there(&column.name));
    let mut findings = gone_and_new(&gone, &new.collect::<Vec<_>>());
    for column in &found.columns {
        let before = noted.iter().find(|noted| noted.name == column.name);
        if before.is_some_and(|before| before.r#type != column.written) {
            findings.push(Finding::OtherType {
                column: column.name.clone(),
            });
        }
    }
    findings
}

/// A column that is gone and one of the same type that is new, at the same place among those that are, are one that was renamed.
fn gone_and_new(gone: &[&Noted], new: &[&FoundColumn]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for index in 0..gone.len().max(new.len()) {
        match (gone.get(index), new.get(index)) {
            (Some(gone), Some(new)) if gone.r#type == new.written => {
                findings.push(Finding::RenamedColumn {
                    from: gone.name.clone(),
                    to: new.name.clone(),
                });
            }
            (gone, new) => {
                findings.extend(gone.map(|gone| Finding::DroppedColumn {
                    column: gone.name.clone(),
                }));
                findings.extend(new.map(|new| Finding::AddedColumn {
                    column: new.name.clone(),
                }));
            }
        }
    }
    findings
}
