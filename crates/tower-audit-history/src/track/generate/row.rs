//! The function of triggers that run for each row.

use super::{
    CONTEXT, Cx, OTHER_COLUMNS, WHO,
    value::{differs, moves, raw},
};
use crate::{names::literal, track::table::Column};

/// Returns what the function does.
///
/// What is sure of its columns, and can write whatever they have, needs no block with an exception, which takes its time.
pub(super) fn body(cx: &Cx<'_>) -> String {
    let recorded = match cx.keeps_columns() {
        Some(sure) if cx.is_always_written() => format!(
            "  IF {sure} THEN\n{}  ELSE\n{}  END IF;\n",
            typed(cx, |_| String::new()),
            careful(cx, |rows| format!(
                "      IF {} THEN END IF;\n",
                cx.shape(rows)
            ))
        ),
        Some(sure) => careful(cx, |rows| {
            format!(
                "      IF {sure} THEN ELSIF {} THEN END IF;\n",
                cx.shape(rows)
            )
        }),
        None => careful(cx, |rows| {
            format!("      IF {} THEN END IF;\n", cx.shape(rows))
        }),
    };
    format!(
        "\
{CONTEXT}
  o jsonb; n jsonb; k jsonb; p jsonb;{declarations}
BEGIN
{recorded}{without_context}  {insert} VALUES (lower(TG_OP), {table_name}, k, p, o, n, {WHO});
  RETURN NULL;
END",
        declarations = cx.declarations(),
        without_context = cx.without_context(),
        insert = cx.insert(),
        table_name = cx.table_name(),
    )
}

/// Returns a block that goes on whatever the columns are, and whatever they have.
fn careful(cx: &Cx<'_>, check: impl Fn(&[&str]) -> String) -> String {
    format!(
        "  BEGIN\n{}  EXCEPTION WHEN {OTHER_COLUMNS} THEN\n{}  END;\n",
        typed(cx, check),
        untyped(cx)
    )
}

/// Returns what is done for a table that has the columns that the function knows, which are checked as it is told.
fn typed(cx: &Cx<'_>, check: impl Fn(&[&str]) -> String) -> String {
    format!(
        "    IF TG_OP = 'UPDATE' THEN
{shape_of_both}{update}    ELSIF TG_OP = 'INSERT' THEN
{shape_of_new}      n := {inserted};
      k := {key_of_new};
    ELSIF TG_OP = 'DELETE' THEN
{shape_of_old}      o := {deleted};
      k := {key_of_old};
    ELSE
      k := '{{}}';
      o := {truncated};
    END IF;
",
        update = update(cx),
        shape_of_both = check(&["NEW", "OLD"]),
        shape_of_new = check(&["NEW"]),
        shape_of_old = check(&["OLD"]),
        inserted = cx.object(&cx.table.columns, "NEW"),
        deleted = cx.object(&cx.table.columns, "OLD"),
        key_of_new = cx.key("NEW"),
        key_of_old = cx.key("OLD"),
        truncated = cx.truncated(),
    )
}

/// Returns the chain that finds out which columns an update changed. Each expression costs, and of many columns most stay as they are: they are
/// asked about in groups first.
fn update(cx: &Cx<'_>) -> String {
    let columns = &cx.table.columns;
    let mut chain = String::new();
    let group = if columns.len() > FEW { GROUP } else { 1 };
    for group in columns.chunks(group) {
        let all: String = group.iter().map(|column| changed(cx, column)).collect();
        let any: Vec<String> = group
            .iter()
            .map(|column| differs(column, "OLD", "NEW"))
            .collect();
        match group.len() {
            1 => chain.push_str(&all),
            _ => chain.push_str(&format!(
                "      IF {} THEN\n{all}      END IF;\n",
                any.join(" OR ")
            )),
        }
    }
    // Nobody can tell which row of a table without a key it was, but by all of it.
    let all_of_old = match cx.table.key.is_empty() {
        true => format!("      o := {};\n", cx.object(columns, "OLD")),
        false => String::new(),
    };
    format!(
        "{chain}      IF n IS NULL THEN RETURN NULL; END IF;\n{all_of_old}      k := {};\n",
        cx.key("NEW")
    )
}

/// Returns what is noted of a column if it was changed. Most updates change one, and from one short value to another.
fn changed(cx: &Cx<'_>, column: &Column) -> String {
    let name = literal(&column.found.name);
    let differs = differs(column, "OLD", "NEW");
    let object = |value: String| format!("jsonb_build_object({name}, {value})");
    let (old, new) = (
        object(cx.value(column, "OLD")),
        object(cx.value(column, "NEW")),
    );
    let first = match cx.are_short(column, &["OLD", "NEW"]) {
        Some(are_short) => format!(
            "IF n IS NULL AND {are_short} THEN o := {}; n := {}; ELSE",
            object(raw(column, "OLD")),
            object(raw(column, "NEW"))
        ),
        None => format!("IF n IS NULL THEN o := {old}; n := {new}; ELSE"),
    };
    let key = match column.is_key {
        true if column.found.is_numeric() => format!(
            " IF {} THEN p := {}; END IF;",
            moves(column, "OLD", "NEW"),
            cx.key("OLD")
        ),
        true => format!(" p := {};", cx.key("OLD")),
        false => String::new(),
    };
    format!(
        "      IF {differs} THEN\n\
         \x20       {first} o := coalesce(o, '{{}}') || {old}; n := coalesce(n, '{{}}') || {new}; END IF;{key}\n\
         \x20     END IF;\n"
    )
}

/// Returns what is done for a table that has other columns now. Whatever they are, the write of the app goes on.
fn untyped(cx: &Cx<'_>) -> String {
    let call = |old: &str, new: &str| {
        format!(
            "SELECT u.o, u.n, u.k, u.p INTO o, n, k, p FROM {} AS u;",
            cx.untyped(old, new)
        )
    };
    format!(
        "    BEGIN
      IF {has_no_names} THEN k := NULL; p := NULL; o := NULL; n := NULL;
      ELSIF TG_OP = 'UPDATE' THEN {}
        IF n IS NULL THEN RETURN NULL; END IF;
      ELSIF TG_OP = 'INSERT' THEN {}
      ELSE {}
      END IF;
    EXCEPTION WHEN OTHERS THEN
      k := NULL; p := NULL; o := NULL; n := NULL;
    END;
",
        call("to_jsonb(OLD)", "to_jsonb(NEW)"),
        call("NULL", "to_jsonb(NEW)"),
        call("to_jsonb(OLD)", "NULL"),
        has_no_names = cx.has_no_names(),
    )
}

/// How many columns are asked about together.
const GROUP: usize = 4;

/// As many columns, and no more, are asked about one by one.
const FEW: usize = 12;
