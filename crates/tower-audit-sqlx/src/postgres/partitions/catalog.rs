//! What the catalog says of the table.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{Partition, PartitionError};
use crate::postgres::PgStore;

/// The table as it is.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The object id: a name may be that of another table a moment later.
    pub(super) oid: i64,
    pub(super) is_partitioned: bool,
    /// The user is the owner, or a member of that role.
    pub(super) may_act_as_owner: bool,
    owner: String,
    is_ours: bool,
}

impl Table {
    /// Goes on as the owner of the table until the transaction ends, so that what is made belongs to them, too.
    pub(super) async fn act_as_owner(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if !self.is_ours {
            let role = sqlx::query("SELECT pg_catalog.set_config('role', $1, true)");
            role.bind(&self.owner).execute(connection).await?;
        }
        Ok(())
    }

    /// Goes on as the owner of the table for as long as there is this connection.
    pub(super) async fn go_on_as_owner(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if !self.is_ours {
            let role = sqlx::query("SELECT pg_catalog.set_config('role', $1, false)");
            role.bind(&self.owner).execute(connection).await?;
        }
        Ok(())
    }
}

/// Returns the table, if there is one.
pub(super) async fn table(
    connection: &mut PgConnection,
    store: &PgStore,
) -> sqlx::Result<Option<Table>> {
    let (schema, table) = store.name();
    let row = sqlx::query(TABLE)
        .bind(schema.as_str())
        .bind(table.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        Ok(Table {
            oid: row.try_get("oid")?,
            is_partitioned: row.try_get("is_partitioned")?,
            may_act_as_owner: row.try_get("may_act_as_owner")?,
            owner: row.try_get("owner")?,
            is_ours: row.try_get("is_ours")?,
        })
    })
    .transpose()
}

const TABLE: &str = "SELECT c.oid::int8 AS oid, c.relkind = 'p' AS is_partitioned, \
         pg_catalog.pg_get_userbyid(c.relowner)::text AS owner, \
         pg_catalog.pg_has_role(c.relowner, 'MEMBER') AS may_act_as_owner, \
         pg_catalog.pg_get_userbyid(c.relowner) = current_user AS is_ours \
     FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

/// Returns the partitions, the oldest first.
pub(super) async fn partitions(
    connection: &mut PgConnection,
    table: &Table,
) -> sqlx::Result<Vec<Partition>> {
    let rows = sqlx::query(PARTITIONS)
        .bind(table.oid)
        .fetch_all(connection)
        .await?;
    let partition = |row: &PgRow| {
        Ok(Partition {
            name: row.try_get("name")?,
            from: row.try_get("begins")?,
            until: row.try_get("ends")?,
            rows: u64::try_from(row.try_get::<i64, _>("rows")?).unwrap_or(0),
            bytes: u64::try_from(row.try_get::<i64, _>("bytes")?).unwrap_or(0),
            is_guarded: row.try_get("is_guarded")?,
        })
    };
    rows.iter().map(partition).collect()
}

/// The bounds are text in the time zone of the session, which is in them. What is being detached is no partition any more;
/// versions before 14 do not know of that.
const PARTITIONS: &str = "SELECT c.relname::text AS name, \
         (regexp_match(bound.text, $re$FROM \\('([^']+)'\\)$re$))[1]::timestamptz AS begins, \
         (regexp_match(bound.text, $re$TO \\('([^']+)'\\)$re$))[1]::timestamptz AS ends, \
         greatest(c.reltuples, 0)::int8 AS rows, \
         pg_catalog.pg_total_relation_size(c.oid) AS bytes, \
         EXISTS (SELECT 1 FROM pg_catalog.pg_trigger AS t \
             WHERE t.tgrelid = c.oid AND t.tgenabled IN ('O', 'A') AND (t.tgtype & 32) <> 0) AS is_guarded \
     FROM pg_catalog.pg_inherits AS i \
     JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid \
     CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS text) AS bound \
     WHERE i.inhparent = $1::int8::oid \
         AND NOT coalesce((pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::boolean, false) \
     ORDER BY begins NULLS FIRST";

/// Returns whether the table has this check.
pub(super) async fn has_check(
    connection: &mut PgConnection,
    table: &Table,
    check: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint \
             WHERE contype = 'c' AND conrelid = $1::int8::oid AND conname = $2)",
    )
    .bind(table.oid)
    .bind(check)
    .fetch_one(connection)
    .await
}

/// Refuses a table of which something would stay with the first partition: whoever made it has to say what becomes of it.
pub(super) async fn refuse_what_stays_behind(
    connection: &mut PgConnection,
    table: &Table,
) -> Result<(), PartitionError> {
    let found: Vec<String> = sqlx::query_scalar(STAYS_BEHIND)
        .bind(table.oid)
        .fetch_all(connection)
        .await?;
    if found.is_empty() {
        Ok(())
    } else {
        Err(PartitionError::StaysBehind(found))
    }
}

/// Views, foreign keys and publications name a table by its object id; a unique constraint of a table with partitions
/// has the time in it.
const STAYS_BEHIND: &str = "SELECT DISTINCT CASE r.ev_class WHEN $1::int8::oid THEN 'the rule ' || r.rulename \
         ELSE 'the view ' || r.ev_class::regclass::text END \
     FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid \
     WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass \
         AND d.refobjid = $1::int8::oid \
     UNION ALL \
     SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass::text \
     FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1::int8::oid \
     UNION ALL \
     SELECT 'the constraint ' || conname FROM pg_catalog.pg_constraint \
     WHERE contype IN ('u', 'x', 'f') AND conrelid = $1::int8::oid \
     UNION ALL \
     SELECT 'the publication ' || p.pubname \
     FROM pg_catalog.pg_publication_rel AS r JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid \
     WHERE r.prrelid = $1::int8::oid";
