//! Puts a table with partitions in the place of one without, which becomes its first partition.
//!
//! **Invariant:** whoever calls this holds the table exclusively, or made it in the same transaction.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{Period, catalog::Table, names::Names, room};

/// Swaps them, in the transaction of this connection. Nobody else's row is beyond `until`.
pub(super) async fn swap(
    connection: &mut PgConnection,
    names: &Names,
    table: &Table,
    period: Period,
    (now, until): (DateTime<Utc>, DateTime<Utc>),
) -> sqlx::Result<()> {
    table.act_as_owner(connection).await?;
    let around = around(connection, names, table).await?;
    let (name, first_key) = (&names.table, names.first_key());
    let first = names.in_schema(&names.first());
    let steps = [
        // Where there are many rows it was made beforehand.
        format!(r#"CREATE UNIQUE INDEX IF NOT EXISTS "{first_key}" ON {name} (id, created_at)"#),
        around.before.join("; "),
        format!(r#"ALTER TABLE {name} ADD PRIMARY KEY USING INDEX "{first_key}""#),
        format!(r#"ALTER TABLE {name} RENAME TO "{}""#, names.first()),
        format!("CREATE TABLE {name} (LIKE {first} {LIKE}) PARTITION BY RANGE (created_at)"),
        drop_bound(name, names),
        format!(
            r#"ALTER TABLE {name} ADD CONSTRAINT "{}" PRIMARY KEY (id, created_at)"#,
            names.key()
        ),
        format!(
            "ALTER TABLE {name} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{}')",
            until.to_rfc3339()
        ),
        drop_bound(&first, names),
        around.after.join("; "),
        room::statements(
            names,
            // At least one after the first: it says how long those to come are.
            &period.missing(
                &[(None, Some(until))],
                until,
                period.horizon(now).max(period.end(until)),
            ),
        ),
    ];
    sqlx::raw_sql(AssertSqlSafe(steps.join("; ")))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) fn drop_bound(table: &str, names: &Names) -> String {
    format!(
        r#"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS "{}""#,
        names.bound()
    )
}

/// What a partition takes over from the table above it. Indexes and row triggers come when it is attached.
pub(super) const LIKE: &str = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMMENTS";

/// What is on the table, as statements.
struct Around {
    /// They make room.
    before: Vec<String>,
    /// They make the same again, for the table that has its name then.
    after: Vec<String>,
}

/// Reads all of it, before the first of the statements is run.
async fn around(
    connection: &mut PgConnection,
    names: &Names,
    table: &Table,
) -> sqlx::Result<Around> {
    let rows = sqlx::query(AROUND)
        .bind(table.oid)
        .bind(names.first_key())
        .fetch_all(connection)
        .await?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for row in &rows {
        let statements = if row.try_get("is_before")? {
            &mut before
        } else {
            &mut after
        };
        statements.push(row.try_get("statement")?);
    }
    Ok(Around { before, after })
}

/// Row triggers are made again for every partition by the database. One that sees a statement stays where it is, too:
/// a partition may be truncated by itself. So do grants and policies: whoever reaches a partition by itself is not let in either.
const AROUND: &str = "WITH t AS ( \
        SELECT c.*, n.nspname, format('%I.%I', n.nspname, c.relname) AS name \
        FROM (SELECT oid, relname, relnamespace, relacl, relowner, relrowsecurity, relforcerowsecurity \
            FROM pg_catalog.pg_class WHERE oid = $1::int8::oid) AS c \
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace), \
    secondary AS ( \
        SELECT c.oid, c.relname FROM t JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid AND NOT i.indisprimary \
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relname <> $2), \
    trigger AS ( \
        SELECT g.* FROM t JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal), \
    granted AS ( \
        SELECT a.*, '' AS columns FROM t CROSS JOIN LATERAL pg_catalog.aclexplode(t.relacl) AS a \
        WHERE a.grantee <> t.relowner \
        UNION ALL \
        SELECT a.*, format(' (%I)', k.attname) FROM t \
        JOIN pg_catalog.pg_attribute AS k ON k.attrelid = t.oid AND k.attnum > 0 AND NOT k.attisdropped \
        CROSS JOIN LATERAL pg_catalog.aclexplode(k.attacl) AS a WHERE a.grantee <> t.relowner) \
    SELECT true AS is_before, 1 AS step, format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, k.conname) AS statement \
    FROM t JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'p' \
    UNION ALL \
    SELECT true, 2, format('ALTER INDEX %I.%I RENAME TO %I', t.nspname, i.relname, left(i.relname, 50) || '_' || i.oid) \
    FROM t CROSS JOIN secondary AS i \
    UNION ALL \
    SELECT true, 3, format('DROP TRIGGER %I ON %s', g.tgname, t.name) \
    FROM t CROSS JOIN trigger AS g WHERE (g.tgtype & 1) = 1 \
    UNION ALL \
    SELECT false, 4, pg_catalog.pg_get_indexdef(i.oid) FROM secondary AS i \
    UNION ALL \
    SELECT false, 5, pg_catalog.pg_get_triggerdef(g.oid) FROM trigger AS g \
    UNION ALL \
    SELECT false, 6, format('GRANT %s%s ON %s TO %s%s', g.privilege_type, g.columns, t.name, \
        CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END, \
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
    FROM t CROSS JOIN granted AS g \
    UNION ALL \
    SELECT false, 7, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.policyname, t.name, p.permissive, p.cmd, \
        (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(r), ', ') FROM unnest(p.roles) AS r), \
        ' USING (' || p.qual || ')', ' WITH CHECK (' || p.with_check || ')') \
    FROM t JOIN pg_catalog.pg_policies AS p ON p.schemaname = t.nspname AND p.tablename = t.relname \
    UNION ALL \
    SELECT false, 8, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name) FROM t WHERE t.relrowsecurity \
    UNION ALL \
    SELECT false, 9, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t.name) FROM t WHERE t.relforcerowsecurity \
    UNION ALL \
    SELECT false, 10, format('COMMENT ON TABLE %s IS %L', t.name, pg_catalog.obj_description(t.oid, 'pg_class')) \
    FROM t WHERE pg_catalog.obj_description(t.oid, 'pg_class') IS NOT NULL \
    ORDER BY step, statement";
