//! The function of triggers that run for each row.

use super::{
    CONTEXT, Cx, OTHER_COLUMNS, WHO,
    value::{differs, moves},
};
use crate::{names::literal, track::table::Column};

/// Returns what the function does.
pub(super) fn body(cx: &Cx<'_>) -> String {
    format!(
        "\
{CONTEXT}
  o jsonb; n jsonb; k jsonb; p jsonb;{declarations}
BEGIN
  BEGIN
    IF TG_OP = 'UPDATE' THEN
      IF {shape_of_both} THEN END IF;
{update}    ELSIF TG_OP = 'INSERT' THEN
      IF {shape_of_new} THEN END IF;
      n := {inserted};
      k := {key_of_new};
    ELSIF TG_OP = 'DELETE' THEN
      IF {shape_of_old} THEN END IF;
      o := {deleted};
      k := {key_of_old};
    ELSE
      k := '{{}}';
      o := {truncated};
    END IF;
  EXCEPTION WHEN {OTHER_COLUMNS} THEN
{untyped}  END;
{without_context}  {insert} VALUES (lower(TG_OP), {table_name}, k, p, o, n, {WHO});
  RETURN NULL;
END",
        declarations = cx.declarations(),
        update = update(cx),
        shape_of_both = cx.shape(&["NEW", "OLD"]),
        shape_of_new = cx.shape(&["NEW"]),
        shape_of_old = cx.shape(&["OLD"]),
        inserted = cx.object(&cx.table.columns, "NEW"),
        deleted = cx.object(&cx.table.columns, "OLD"),
        key_of_new = cx.key("NEW"),
        key_of_old = cx.key("OLD"),
        truncated = cx.truncated(),
        untyped = untyped(cx),
        without_context = cx.without_context(),
        insert = cx.insert(),
        table_name = cx.table_name(),
    )
}

/// Returns the chain that finds out which columns an update changed. Each expression costs, and most columns stay as they are: they are
/// asked about in groups first.
fn update(cx: &Cx<'_>) -> String {
    let columns = &cx.table.columns;
    let mut chain = String::new();
    for group in columns.chunks(GROUP) {
        let any: Vec<String> = group
            .iter()
            .map(|column| differs(column, "OLD", "NEW"))
            .collect();
        chain.push_str(&format!("      IF {} THEN\n", any.join(" OR ")));
        for column in group {
            chain.push_str(&changed(cx, column));
        }
        chain.push_str("      END IF;\n");
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

/// Returns what is noted of a column if it was changed.
fn changed(cx: &Cx<'_>, column: &Column) -> String {
    let name = literal(&column.found.name);
    let differs = differs(column, "OLD", "NEW");
    let (old, new) = (cx.value(column, "OLD"), cx.value(column, "NEW"));
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
        "        IF {differs} THEN o := coalesce(o, '{{}}') || jsonb_build_object({name}, {old}); \
         n := coalesce(n, '{{}}') || jsonb_build_object({name}, {new});{key} END IF;\n"
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
