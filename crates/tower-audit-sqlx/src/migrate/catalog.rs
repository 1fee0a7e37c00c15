//! What the catalog of Postgres says of a table, and what it says of one that the migrations made.

use sqlx::{PgConnection, Row as _};

use super::{Drift, SOURCES_OF_POSTGRES, drift::Objects, fill};
use crate::{postgres::PgStore, table::Identifier};

/// What the migrations make, as `CATALOG` would return it.
pub(super) struct Expected {
    pub(super) objects: Objects,
    /// What [`Indexes::Full`](crate::Indexes::Full) has.
    pub(super) full: Objects,
}

/// Returns what the migrations make.
pub(super) fn expected(schema: &Identifier, table: &Identifier, is_partitioned: bool) -> Expected {
    let mut expected = Expected {
        objects: Objects::new(),
        full: Objects::new(),
    };
    for line in EXPECTED.lines().filter(|line| !line.starts_with('#')) {
        let line = fill(line, schema.as_str(), table);
        let mut cells = line.splitn(3, '\t').map(str::to_owned);
        let (Some(when), Some(object), Some(definition)) =
            (cells.next(), cells.next(), cells.next())
        else {
            continue;
        };
        match when.as_str() {
            "full" => expected.full.insert(object, definition),
            "plain" if is_partitioned => None,
            "partitioned" if !is_partitioned => None,
            _ => expected.objects.insert(object, definition),
        };
    }
    expected
}

const EXPECTED: &str = include_str!("../../migrations/postgres/catalog.tsv");

/// Returns what there is, and whether the table has partitions.
pub(super) async fn found(
    connection: &mut PgConnection,
    store: &PgStore,
) -> sqlx::Result<Option<(Objects, bool)>> {
    let (schema, table) = store.name();
    let kind: Option<String> = sqlx::query_scalar(KIND)
        .bind(schema.as_str())
        .bind(table.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(kind) = kind else {
        return Ok(None);
    };
    let rows = sqlx::query(CATALOG)
        .bind(schema.as_str())
        .bind(table.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let mut objects = Objects::new();
    for row in rows {
        objects.insert(row.try_get("object")?, row.try_get("definition")?);
    }
    for function in FUNCTIONS {
        let name = format!("{}_{function}", table.as_str());
        let body: Option<String> = sqlx::query_scalar(BODY)
            .bind(schema.as_str())
            .bind(&name)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(body) = body {
            let is_ours = expected_body(schema, table, function).is_some_and(|ours| ours == body);
            let text = if is_ours { OUR_BODY } else { "another body" };
            objects.insert(format!("body of function {name}"), text.to_owned());
        }
    }
    Ok(Some((objects, kind == "p")))
}

/// Returns, of each partition, what it does not refuse.
pub(super) async fn unguarded(
    connection: &mut PgConnection,
    store: &PgStore,
) -> sqlx::Result<Vec<Drift>> {
    let (schema, table) = store.name();
    let found: Vec<(String, String)> = sqlx::query_as(UNGUARDED)
        .bind(schema.as_str())
        .bind(table.as_str())
        .fetch_all(connection)
        .await?;
    let drift = found.into_iter().map(|(partition, missing)| Drift {
        object: format!("trigger of the partition {partition}"),
        expected: Some("refuses UPDATE, DELETE and TRUNCATE".to_owned()),
        found: Some(format!("does not refuse {missing}: disabled or missing")),
    });
    Ok(drift.collect())
}

/// Returns what somebody did to partitions by themselves.
pub(super) async fn of_partitions(
    connection: &mut PgConnection,
    store: &PgStore,
) -> sqlx::Result<Vec<Drift>> {
    let (schema, table) = store.name();
    let found: Vec<(String, Option<String>, String)> = sqlx::query_as(OF_PARTITIONS)
        .bind(schema.as_str())
        .bind(table.as_str())
        .fetch_all(connection)
        .await?;
    let drift = found.into_iter().map(|(object, expected, found)| Drift {
        object,
        expected,
        found: Some(found),
    });
    Ok(drift.collect())
}

/// Partitions that a crash empties, and their own triggers and rules.
const OF_PARTITIONS: &str = "WITH part AS ( \
        SELECT p.oid, p.relname, p.relpersistence FROM pg_catalog.pg_class AS c \
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        JOIN pg_catalog.pg_inherits AS i ON i.inhparent = c.oid \
        JOIN pg_catalog.pg_class AS p ON p.oid = i.inhrelid \
        WHERE n.nspname = $1 AND c.relname = $2) \
    SELECT format('table %s', relname) AS object, 'permanent' AS expected, 'UNLOGGED' AS found FROM part WHERE relpersistence <> 'p' \
    UNION ALL \
    SELECT format('trigger %s of the partition %s', g.tgname, part.relname), NULL, f.proname::text \
    FROM part JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = part.oid AND NOT g.tgisinternal \
    JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid \
    WHERE g.tgparentid = 0 AND f.proname <> $2 || '_append_only' \
    UNION ALL \
    SELECT format('rule %s of the partition %s', r.rulename, part.relname), NULL, 'ON a partition' \
    FROM part JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = part.oid ORDER BY 1";

/// Of each partition, what none of its triggers with our function refuses.
const UNGUARDED: &str = "WITH t AS ( \
        SELECT c.oid, n.oid AS schema FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relname = $2), \
    guard AS ( \
        SELECT i.inhrelid AS part, bit_or(CASE WHEN g.tgenabled IN ('O', 'A') THEN g.tgtype::int4 ELSE 0 END) AS does \
        FROM t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.oid \
        LEFT JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = i.inhrelid \
            AND g.tgfoid = (SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.proname = $2 || '_append_only' AND p.pronamespace = t.schema) \
        GROUP BY i.inhrelid) \
    SELECT c.relname::text, concat_ws(' and ', \
        CASE WHEN does IS NULL OR does & 24 <> 24 THEN 'UPDATE and DELETE' END, CASE WHEN does IS NULL OR does & 32 = 0 THEN 'TRUNCATE' END) \
    FROM guard JOIN pg_catalog.pg_class AS c ON c.oid = guard.part \
    WHERE does IS NULL OR does & 56 <> 56 ORDER BY 1";

/// Returns the body that the last migration that made this function gave it.
fn expected_body(schema: &Identifier, table: &Identifier, function: &str) -> Option<String> {
    let head = format!("FUNCTION \"{{schema}}\".\"{{table}}_{function}\"() RETURNS trigger");
    let with_it = SOURCES_OF_POSTGRES.iter().rev();
    let sql = with_it
        .map(|source| source.sql)
        .find(|sql| sql.contains(&head))?;
    let (_, rest) = sql.rsplit_once(&head)?;
    let body = rest.split("$function$").nth(1)?;
    Some(fill(body, schema.as_str(), table))
}

const FUNCTIONS: [&str; 2] = ["append_only", "holds_stay"];

const OUR_BODY: &str = "that of the migrations";

const KIND: &str = "SELECT c.relkind::text FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

const BODY: &str = "SELECT p.prosrc FROM pg_catalog.pg_proc AS p \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.proname = $2";

/// Names are validated and have no spaces; of definitions that name the table only what follows is taken.
const CATALOG: &str = "WITH t AS ( \
        SELECT c.oid, c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relname IN ($2, $2 || '_retention', $2 || '_holds') AND c.relkind IN ('r', 'p')) \
    SELECT format('column %s.%s', t.relname, a.attname) AS object, \
        pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END \
            || coalesce(' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') AS definition \
    FROM t JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = t.oid AND d.adnum = a.attnum \
    UNION ALL \
    SELECT format('constraint %s', k.conname), regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), '\\s+', ' ', 'g') \
    FROM t JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype IN ('c', 'p', 'u', 'f', 'x') \
    UNION ALL \
    SELECT format('index %s', c.relname), CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END \
        || regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.*? USING ', '') \
        || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END \
    FROM t JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid AND NOT i.indisprimary \
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
    UNION ALL \
    SELECT format('trigger %s', g.tgname), \
        regexp_replace(pg_catalog.pg_get_triggerdef(g.oid), '^CREATE TRIGGER \\S+ (.*) ON \\S+ (FOR .*) EXECUTE FUNCTION .*$', '\\1 \\2 ') \
        || p.proname || CASE g.tgenabled WHEN 'D' THEN ' (disabled)' WHEN 'R' THEN ' (only on replicas)' ELSE '' END \
    FROM t JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal \
    JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid \
    UNION ALL \
    SELECT format('rule %s of %s', r.rulename, t.relname), 'ON ' || CASE r.ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' WHEN '4' THEN 'DELETE' ELSE 'SELECT' END \
    FROM t JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = t.oid \
    UNION ALL \
    SELECT format('table %s', t.relname), CASE c.relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'UNLOGGED' ELSE 'TEMPORARY' END \
    FROM t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid \
    UNION ALL \
    SELECT format('function %s', p.proname), \
        l.lanname || CASE WHEN p.prosecdef THEN ' SECURITY DEFINER' ELSE '' END || coalesce(' SET ' || array_to_string(p.proconfig, '; '), '') \
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang \
    WHERE n.nspname = $1 AND p.proname IN ($2 || '_append_only', $2 || '_holds_stay')";
