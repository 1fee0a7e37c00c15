//! Whether what was made is still as it was made, and fits its table.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tower_audit_core::changes::TableName;

use super::{
    Entry, Table, Track, Triggers,
    apply::{Source, source},
    books::Former,
    catalog,
    columns::other_columns,
    entries,
    generate::{body, settings},
    table::Found,
    triggers::{self, Trigger},
};
use crate::{History, HistoryError, migrate::look, partitions};

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
    /// Since when nothing that happened to its rows is missing and its columns and its key mean what they do now, as far as the triggers and the
    /// catalog tell when the table is tracked again: a trigger that was missing or disabled then leaves a gap, and a column that got another
    /// name or type, or another key, changes what was recorded before. The history begins anew then.
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
    /// A table that is no partition of it any more has a trigger of this table, which records changes under its name.
    StrayTrigger {
        /// The table.
        on: TableName,
        /// The trigger.
        trigger: String,
    },
    /// It has a trigger too many, which records its changes again, or for another table.
    ExtraTrigger {
        /// The table or partition.
        on: TableName,
        /// The trigger.
        trigger: String,
    },
    /// The function of the triggers does not belong to the owner of the history, or others than the owner of the table may use it, or that one may not.
    OtherPrivileges,
    /// The table became a part of another one, as a partition or because it inherits, and its triggers are those for statements: statements that name the
    /// other one leave no record.
    StatementsOfPartition {
        /// The table above.
        of: TableName,
    },
    /// The schema of the history belongs to a role that may drop it, and that is neither its owner nor a member of that role.
    SchemaOfAnother {
        /// The role.
        owner: String,
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
            Self::MissingTrigger { on, trigger } => write!(f, "{on} has no trigger {trigger} as it should be, so changes are not recorded: track the table again"),
            Self::DisabledTrigger { on, trigger } => write!(f, "the trigger {trigger} of {on} is disabled, so changes are not recorded: track the table again"),
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
            Self::StrayTrigger { on, trigger } => {
                write!(f, "{on}, which is none of its partitions any more, has its trigger {trigger}: track the table again")
            }
            Self::ExtraTrigger { on, trigger } => {
                write!(f, "{on} has a trigger {trigger} too many, which records its changes again or for another table: track the table again")
            }
            Self::OtherPrivileges => {
                f.write_str("the function of the triggers is not the history's own, or not for the owner of the table alone, who needs it for partitions: track the table again")
            }
            Self::StatementsOfPartition { of } => {
                write!(f, "it is a part of {of} now, and statements that name that one are not recorded: track it with triggers for rows")
            }
            Self::SchemaOfAnother { owner } => {
                write!(f, "the schema of the history belongs to {owner}, who may drop it: give it to the owner of the history (ALTER SCHEMA ... OWNER TO)")
            }
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
        let mut tx = look(self).await?;
        let mut tracked = Vec::new();
        for entry in entries(self, &mut tx).await? {
            let findings = verify(self, &mut tx, &entry).await?;
            tracked.push(TrackedTable {
                name: entry.name,
                track: entry.track,
                tracked_at: entry.tracked_at,
                begun_at: entry.begun_at,
                former_names: entry.former_names.iter().map(Former::name).collect(),
                findings,
            });
        }
        tx.rollback().await?;
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
        let mut tx = look(self).await?;
        let mut of_itself = partitions::findings(self, &mut tx).await?;
        of_itself.extend(other_schema(self, &mut tx).await?);
        tx.rollback().await?;
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
    let renamed = renamed(history, connection, &found, &entry.function).await?;
    if let Some(to) = renamed {
        return Ok(vec![Finding::RenamedTable { to }]);
    }
    let mut findings = other_columns(&entry.columns, &found);
    match Table::new(found, entry.track.clone()) {
        Ok(table) => of_table(history, connection, entry, &table, findings).await,
        Err(error) => {
            findings.push(Finding::SettingsDoNotFit {
                what: error.to_string(),
            });
            Ok(findings)
        }
    }
}

/// Makes sure that a table is the one that was tracked under this name, as far as its triggers tell.
pub(crate) async fn is_not_another(
    history: &History,
    connection: &mut PgConnection,
    entry: &Entry,
    found: &Found,
) -> Result<(), HistoryError> {
    let table = found.name.clone();
    if let Some(by) = renamed(history, connection, found, &entry.function).await? {
        return Err(HistoryError::NameOfAnother { table, by });
    }
    let there = triggers::there(connection, &history.names, std::slice::from_ref(&table)).await?;
    match there.iter().any(|there| there.function != entry.function) {
        true => Err(HistoryError::NotCovered(table)),
        false => Ok(()),
    }
}

/// Adds what is wrong with what was made for a table.
async fn of_table(
    history: &History,
    connection: &mut PgConnection,
    entry: &Entry,
    table: &Table,
    mut findings: Vec<Finding>,
) -> Result<Vec<Finding>, HistoryError> {
    let has_its_columns = findings.is_empty();
    findings.extend(other_triggers(history, connection, table).await?);
    if table.track.triggers == Triggers::Statement {
        let parents = catalog::parents(connection, table.name()).await?;
        let of = parents.into_iter().next();
        findings.extend(of.map(|of| Finding::StatementsOfPartition { of }));
    }
    let stray = stray_triggers(history, connection, table, &entry.function).await?;
    findings.extend(stray.into_iter().map(|stray| Finding::StrayTrigger {
        on: stray.on,
        trigger: stray.name,
    }));
    let source = source(history, connection, &entry.function, &table.found.owner).await?;
    if source
        .as_ref()
        .is_some_and(|source| !source.is_for_owner_alone)
    {
        findings.push(Finding::OtherPrivileges);
    }
    let other = match source {
        None => Some(Finding::MissingFunction),
        Some(source) if has_its_columns && is_other(history, entry, table, &source) => {
            Some(Finding::OtherFunction)
        }
        Some(_) => None,
    };
    findings.extend(other);
    Ok(findings)
}

/// Returns whether a function is not the one that the settings make.
fn is_other(history: &History, entry: &Entry, table: &Table, source: &Source) -> bool {
    // As it was when the function was made: in a database that was restored it is another one, with the same columns.
    let mut table = table.clone();
    table.found.oid = entry.columns.relation;
    for (column, noted) in table.found.columns.iter_mut().zip(&entry.columns.columns) {
        column.number = noted.number;
    }
    let table = &table;
    let key_id = history.mask_key.as_ref().map(|key| key.id());
    // Without the key its id is not known.
    let is_unknown = key_id.is_none() && !table.track.hash.is_empty();
    let set: Vec<String> = settings(table)
        .iter()
        .map(|(setting, value)| format!("{setting}={}", value.trim_matches('\'')))
        .collect();
    let is_text_other = !is_unknown && source.text != body(&history.names, table, key_id);
    is_text_other || !source.is_definer || source.settings != set
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

/// Returns the triggers of a table that others have, which are none of its partitions.
pub(super) async fn stray_triggers(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
    function: &str,
) -> Result<Vec<Trigger>, HistoryError> {
    let mut triggers = triggers::everywhere(connection, &history.names).await?;
    triggers.retain(|trigger| {
        trigger.function == function
            && trigger.on != *table.name()
            && !table.found.partitions.contains(&trigger.on)
    });
    Ok(triggers)
}

/// Returns what the table is called now that had this function, if it is not this one.
pub(super) async fn renamed(
    history: &History,
    connection: &mut PgConnection,
    found: &Found,
    function: &str,
) -> Result<Option<TableName>, HistoryError> {
    let triggers = triggers::everywhere(connection, &history.names).await?;
    let mut of_it = triggers
        .iter()
        .filter(|trigger| trigger.function == function);
    let is_its =
        |trigger: &&Trigger| trigger.on == found.name || found.partitions.contains(&trigger.on);
    if of_it.clone().any(|trigger| is_its(&trigger)) {
        return Ok(None);
    }
    Ok(of_it
        .find(|trigger| !trigger.is_inherited)
        .map(|trigger| trigger.on.clone()))
}

/// Finds out whether the schema is in foreign hands.
async fn other_schema(
    history: &History,
    connection: &mut PgConnection,
) -> Result<Option<Finding>, HistoryError> {
    let owner = sqlx::query_scalar(
        "SELECT pg_catalog.pg_get_userbyid(s.nspowner)::text FROM pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace \
         WHERE c.oid = $1::regclass AND NOT pg_catalog.pg_has_role(s.nspowner, c.relowner, 'MEMBER')",
    );
    let owner: Option<String> = owner
        .bind(history.names.quoted(""))
        .fetch_optional(connection)
        .await?;
    Ok(owner.map(|owner| Finding::SchemaOfAnother { owner }))
}

async fn other_triggers(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
) -> Result<Vec<Finding>, HistoryError> {
    let on = triggers::with_partitions(table);
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
    let mut findings: Vec<Finding> = wanted
        .iter()
        .filter_map(|wanted| finding(&wanted.trigger))
        .collect();
    let has_place = |there: &&Trigger| {
        let mut wanted = wanted.iter().map(|wanted| &wanted.trigger);
        wanted.any(|wanted| (&wanted.on, &wanted.name) == (&there.on, &there.name))
    };
    let extra = there.iter().filter(|there| !has_place(there));
    findings.extend(extra.map(|extra| Finding::ExtraTrigger {
        on: extra.on.clone(),
        trigger: extra.name.clone(),
    }));
    Ok(findings)
}
