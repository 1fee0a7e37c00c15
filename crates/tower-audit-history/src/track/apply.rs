//! Makes what tracks a table.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tower_audit_core::changes::TableName;

use super::{
    Entry, Table, Track, Triggers,
    books::{self, Before, Former},
    catalog,
    columns::{is_as_noted, with_their_columns},
    entries,
    generate::{function, signature},
    triggers::{self, Trigger, cover, with_partitions},
    verify::{renamed, stray_triggers, verify},
};
use crate::{
    History, HistoryError,
    error::code,
    migrate::{begin, execute, look},
    names::{quoted, quoted_table},
};

impl History {
    /// Records from now on what happens to the rows of a table; or, if it is tracked already, in this way.
    ///
    /// Safe to call from every replica at once, and at every start: it does nothing to a table that is tracked like that already, for which
    /// a user suffices who may read. Otherwise the table is locked for a moment, for which this waits at most two seconds. The user of the pool has to own the
    /// table, or to have TRIGGER on it.
    ///
    /// Rows that are there already have no history: see [`baseline`](Self::baseline).
    ///
    /// Dropping the future leaves the table as it was.
    ///
    /// # Errors
    ///
    /// Returns an error that says what does not fit if the settings do not fit the table, [`HistoryError::Locked`] if a long transaction
    /// uses it, [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] for whatever the database
    /// refused.
    pub async fn track(&self, table: &TableName, track: Track) -> Result<(), HistoryError> {
        if self.is_tracked(table, &track).await? {
            return Ok(());
        }
        let mut tx = begin(self).await?;
        let found = catalog::find(&mut tx, table).await?;
        let table = Table::new(found, track)?;
        self.refuse_part_of_another(&mut tx, &table).await?;
        self.refuse_name_of_another(&mut tx, &table).await?;
        let before = before(self, &mut tx, &table).await?;
        let key_id = self.note_key(&mut tx, &table).await?;
        execute(&mut tx, function(&self.names, &table, key_id.as_deref())).await?;
        make_triggers(self, &mut tx, &table).await?;
        self.give_function(&mut tx, &table).await?;
        books::note(self, &mut tx, &table, &before).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Records nothing of a table any more. What was recorded stays.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotTracked`] if it is not tracked, and otherwise as [`track`](Self::track) does.
    pub async fn untrack(&self, table: &TableName) -> Result<(), HistoryError> {
        let mut tx = begin(self).await?;
        let entry = super::entry(self, &mut tx, table).await?;
        drop_all_of(self, &mut tx, &entry).await?;
        books::forget(self, &mut tx, table).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Returns whether a table is tracked in this way, and nothing is wrong with it.
    async fn is_tracked(&self, name: &TableName, track: &Track) -> Result<bool, HistoryError> {
        let mut tx = look(self).await?;
        let entry = match super::entry(self, &mut tx, name).await {
            Ok(entry) if entry.track == *track => entry,
            Ok(_) | Err(HistoryError::NotTracked(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if !verify(self, &mut tx, &entry).await?.is_empty() {
            return Ok(false);
        }
        // That of a database that was restored is another one.
        let found = catalog::find(&mut tx, name).await?;
        if found.oid != entry.columns.relation {
            return Ok(false);
        }
        // Last: a user who may not look at the keys can do nothing more in here.
        Ok(track.hash.is_empty() || self.has_key(&mut tx).await?)
    }

    /// Refuses the history itself, of which a record would make the next, a partition of a table that is tracked, and a table of which a
    /// partition is: their rows would be recorded twice.
    async fn refuse_part_of_another(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<(), HistoryError> {
        let above = catalog::above(connection, table.name()).await?;
        let parents = catalog::parents(connection, table.name()).await?;
        let is_own = |name: &TableName| self.names.is_own(name);
        if is_own(table.name()) || above.iter().any(is_own) {
            return Err(HistoryError::OwnTable(table.name().clone()));
        }
        if let Some(of) = parents
            .first()
            .filter(|_| table.track.triggers == Triggers::Statement)
        {
            return Err(HistoryError::StatementsOfPartition {
                table: table.name().clone(),
                of: of.clone(),
            });
        }
        let of_others = triggers::there(connection, &self.names, &above).await?;
        if let Some(of) = of_others.into_iter().next() {
            return Err(HistoryError::TrackedWith {
                table: table.name().clone(),
                of: of.on,
            });
        }
        self.refuse_partition_of_its_own(connection, table).await
    }

    /// Refuses a table of which a partition is tracked by itself.
    async fn refuse_partition_of_its_own(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<(), HistoryError> {
        let entries = entries(self, connection).await?;
        let below = triggers::there(connection, &self.names, &table.found.partitions).await?;
        let is_tracked = |name: &&TableName| {
            let entry = entries.iter().find(|entry| entry.name == **name);
            entry.is_some_and(|entry| {
                let is_its =
                    |trigger: &Trigger| trigger.on == **name && trigger.function == entry.function;
                below.iter().any(is_its)
            })
        };
        match table.found.partitions.iter().find(is_tracked) {
            Some(partition) => Err(HistoryError::TrackedPartition {
                table: table.name().clone(),
                partition: partition.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Refuses a table with the name that another one had when it was tracked: its changes would pass for those of the other.
    async fn refuse_name_of_another(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<(), HistoryError> {
        let function = self.names.function(table.name());
        match renamed(self, connection, &table.found, &function).await? {
            Some(by) => Err(HistoryError::NameOfAnother {
                table: table.name().clone(),
                by,
            }),
            None => Ok(()),
        }
    }

    /// Returns whether the triggers have the key of this history, as far as the user may know.
    async fn has_key(&self, connection: &mut PgConnection) -> Result<bool, HistoryError> {
        let Some(key) = &self.mask_key else {
            return Ok(false);
        };
        let (inner, outer) = key.pads();
        let same = format!(
            "SELECT EXISTS (SELECT FROM {} WHERE id = $1 AND inner_pad = $2 AND outer_pad = $3)",
            self.names.quoted("_keys")
        );
        let same = sqlx::query_scalar(AssertSqlSafe(same))
            .bind(key.id())
            .bind(inner)
            .bind(outer);
        match same.fetch_one(connection).await {
            // insufficient_privilege
            Err(error) if code(&error).as_deref() == Some("42501") => Ok(true),
            same => Ok(same?),
        }
    }

    /// Puts the key of hashes where the triggers find it, if this table needs one; returns its id.
    async fn note_key(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<Option<String>, HistoryError> {
        if table.track.hash.is_empty() {
            return Ok(None);
        }
        let key = self.mask_key.as_ref().ok_or(HistoryError::NoMaskKey)?;
        let keys = self.names.quoted("_keys");
        let (inner, outer) = key.pads();
        let note = format!("INSERT INTO {keys} VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING");
        let note = sqlx::query(AssertSqlSafe(note))
            .bind(key.id())
            .bind(inner)
            .bind(outer);
        note.execute(&mut *connection).await?;
        let same = format!("SELECT inner_pad = $2 AND outer_pad = $3 FROM {keys} WHERE id = $1");
        let same = sqlx::query_scalar(AssertSqlSafe(same))
            .bind(key.id())
            .bind(inner)
            .bind(outer);
        let is_same: bool = same.fetch_one(connection).await?;
        if is_same {
            Ok(Some(key.id().to_owned()))
        } else {
            Err(HistoryError::OtherMaskKey(key.id().to_owned()))
        }
    }

    /// Lets nobody use the function for a table of their own, which could claim anything. Who owns the tracked table needs it, to make
    /// partitions.
    async fn give_function(
        &self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<(), HistoryError> {
        let function = signature(&self.names, table);
        let owner = sqlx::query_scalar(OWNER).bind(self.names.quoted(""));
        let owner: String = match &self.owner {
            Some(owner) => owner.to_string(),
            None => owner.fetch_one(&mut *connection).await?,
        };
        // First: who owned it before has a right to use it from then on, which is taken back.
        let sql = format!("ALTER FUNCTION {function} OWNER TO {};", quoted(&owner));
        execute(connection, sql).await?;
        let others = sqlx::query_scalar(OTHERS).bind(&function);
        let others: Vec<String> = others.fetch_all(&mut *connection).await?;
        let mut sql = format!("REVOKE ALL ON FUNCTION {function} FROM PUBLIC;");
        for other in others {
            sql += &format!("REVOKE ALL ON FUNCTION {function} FROM {};", quoted(&other));
        }
        sql += &format!(
            "GRANT EXECUTE ON FUNCTION {function} TO {};",
            quoted(&table.found.owner)
        );
        execute(connection, sql).await
    }
}

/// Makes the triggers that are missing or other, and drops those that are too many.
async fn make_triggers(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
) -> Result<(), HistoryError> {
    let names = &history.names;
    let there = triggers::there(connection, names, &with_partitions(table)).await?;
    let wanted = triggers::wanted(names, table);
    let is_well = |trigger: &Trigger| {
        let mut wanted = wanted.iter();
        trigger.is_enabled && wanted.any(|wanted| wanted.trigger.is_like(trigger))
    };
    let function = names.function(table.name());
    let stray = stray_triggers(history, connection, table, &function).await?;
    let mut sql: String = stray.iter().map(drop_sql).collect();
    let mut dropped: Vec<&TableName> = Vec::new();
    // Those that came with the table's go with it, and come again.
    for trigger in there
        .iter()
        .filter(|trigger| !trigger.is_inherited && !is_well(trigger))
    {
        sql += &drop_sql(trigger);
        dropped.push(&trigger.on);
    }
    for trigger in there
        .iter()
        .filter(|trigger| trigger.is_inherited && !is_well(trigger))
    {
        if !dropped.contains(&table.name()) {
            let (on, name) = (quoted_table(&trigger.on), quoted(&trigger.name));
            sql += &format!("ALTER TABLE {on} ENABLE TRIGGER {name};");
        }
    }
    for wanted in wanted.iter().filter(|wanted| !wanted.trigger.is_inherited) {
        let is_there = |there: &&Trigger| is_well(there) && wanted.trigger.is_like(there);
        if there.iter().find(is_there).is_none() {
            // Somebody may have given its name to a trigger of another function.
            sql += &drop_sql(&wanted.trigger);
            sql += &wanted.sql;
            sql.push(';');
        }
    }
    patiently(connection, table.name(), sql).await
}

fn drop_sql(trigger: &Trigger) -> String {
    format!(
        "DROP TRIGGER IF EXISTS {} ON {};",
        quoted(&trigger.name),
        quoted_table(&trigger.on)
    )
}

/// Drops the triggers and the function of an entry, whatever its table is called now.
async fn drop_all_of(
    history: &History,
    connection: &mut PgConnection,
    entry: &Entry,
) -> Result<(), HistoryError> {
    let triggers = triggers::everywhere(connection, &history.names).await?;
    let of_it = triggers
        .iter()
        .filter(|trigger| trigger.function == entry.function);
    let mut sql: String = of_it
        .filter(|trigger| !trigger.is_inherited)
        .map(drop_sql)
        .collect();
    let function = format!(
        "{}.{}",
        quoted(history.names.schema()),
        quoted(&entry.function)
    );
    sql += &format!("DROP FUNCTION IF EXISTS {function}();");
    patiently(connection, &entry.name, sql).await
}

/// Returns what is known of a table, and forgets it under the name that it had before it was renamed.
async fn before(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
) -> Result<Before, HistoryError> {
    let on = with_partitions(table);
    let there = triggers::there(connection, &history.names, &on).await?;
    let entries = entries(history, connection).await?;
    let same = entries.iter().find(|entry| entry.name == *table.name());
    let other = under_another_name(history, connection, table, &there, &entries).await?;
    let mut before = Before::default();
    let Some(entry) = other.or(same) else {
        return Ok(before);
    };
    before.names.clone_from(&entry.former_names);
    let was = Table {
        track: entry.track.clone(),
        ..table.clone()
    };
    if cover(&history.names, &was, &entry.function, &there) && is_as_noted(&entry.columns, table) {
        before.begun_at = Some(entry.begun_at);
    }
    columns_before(&mut before, entry, table);
    if other.is_none() {
        before.named_at = Some(entry.named_at);
        return Ok(before);
    }
    before.names.push(Former {
        schema: entry.name.schema().to_owned(),
        table: entry.name.table().to_owned(),
        from: entry.named_at,
        until: entry.named_at,
    });
    drop_all_of(history, connection, entry).await?;
    books::forget(history, connection, &entry.name).await?;
    Ok(before)
}

/// Returns as what a table was tracked before it got its name. A trigger that was left by the table above, or that somebody made, makes it no other table.
async fn under_another_name<'e>(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
    there: &[Trigger],
    entries: &'e [Entry],
) -> Result<Option<&'e Entry>, HistoryError> {
    let function = history.names.function(table.name());
    let everywhere = triggers::everywhere(connection, &history.names).await?;
    let on = with_partitions(table);
    let is_it = |entry: &&Entry| {
        let is_its = |trigger: &&Trigger| trigger.function == entry.function;
        let mut its = everywhere.iter().filter(is_its);
        entry.function != function
            && there.iter().any(|trigger| is_its(&trigger))
            && (entry.columns.relation == table.found.oid || its.all(|its| on.contains(&its.on)))
    };
    Ok(entries.iter().find(is_it))
}

/// Notes which columns have been recorded until now, and which of them no more.
fn columns_before(before: &mut Before, entry: &Entry, table: &Table) {
    before.former_columns.clone_from(&entry.former_columns);
    for (noted, column) in with_their_columns(&entry.columns, &table.found) {
        if entry.track.ignore.contains(&noted.name) {
            continue;
        }
        match column.filter(|column| !table.track.ignore.contains(&column.name)) {
            Some(column) => before.kept.push((column.number, noted.since)),
            None => before.gone.push(noted.clone()),
        }
    }
}

/// Runs what locks a table, and does not let others wait for it for long.
async fn patiently(
    connection: &mut PgConnection,
    table: &TableName,
    sql: String,
) -> Result<(), HistoryError> {
    if sql.is_empty() {
        return Ok(());
    }
    let done = execute(connection, format!("SET LOCAL lock_timeout = '2s'; {sql}")).await;
    match done {
        Err(HistoryError::Database(error)) if code(&error).as_deref() == Some("55P03") => {
            Err(HistoryError::Locked(table.clone()))
        }
        done => done,
    }
}

/// A function as it is there.
pub(super) struct Source {
    pub(super) text: String,
    /// Whether it runs as its owner.
    pub(super) is_definer: bool,
    /// The settings with which it runs, as `name=value`.
    pub(super) settings: Vec<String>,
    /// It belongs to the owner of the history; and who owns the table may use it, and nobody else.
    pub(super) is_for_owner_alone: bool,
}

/// Returns the function of an entry, if it is there.
pub(super) async fn source(
    history: &History,
    connection: &mut PgConnection,
    name: &str,
    owner: &str,
) -> Result<Option<Source>, HistoryError> {
    let row = sqlx::query(
        "SELECT f.prosrc, f.prosecdef, coalesce(f.proconfig, '{}') AS settings, \
             pg_catalog.has_function_privilege($3::name, f.oid, 'EXECUTE') \
             AND f.proowner = (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = $4::regclass) AND NOT EXISTS (SELECT FROM \
                 pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) AS a \
                 WHERE a.grantee NOT IN (f.proowner, (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = $3))) AS is_for_owner_alone \
         FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS s ON s.oid = f.pronamespace \
         WHERE s.nspname = $1 AND f.proname = $2 AND f.pronargs = 0",
    )
    .bind(history.names.schema())
    .bind(name)
    .bind(owner)
    .bind(history.names.quoted(""))
    .fetch_optional(connection)
    .await?;
    let read = |row: sqlx::postgres::PgRow| -> sqlx::Result<_> {
        Ok(Source {
            text: row.try_get("prosrc")?,
            is_definer: row.try_get("prosecdef")?,
            settings: row.try_get("settings")?,
            is_for_owner_alone: row.try_get("is_for_owner_alone")?,
        })
    };
    Ok(row.map(read).transpose()?)
}

/// Who owns the history.
const OWNER: &str = "SELECT pg_catalog.pg_get_userbyid(c.relowner)::text FROM pg_catalog.pg_class AS c WHERE c.oid = $1::regclass";

/// The roles that may use a function, but for its owner.
const OTHERS: &str = "SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_proc AS f, pg_catalog.aclexplode(f.proacl) AS a \
     JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee WHERE f.oid = $1::regprocedure AND a.grantee <> f.proowner";
