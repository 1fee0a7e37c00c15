//! Reads from the catalog what there is.

use sqlx::{
    PgConnection, Row as _,
    postgres::{PgRow, types::Oid},
};
use tower_audit_core::changes::TableName;

use super::table::{Found, FoundColumn, Generated, Sort, Table};
use crate::{HistoryError, names::quoted_table};

/// Returns a table.
///
/// # Errors
///
/// Returns an error if it is none that has rows of its own.
pub(crate) async fn find(
    connection: &mut PgConnection,
    name: &TableName,
) -> Result<Found, HistoryError> {
    let found = sqlx::query(FIND).bind(name.schema()).bind(name.table());
    let found = found.fetch_optional(&mut *connection).await?;
    let Some(found) = found else {
        return Err(HistoryError::NoTable(name.clone()));
    };
    let kind = found.try_get::<i8, _>("relkind")?.unsigned_abs();
    refuse(name, kind, found.try_get("is_temporary")?)?;
    let columns = sqlx::query(COLUMNS).bind(name.schema()).bind(name.table());
    let columns = columns.fetch_all(&mut *connection).await?;
    let partitions = sqlx::query(PARTITIONS)
        .bind(name.schema())
        .bind(name.table());
    let partitions = partitions.fetch_all(&mut *connection).await?;
    Ok(Found {
        name: name.clone(),
        oid: found.try_get::<Oid, _>("oid")?.0,
        is_partition: found.try_get("is_partition")?,
        owner: found.try_get("owner")?,
        is_partitioned: kind == b'p',
        columns: columns.iter().map(column).collect::<sqlx::Result<_>>()?,
        key: found.try_get("key")?,
        partitions: partitions
            .iter()
            .map(table_name)
            .collect::<sqlx::Result<_>>()?,
    })
}

/// Returns whether no two rows of a table can have the same key, and none a key with NULL.
pub(crate) async fn is_unique(
    connection: &mut PgConnection,
    table: &Table,
) -> Result<bool, HistoryError> {
    let key: Vec<&str> = table
        .key
        .iter()
        .map(|column| column.found.name.as_str())
        .collect();
    let is_unique = sqlx::query_scalar(IS_UNIQUE)
        .bind(quoted_table(table.name()))
        .bind(key);
    Ok(is_unique.fetch_one(connection).await?)
}

/// Refuses what has no rows of its own.
fn refuse(name: &TableName, kind: u8, is_temporary: bool) -> Result<(), HistoryError> {
    let what = match kind {
        b'r' | b'p' if is_temporary => "a temporary table",
        b'r' | b'p' => return Ok(()),
        b'v' => "a view",
        b'm' => "a materialized view",
        b'f' => "a foreign table",
        _ => "no table",
    };
    Err(HistoryError::NoOrdinaryTable {
        table: name.clone(),
        what,
    })
}

/// Returns the tables of which a table is a partition.
pub(crate) async fn above(
    connection: &mut PgConnection,
    name: &TableName,
) -> Result<Vec<TableName>, HistoryError> {
    let above = sqlx::query(ABOVE).bind(name.schema()).bind(name.table());
    let above = above.fetch_all(connection).await?;
    Ok(above.iter().map(table_name).collect::<sqlx::Result<_>>()?)
}

/// Returns the tables of which a table is a part, as a partition or because it inherits: statements may name them instead.
pub(crate) async fn parents(
    connection: &mut PgConnection,
    name: &TableName,
) -> Result<Vec<TableName>, HistoryError> {
    let parents = sqlx::query(PARENTS).bind(name.schema()).bind(name.table());
    let parents = parents.fetch_all(connection).await?;
    Ok(parents
        .iter()
        .map(table_name)
        .collect::<sqlx::Result<_>>()?)
}

fn table_name(row: &PgRow) -> sqlx::Result<TableName> {
    let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    Ok(TableName::new(schema, table))
}

fn column(row: &PgRow) -> sqlx::Result<FoundColumn> {
    let generated = row.try_get::<i8, _>("generated")?.unsigned_abs();
    Ok(FoundColumn {
        name: row.try_get("name")?,
        number: row.try_get("attnum")?,
        written: row.try_get("written")?,
        sort: match row.try_get::<&str, _>("sort")? {
            "exact" => Sort::Exact,
            "text" => Sort::Text,
            "bytes" => Sort::Bytes,
            "image" => Sort::Image,
            _ => Sort::Foreign,
        },
        type_oid: row.try_get::<Oid, _>("type_oid")?.0,
        base: row.try_get("base")?,
        equals: row.try_get("equals")?,
        greater: row.try_get("greater")?,
        is_json: row.try_get("is_json")?,
        is_identity: row.try_get("is_identity")?,
        is_long: row.try_get("is_long")?,
        generated: match generated {
            b's' => Generated::Stored,
            b'v' => Generated::Virtual,
            _ => Generated::No,
        },
        made_of: row.try_get("made_of")?,
        is_made_of_types: row.try_get("is_made_of_types")?,
    })
}

/// The table, and the columns of its primary key in their order.
const FIND: &str = "\
SELECT c.oid, c.relkind, c.relispartition AS is_partition, c.relpersistence = 't' AS is_temporary, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
    coalesce((SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM pg_catalog.pg_index AS i, unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attnum = k.number
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid), '{}') AS key
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
WHERE s.nspname = $1 AND c.relname = $2";

/// The columns, each with what is done with its values, which of an array is as its elements are. Decimal numbers are among what is
/// recorded as text: JSON has room for all of their digits, and most readers of it have not. So is every type that somebody made, enums
/// and domains too: to make JSON of one calls the cast that its owner may have made, as the owner of the history.
///
/// Who looks for a row by its key writes the type below all domains, whose checks are their owner's, and the operators of the index by their names,
/// which may be those of an extension.
const COLUMNS: &str = "\
WITH RECURSIVE of AS (
    SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
    WHERE s.nspname = $1 AND c.relname = $2
), based AS (
    SELECT a.attnum, t.oid AS own, t.oid, t.typbasetype, a.atttypmod AS modifier, t.typtypmod AS below FROM of, pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = of.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, b.own, t.oid, t.typbasetype, b.below, t.typtypmod FROM based AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.typbasetype
), typed AS (
    SELECT b.attnum, t.typname::text AS name, n.nspname = 'pg_catalog' AND t.oid = b.own AS is_builtin, t.typtype, t.typlen,
        pg_catalog.format_type(t.oid, b.modifier) AS base,
        coalesce((SELECT array_agg(format('OPERATOR(%I.%s)', os.nspname, o.oprname) ORDER BY ao.amopstrategy)
            FROM pg_catalog.pg_opclass AS oc JOIN pg_catalog.pg_am AS am ON am.oid = oc.opcmethod AND am.amname = 'btree'
            JOIN pg_catalog.pg_amop AS ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
            JOIN pg_catalog.pg_operator AS o ON o.oid = ao.amopopr JOIN pg_catalog.pg_namespace AS os ON os.oid = o.oprnamespace
            WHERE oc.opcintype = t.oid AND oc.opcdefault AND ao.amopstrategy IN (3, 5)),
            ARRAY['OPERATOR(pg_catalog.=)', 'OPERATOR(pg_catalog.>)']) AS operators,
        e.typname::text AS element, e.typtype AS element_sort, coalesce(en.nspname = 'pg_catalog', false) AS element_is_builtin
    FROM based AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.oid JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
    LEFT JOIN pg_catalog.pg_namespace AS en ON en.oid = e.typnamespace
    WHERE b.typbasetype = 0
)
SELECT a.attnum, a.attname::text AS name, a.atttypid AS type_oid, pg_catalog.format_type(a.atttypid, a.atttypmod) AS written, t.base, t.operators[1] AS equals, t.operators[2] AS greater,
    a.attgenerated AS generated, a.attidentity = 'a' AS is_identity,
    CASE
        WHEN t.element IS NOT NULL THEN CASE
            WHEN t.is_builtin AND t.element_is_builtin AND t.element_sort IN ('b', 'r', 'm') AND t.element NOT IN ('json', 'xml', 'numeric')
            THEN 'image' ELSE 'foreign' END
        WHEN NOT t.is_builtin OR t.typtype NOT IN ('b', 'r', 'm') OR t.name IN ('json', 'xml', 'numeric') THEN 'foreign'
        WHEN t.name IN ('text', 'varchar', 'bpchar', 'name') THEN 'text'
        WHEN t.name = 'bytea' THEN 'bytes'
        WHEN t.name IN ('bool', 'char', 'int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timestamp', 'timestamptz', 'inet', 'cidr',
            'macaddr', 'macaddr8') THEN 'exact'
        ELSE 'image' END AS sort,
    t.is_builtin AND t.name = 'json' AS is_json,
    NOT t.is_builtin AND t.typtype NOT IN ('b', 'e') OR t.element IS NOT NULL AND NOT t.element_is_builtin AND t.element_sort NOT IN ('b', 'e')
        AS is_made_of_types,
    t.typlen = -1 AND t.name NOT IN ('numeric', 'inet', 'cidr') AND NOT (t.name IN ('varchar', 'bpchar') AND a.atttypmod BETWEEN 0 AND 65536)
        AS is_long,
    coalesce((SELECT array_agg(DISTINCT o.attname::text)
        FROM (SELECT a.attrelid AS relid UNION SELECT t.relid::oid FROM pg_catalog.pg_partition_tree(a.attrelid) AS t) AS r
        JOIN pg_catalog.pg_attribute AS g ON g.attrelid = r.relid AND g.attname = a.attname AND g.attgenerated <> ''
        JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = r.relid AND d.adnum = g.attnum
        JOIN pg_catalog.pg_depend AS p ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
            AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = d.adrelid AND p.refobjsubid > 0
        JOIN pg_catalog.pg_attribute AS o ON o.attrelid = d.adrelid AND o.attnum = p.refobjsubid
        WHERE o.attnum <> g.attnum), '{}') AS made_of
FROM of, pg_catalog.pg_attribute AS a JOIN typed AS t USING (attnum)
WHERE a.attrelid = of.oid
ORDER BY a.attnum";

/// The partitions, of any depth.
const PARTITIONS: &str = "\
WITH RECURSIVE parts AS (
    SELECT i.inhrelid AS oid FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
    JOIN pg_catalog.pg_namespace AS s ON s.oid = p.relnamespace
    WHERE p.relkind = 'p' AND s.nspname = $1 AND p.relname = $2
    UNION ALL
    SELECT i.inhrelid FROM parts JOIN pg_catalog.pg_inherits AS i ON i.inhparent = parts.oid
)
SELECT s.nspname::text, c.relname::text FROM parts JOIN pg_catalog.pg_class AS c USING (oid)
JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') ORDER BY c.oid";

/// The tables above a partition.
const ABOVE: &str = "\
SELECT s.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS p JOIN pg_catalog.pg_namespace AS ps ON ps.oid = p.relnamespace, pg_catalog.pg_partition_ancestors(p.oid) AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.relid JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
WHERE ps.nspname = $1 AND p.relname = $2 AND p.relispartition AND c.oid <> p.oid";

/// The tables of which a table is a part.
const PARENTS: &str = "\
SELECT s.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS p JOIN pg_catalog.pg_namespace AS ps ON ps.oid = p.relnamespace JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = p.oid
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhparent JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
WHERE ps.nspname = $1 AND p.relname = $2 ORDER BY i.inhseqno";

/// An index by some of the columns of the key, or by all, allows each key once; and NULL more often.
const IS_UNIQUE: &str = "\
SELECT EXISTS (SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
            AND (SELECT bool_and(a.attname = ANY ($2::text[])) FROM pg_catalog.pg_attribute AS a
                WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = $1::regclass AND a.attname = ANY ($2::text[]) AND NOT a.attnotnull)";
