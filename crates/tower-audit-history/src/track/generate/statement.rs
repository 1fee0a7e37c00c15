//! The function of triggers that run once a statement.

use super::{
    CONTEXT, Cx, OTHER_COLUMNS, WHO,
    value::{differs, moves},
};
use crate::{
    names::literal,
    track::{
        table::Column,
        triggers::{NEW_ROWS, OLD_ROWS},
    },
};

/// Returns what the function does.
///
/// The rows of the two transition tables are paired by their order: the executor adds the old and the new version of a row to them in one
/// go (`AfterTriggerSaveEvent`). By their keys they could not be paired, because an update may change those.
pub(super) fn body(cx: &Cx<'_>) -> String {
    let r = free(cx, "tower_audit_row");
    format!(
        "\
{CONTEXT}
  is_any boolean := false; one_row record;{declarations}
BEGIN
{are_its_own}{without_context}  IF TG_OP = 'TRUNCATE' THEN
    {insert} VALUES ('truncate', {table_name}, '{{}}', NULL, {truncated}, NULL, {WHO});
    RETURN NULL;
  END IF;
  BEGIN
{identity}    IF TG_OP = 'UPDATE' THEN
      FOR one_row IN SELECT count({shape}) FROM {NEW_ROWS} AS {r} LOOP END LOOP;
      FOR one_row IN SELECT count({shape}) FROM {OLD_ROWS} AS {r} LOOP END LOOP;
{update}
    ELSIF TG_OP = 'INSERT' THEN
      FOR one_row IN SELECT count({shape}) FROM {NEW_ROWS} AS {r} LOOP END LOOP;
      {inserted};
    ELSE
      FOR one_row IN SELECT count({shape}) FROM {OLD_ROWS} AS {r} LOOP END LOOP;
      {deleted};
    END IF;
  EXCEPTION WHEN {OTHER_COLUMNS} THEN
{untyped}  END;
  RETURN NULL;
END",
        declarations = cx.declarations(),
        are_its_own = are_its_own(),
        without_context = without_context(cx),
        identity = identity(cx),
        shape = cx.shape(&[&r]),
        update = updated(cx),
        inserted = whole(cx, "insert", NEW_ROWS),
        deleted = whole(cx, "delete", OLD_ROWS),
        insert = cx.insert(),
        table_name = cx.table_name(),
        truncated = cx.truncated(),
        untyped = untyped(cx),
    )
}

/// Returns what makes sure that the rows are those of the statement: without transition tables their names would be those of whatever tables, or
/// views, somebody has made for the session. So nobody may have any of these names. What a trigger is called, and which tables it has, would not tell: it
/// can be changed while the trigger runs, and a transaction may see the catalog as it was.
fn are_its_own() -> String {
    format!(
        "  IF to_regclass('pg_temp.{OLD_ROWS}') IS NOT NULL OR to_regclass('pg_temp.{NEW_ROWS}') IS NOT NULL THEN
    RAISE EXCEPTION 'this is a function of the triggers of a history' USING ERRCODE = 'insufficient_privilege',
      HINT = 'drop the temporary tables and views whose names begin with tower_audit_';
  END IF;
"
    )
}

/// Returns what makes sure that the columns are those that they were.
fn identity(cx: &Cx<'_>) -> String {
    let same = cx.identity();
    if same.is_empty() {
        return String::new();
    }
    format!(
        "    IF ({}) IS NOT TRUE THEN RAISE datatype_mismatch; END IF;\n",
        same.join(" AND ")
    )
}

/// A statement that changed nothing needs no context.
fn without_context(cx: &Cx<'_>) -> String {
    let check = cx.without_context();
    if check.is_empty() {
        return check;
    }
    format!(
        "  IF TG_OP = 'TRUNCATE' THEN is_any := true;
  ELSIF TG_OP = 'DELETE' THEN SELECT EXISTS (SELECT FROM {OLD_ROWS}) INTO is_any;
  ELSE SELECT EXISTS (SELECT FROM {NEW_ROWS}) INTO is_any;
  END IF;
  IF is_any THEN
{check}  END IF;
"
    )
}

/// Returns the statement that records rows as a whole.
fn whole(cx: &Cx<'_>, operation: &str, rows: &str) -> String {
    let (all, nothing) = (cx.object(&cx.table.columns, "r"), "NULL");
    let (old, new) = match rows {
        OLD_ROWS => (all.as_str(), nothing),
        _ => (nothing, all.as_str()),
    };
    format!(
        "{} SELECT '{operation}', {}, {}, NULL, {old}, {new}, {WHO} FROM {rows} AS r",
        cx.insert(),
        cx.table_name(),
        cx.key("r")
    )
}

/// Returns what records an update. A row that moves to another partition, where a trigger of the app refuses it, is in the one table and not in
/// the other: nobody can tell then which of them belong together, and each is recorded as what was deleted or inserted.
fn updated(cx: &Cx<'_>) -> String {
    let update = update(cx);
    if !cx.table.found.is_partitioned {
        return format!("      {update};");
    }
    format!(
        "      IF (SELECT count(*) FROM {OLD_ROWS}) = (SELECT count(*) FROM {NEW_ROWS}) THEN
        {update};
      ELSE
        {};
        {};
      END IF;",
        whole(cx, "delete", OLD_ROWS),
        whole(cx, "insert", NEW_ROWS),
    )
}

/// Returns the statement that records what an update changed.
fn update(cx: &Cx<'_>) -> String {
    let (columns, key) = (&cx.table.columns, &cx.table.key);
    let any_of = |columns: &[Column]| {
        let differs = columns.iter().map(|column| differs(column, "a", "b"));
        differs.collect::<Vec<_>>().join(" OR ")
    };
    let old_key = match key.is_empty() {
        true => "NULL".to_owned(),
        false => {
            let moved: Vec<String> = key.iter().map(|column| moves(column, "a", "b")).collect();
            format!("CASE WHEN {} THEN {} END", moved.join(" OR "), cx.key("a"))
        }
    };
    // Nobody can tell which row of a table without a key it was, but by all of it.
    let old = match key.is_empty() {
        true => cx.object(columns, "a"),
        false => changed(cx, "a"),
    };
    let place = free(cx, "tower_audit_place");
    format!(
        "{} SELECT 'update', {}, {}, {old_key}, {old}, {}, {WHO} \
         FROM (SELECT *, row_number() OVER () AS {place} FROM {OLD_ROWS}) AS a \
         JOIN (SELECT *, row_number() OVER () AS {place} FROM {NEW_ROWS}) AS b ON a.{place} = b.{place} WHERE {}",
        cx.insert(),
        cx.table_name(),
        cx.key("b"),
        changed(cx, "b"),
        any_of(columns),
    )
}

/// Returns a JSON object of those columns of a row that an update changed.
fn changed(cx: &Cx<'_>, row: &str) -> String {
    let one = |column: &Column| {
        let (name, differs) = (literal(&column.found.name), differs(column, "a", "b"));
        format!(
            "CASE WHEN {differs} THEN jsonb_build_object({name}, {}) ELSE '{{}}' END",
            cx.value(column, row)
        )
    };
    let columns = cx.table.columns.iter().map(one);
    columns.collect::<Vec<_>>().join(" || ")
}

/// Returns a name that no column has: a column would be taken for it.
fn free(cx: &Cx<'_>, name: &str) -> String {
    let mut name = name.to_owned();
    while cx
        .table
        .found
        .columns
        .iter()
        .any(|column| column.name == name)
    {
        name.push('_');
    }
    name
}

/// Returns what is done for a table that has other columns now. Whatever they are, the write of the app goes on.
fn untyped(cx: &Cx<'_>) -> String {
    let (r, i) = (free(cx, "tower_audit_row"), free(cx, "tower_audit_place"));
    let pairs = format!(
        "(SELECT row_number() OVER () AS {i}, {r} FROM {OLD_ROWS} AS {r}) AS a \
         JOIN (SELECT row_number() OVER () AS {i}, {r} FROM {NEW_ROWS} AS {r}) AS b ON a.{i} = b.{i}"
    );
    let (old, new) = (format!("to_jsonb(a.{r})"), format!("to_jsonb(b.{r})"));
    let (one, old_rows, new_rows) = (
        format!("to_jsonb({r})"),
        format!("{OLD_ROWS} AS {r}"),
        format!("{NEW_ROWS} AS {r}"),
    );
    let nothing = format!(
        "{} VALUES (lower(TG_OP), {}, NULL, NULL, NULL, NULL, {WHO});",
        cx.insert(),
        cx.table_name()
    );
    format!(
        "    BEGIN
      IF {has_no_names} THEN
        {nothing}
      ELSIF TG_OP = 'UPDATE' THEN
        {}
      ELSIF TG_OP = 'INSERT' THEN
        {}
      ELSE
        {}
      END IF;
    EXCEPTION WHEN OTHERS THEN
      {nothing}
    END;
",
        by_name(cx, (&old, &new), &pairs),
        by_name(cx, ("NULL", &one), &new_rows),
        by_name(cx, (&one, "NULL"), &old_rows),
        has_no_names = cx.has_no_names(),
    )
}

/// Returns the statement that records rows by the names of their columns.
fn by_name(cx: &Cx<'_>, (old, new): (&str, &str), rows: &str) -> String {
    format!(
        "{} SELECT lower(tower_audit.op), {}, u.k, u.p, u.o, u.n, {WHO} FROM {rows}, LATERAL {} AS u \
         WHERE tower_audit.op <> 'UPDATE' OR u.n IS NOT NULL;",
        cx.insert(),
        cx.table_name(),
        cx.untyped(old, new)
    )
}
